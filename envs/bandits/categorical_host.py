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
    equal, stop = np.empty((len(first), groups), np.bool_), 0
    for member in range(n - 1):
        start, stop = stop, stop + n - 1 - member
        np.equal(names[member], names[member + 1 :], out=equal[start:stop])
    found = np.flatnonzero(equal)
    if len(found) > FEW * equal.size:
        return None
    pair, group = np.divmod(found, groups)
    return group * n + first[pair], group * n + second[pair]


def squared_sums(advantages: Float, pairs: tuple[Int64, Int64], expected: Float, sums: Float) -> Float:
    """``sum_ij A_i A_j ([a_i = a_j] - w_j)`` of each group, into its sums of advantages (rules, groups).

    Rule by rule, so that what is read several times lies in a cache: advantages (rules, groups, n), with
    ``w`` (groups, n) for all of them.
    """
    first, second = pairs
    group = first // advantages.shape[2]
    for rule, norm in zip(advantages, sums, strict=True):
        flat = rule.reshape(-1)
        products = flat.take(first, mode="clip")
        products *= flat.take(second, mode="clip")
        equal = np.bincount(group, weights=products, minlength=len(norm))
        np.multiply(norm, -np.vecdot(rule, expected), out=norm)
        np.add(norm, 2 * equal + np.vecdot(rule, rule), out=norm)
    return sums


def inner_of_rules(advantages: Float, tables: Float, outcomes: Int64) -> Float:
    """``sum_i A_i t(a_i)`` of each group, with a table (M,) for each rule: (rules, groups)."""
    rules, groups, n = advantages.shape
    found, numbers = np.empty((rules, groups)), np.empty((groups, n))
    for mine, table, out in zip(advantages, tables, found, strict=True):
        np.vecdot(mine, table.take(outcomes, out=numbers, mode="clip"), out=out)
    return found


@cache
def _members(n: int) -> tuple[Int64, Int64]:
    """The members of each pair, by the first."""
    first, second = np.triu_indices(n, 1)
    return first, second
