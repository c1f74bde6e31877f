"""Advantages of groups whose prompts have earlier rewards, under a rule that looks at these."""

from __future__ import annotations

from typing import Any

from ..core import ragged
from ..core.arrays import Array, Namespace
from ..estimators.families.with_memory.with_history import HistoryEstimator
from ..estimators.history.argument import as_histories


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
    y, w = as_histories(
        history,
        groups=len(groups.sizes),
        ids=groups.names.tolist() if named else None,
        rule=rule.name,
        rewards="binary" if rule.domain == "binary" else "real",
        weights="whole" if rule.whole_weights else "share",
    )
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
