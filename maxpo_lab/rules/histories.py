"""Advantages of groups whose prompts have earlier rewards, under a rule that looks at these."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from ..core import ragged
from ..core.arguments import whole_number
from ..core.arrays import Array, Float, Namespace
from ..core.rewards import as_rewards
from ..estimators.families.with_memory.with_history import HistoryEstimator
from ..estimators.history.argument import as_histories


def of_dense_groups(rule: HistoryEstimator, rewards: Any, k: int, *, history: Any) -> Array:
    """Advantages (..., n) of rewards (..., n), at a history of each group, in their order."""
    xp, rewards = as_rewards(rewards)
    k = whole_number(k, "k")
    shape = tuple(rewards.shape)
    rows = xp.reshape(rewards, (-1, shape[-1]))
    y, w = _rows(rule, history, rows.shape[0], ids=None)
    return xp.reshape(rule.at_history(xp, rows, k, y, w, history_sorted=True), shape)


def _rows(
    rule: HistoryEstimator, history: Any, groups: int, *, ids: Sequence[Hashable] | None
) -> tuple[Float, Float]:
    return as_histories(
        history,
        groups=groups,
        ids=ids,
        rule=rule.name,
        rewards="binary" if rule.domain == "binary" else "real",
        weights="whole" if rule.whole_weights else "share",
    )


def of_groups_with_history(
    rule: HistoryEstimator,
    xp: Namespace,
    flat: Array,
    groups: ragged.Groups,
    k: int,
    *,
    history: Any,
    named: bool,
) -> Array:
    """Advantages (B,) of rollouts (B,) in these groups, at a history of each; those of no group get 0.

    ``named``: whether the groups have ids, by which a mapping is looked up. Raises as ``as_histories`` and
    ``HistoryEstimator.at_history``; ValueError for groups of several sizes where the rule couples them.
    """
    y, w = _rows(rule, history, len(groups.sizes), ids=groups.names.tolist() if named else None)
    if rule.share != "fair" and len(sizes := sorted(set(groups.sizes.tolist()))) > 1:
        raise ValueError(
            f"groups have {sizes} scored rollouts: {rule.name} learns from groups of one size; drop "
            f"rollouts until "
            f"they are equal, or use replay, whose share is fixed"
        )
    found = xp.zeros_like(flat)
    for rows, members in zip(groups.buckets(), groups.buckets_of_groups(), strict=True):
        dense = xp.reshape(ragged.of_rows(xp, flat, rows.ravel()), rows.shape)
        given = rule.at_history(xp, dense, k, y[members], w[members], history_sorted=True)
        found = found + ragged.to_rows(xp, xp.reshape(given, (-1,)), rows.ravel(), flat.shape[0])
    return found
