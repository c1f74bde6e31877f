"""Advantages of groups whose prompts have earlier rewards, under a rule that looks at these."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from ..core import ragged
from ..core.arguments import whole_number
from ..core.arrays import Array, Float, Namespace
from ..core.rewards import as_rewards
from ..estimators.families.with_memory.with_history import HistoryEstimator
from ..estimators.history.argument import as_histories
from ..estimators.limits import held, unwarned


def of_dense_groups(rule: HistoryEstimator, rewards: Any, k: int, *, history: Any) -> Array:
    """Advantages (..., n) of rewards (..., n), at a history of each group, in their order."""
    xp, rewards = as_rewards(rewards)
    k = whole_number(k, "k")
    shape = tuple(rewards.shape)
    if rule.couples and len(shape) != 2:
        raise ValueError(
            f"rewards have shape {shape}: {rule.name} learns from the groups of one batch and needs (P, n)"
        )
    rows = xp.reshape(rewards, (-1, shape[-1]))
    y, w = _rows(rule, history, rows.shape[0], ids=None)
    with unwarned():
        found = held(rule.name, xp, rows, rule.at_history(xp, rows, k, y, w, history_sorted=True))
    return xp.reshape(found, shape)


def _rows(
    rule: HistoryEstimator, history: Any, groups: int, *, ids: Sequence[Hashable] | None
) -> tuple[Float, Float]:
    if (rule.keep, rule.decay) != (64, 1.0):
        raise ValueError(
            f"{rule.name}: keep and decay are of what its state remembers, and a history= is taken "
            f"whole; use "
            f"{rule.name.partition(':')[0]}, with weights where age matters"
        )
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
    given: tuple[Any, ...],
    named: bool,
    drop: bool,
) -> Array:
    """Advantages (B,) of rollouts (B,) in these groups, at a history of each; those of no group get 0.

    ``given`` are the groups that there were before unscorable rollouts were left out, in the order of a
    history that is a sequence; ``named``: whether they have ids, by which a mapping is looked up. ``drop``:
    give groups that the rule is not defined on at their history 0. Raises as ``as_histories`` and
    ``HistoryEstimator.at_history``; ValueError for groups of several sizes where the rule couples them.
    """
    y, w = _rows(rule, history, len(given), ids=given if named else None)
    place = {name: row for row, name in enumerate(given)}
    own = np.array([place[name] for name in groups.names.tolist()], dtype=np.intp)
    if rule.couples and len(sizes := sorted(set(groups.sizes.tolist()))) > 1:
        raise ValueError(
            f"groups have {sizes} scored rollouts: {rule.name} learns from groups of one size; drop "
            f"rollouts until "
            f"they are equal, or use replay, whose share is fixed"
        )
    found = xp.zeros_like(flat)
    for bucket, members in zip(groups.buckets(), groups.buckets_of_groups(), strict=True):
        rows, past, weights, n = bucket, y[own[members]], w[own[members]], bucket.shape[1]
        if rule.undefined(n, k, weights, rule.keep):
            reasons = [rule.undefined(n, k, each[None], rule.keep) for each in weights]
            if not drop:
                first = next(row for row, reason in enumerate(reasons) if reason)
                name = ragged.shortened(str(groups.names[members[first]]))
                raise ValueError(
                    f"group {name} has {n} scored rollouts and {int((weights[first] > 0).sum())} "
                    f"earlier rewards: "
                    f"{reasons[first]}; small_groups='zero' gives such groups advantage 0"
                )
            kept = np.array([reason is None for reason in reasons])
            rows, past, weights = rows[kept], past[kept], weights[kept]
        if drop and rule.couples and len(rows) < 2:
            continue
        if len(rows):
            dense = xp.reshape(ragged.of_rows(xp, flat, rows.ravel()), rows.shape)
            with unwarned():
                each = rule.at_history(xp, dense, k, past, weights, history_sorted=True)
                each = held(rule.name, xp, dense, each)
            found = found + ragged.to_rows(xp, xp.reshape(each, (-1,)), rows.ravel(), flat.shape[0])
    return found
