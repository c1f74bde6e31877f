"""Advantages under rules of rollouts that carry several rewards, in groups of one size or of several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from ..core import ragged
from ..core.arguments import as_k
from ..core.arrays import Array, Bool, Namespace, on_host
from ..core.rows import as_rows
from ..estimators import VectorBatchEstimator
from ..estimators.vector import as_weights, check_lengths
from .answers import checked
from .calling import Rule, describe
from .kinds import OfVectors, VectorRule

#: Groups on which a rule is defined; an error for the others, or nothing of them.
Keep = Callable[[ragged.Groups], ragged.Groups]


def refuse_vectors(rule: object, reward_weights: Any, lengths: Any) -> None:
    """Refuse what is of rollouts with several numbers, where the rule takes one reward of each."""
    name = describe(rule) if callable(rule) else rule
    if reward_weights is not None:
        raise ValueError(
            f"reward_weights with estimator {name!r}, which takes one reward of a rollout: take "
            f"summed:{name}, of the weighted sum, or per-reward:{name}, of each"
        )
    if lengths is not None:
        check_lengths(str(name), lengths, takes=False)


def of_vectors(
    rule: OfVectors,
    rewards: Any,
    k: int,
    *,
    reward_weights: Any,
    lengths: Any,
    group_ids: Any,
    nan_policy: Literal["raise", "omit"],
    keep: Keep | None,
) -> Array:
    """Advantages of rewards (..., n, d), or (B, d) with ids; of a rule of batches (P, n, d).

    ``keep`` None: groups are dense, and all there. A NaN that is omitted is a reward that a rollout does not
    have: each part of the rule (see ``VectorEstimator``) is of the rollouts that have it, and one that has
    none gets 0. A callable sees those alone that have all rewards.
    """
    if isinstance(rule, VectorRule):
        as_weights(reward_weights)
        if reward_weights is not None:
            raise ValueError(
                f"reward_weights with {rule.name}, a callable: it has weights of its own; write them into it"
            )
    elif reward_weights is not None:
        rule = rule.weighted(reward_weights)
    ids, omit = group_ids is not None, nan_policy == "omit"
    if isinstance(rule, VectorRule):
        check_lengths(rule.name, lengths, takes=rule.takes_lengths)
        xp, given, rows = as_rows(rewards, lengths, name=rule.name, ids=ids, allow_nan=omit)
    else:
        if keep is None:
            return rule(rewards, k, lengths=lengths)
        xp, given, rows = rule.of_rewards(rewards, lengths, ids=ids, allow_nan=omit)
    k = as_k(k)
    flat = xp.reshape(rows, (-1, rows.shape[-1]))
    if not ids:
        n = rows.shape[-2]
        if isinstance(rule, VectorBatchEstimator) and rows.ndim != 3:
            raise ValueError(f"rewards have shape {tuple(given.shape)}: {rule.name} needs (P, n, d) here")
        group_ids = np.repeat(np.arange(flat.shape[0] // n), n)
    found, _ = _of_groups(rule, xp, flat, ids=group_ids, k=k, keep=keep or (lambda groups: groups))
    return xp.astype(xp.reshape(found, rows.shape[:-1]), given.dtype)


def _of_groups(
    rule: OfVectors, xp: Namespace, rows: Array, *, ids: Any, k: int, keep: Keep
) -> tuple[Array, Bool]:
    """Advantages (B,) of rows (B, c), and which rollouts were in a group that got some."""
    if isinstance(rule, VectorBatchEstimator):
        own, seen = _of_groups(rule.own, xp, rows, ids=ids, k=k, keep=keep)
        members = np.flatnonzero(seen)
        if len(members):
            own = ragged.to_rows(
                xp, rule.coupled(xp, ragged.of_rows(xp, own, members)), members, rows.shape[0]
            )
        return own, seen
    total, seen = xp.zeros_like(rows[:, 0]), np.zeros(rows.shape[0], dtype=bool)
    if isinstance(rule, VectorRule):
        parts, of_part = [(1.0, rows)], _called(rule, xp)
    else:
        own_rule = rule
        parts = own_rule.parts(xp, rows)

        def of_part(dense: Array, k: int) -> Array:
            if reason := own_rule.outside(xp, dense):
                raise ValueError(reason)
            return own_rule.of_part(xp, dense, k)

    for weight, part in parts:
        scored = ~on_host(xp.any(xp.isnan(part), axis=-1))
        groups = keep(ragged.by_id(ids, rows.shape[0], scored))
        found = ragged.map_buckets(xp, part, groups, lambda dense: of_part(dense, k))
        total = total + weight * found
        seen[groups.order] = True
    return total, seen


def _called(rule: VectorRule, xp: Namespace) -> Rule:
    """A user's rule on rows (B, n, c), its answer looked at."""

    def on_rows(rows: Array, k: int) -> Any:
        if rule.takes_lengths:
            return rule(rows[..., :-1], k, lengths=rows[..., -1])
        return rule(rows, k)

    on_rows.__name__ = rule.name
    return checked(on_rows, xp, carried=1)
