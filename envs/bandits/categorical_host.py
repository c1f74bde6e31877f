"""Sums over the members of groups on a CPU, in NumPy, whose calls on small arrays cost less than torch's."""

from __future__ import annotations

from functools import cache

import numpy as np

from maxpo_lab.core.arrays import Float, Int64

#: Share of a group's pairs up to which equal ones are listed: each takes as long as some 8 of a product.
FEW = 1 / 8


def equal_pairs(outcomes: Int64, kinds: int) -> tuple[Int64, Int64] | None:
    """Places (P,) of the first and of the second members of equal pairs, outcomes (groups, n) in one piece.

    None where there are more of them than ``FEW`` of all pairs. Cost O(groups n^2) comparisons of outcomes
    below ``kinds`` as small integers, of which a processor makes dozens at a time.
    """
    groups, n = outcomes.shape
    first, second = _members(n)
    names = np.ascontiguousarray(outcomes.astype(np.min_scalar_type(kinds - 1)).T)
    found = np.flatnonzero(names.take(first, axis=0, mode="clip") == names.take(second, axis=0, mode="clip"))
    if len(found) > FEW * groups * len(first):
        return None
    pair, group = np.divmod(found, groups)
    return group * n + first[pair], group * n + second[pair]


def squared_sums(advantages: Float, pairs: tuple[Int64, Int64]) -> Float:
    """``sum_ij A_i A_j [a_i = a_j]`` of each group: advantages (rules, groups, n) to (rules, groups)."""
    rules, groups, n = advantages.shape
    first, second = pairs
    flat = advantages.reshape(rules, groups * n)
    products = flat.take(first, axis=1, mode="clip") * flat.take(second, axis=1, mode="clip")
    place = first // n + groups * np.arange(rules)[:, None]
    sums = np.bincount(place.ravel(), weights=products.ravel(), minlength=rules * groups)
    return inner(advantages, advantages) + 2 * sums.reshape(rules, groups)


def inner_of_rules(advantages: Float, tables: Float, outcomes: Int64) -> Float:
    """``sum_i A_i t(a_i)`` of each group, with a table (M,) for each rule: (rules, groups)."""
    rules, groups, n = advantages.shape
    found, numbers = np.empty((rules, groups)), np.empty((groups, n))
    for mine, table, out in zip(advantages, tables, found, strict=True):
        np.vecdot(mine, table.take(outcomes, out=numbers, mode="clip"), out=out)
    return found


def inner(first: Float, second: Float) -> Float:
    """Inner products along the last axis."""
    return np.asarray(np.vecdot(first, second))


@cache
def _members(n: int) -> tuple[Int64, Int64]:
    """The members of each pair."""
    first, second = np.triu_indices(n, 1)
    return first, second
