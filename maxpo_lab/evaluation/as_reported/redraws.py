"""verl's best@N: the mean of a maximum over one table of redraws with replacement."""

from __future__ import annotations

from functools import cache
from typing import Any

import array_api_compat
import numpy as np

from ...core.arrays import Array, Float, Int, widest
from ...core.rewards import as_rewards
from ..base import ValueClaims, ValueRule

#: Of ``bootstrap_metric``.
REDRAWS, SEED = 1000, 42
#: Numbers held at a time.
_ENTRIES = 1 << 22


@cache
def _sets(n: int, k: int) -> tuple[Int, Float]:
    """The sets of places that are drawn (S, <= k), padded with a place of theirs, and their shares (S,)."""
    drawn = np.random.RandomState(SEED).choice(n, size=(REDRAWS, k), replace=True)
    sets, times = np.unique(np.sort(drawn, axis=1), axis=0, return_counts=True)
    inside = np.zeros((len(sets), n), dtype=bool)
    np.put_along_axis(inside, sets, values=True, axis=1)
    inside, group = np.unique(inside, axis=0, return_inverse=True)
    share = np.bincount(group.reshape(-1), weights=times) / REDRAWS
    width = int(inside.sum(axis=1).max())
    first = inside.argmax(axis=1)[:, None]
    order = np.argsort(~inside, axis=1, kind="stable")[:, :width]
    return np.where(np.arange(width) < inside.sum(axis=1, keepdims=True), order, first), share


def redrawn_sizes(n: int, k: int) -> tuple[Int, Float]:
    """How many rollouts a redraw holds, by redraw that is a set of its own, and the shares of these.

    Of a policy's i.i.d. rollouts the mean of ``verl_redraws`` is the mean of J_s over these sizes s.
    """
    places, share = _sets(n, k)
    ordered = np.sort(places, axis=1)
    return 1 + (np.diff(ordered, axis=1) > 0).sum(axis=1), share


def verl_redraws(rewards: Any, k: int) -> Array:
    r"""Mean of max over the 1,000 redraws of K places that NumPy's legacy generator gives after seed 42.

    .. math:: \frac{1}{1000} \sum_{b=1}^{1000} \max_{j \le K} R_{t_{bj}},

    with the table t of n and K alone: the same for every prompt and every validation. Its mean over the
    orders of a group is near ``plug-in``, from which 1,000 redraws are off for good. Cost O(1000 n K).
    """
    xp, rewards = as_rewards(rewards)
    n = rewards.shape[-1]
    places, share = _sets(n, k)
    device = array_api_compat.device(rewards)
    columns = [xp.asarray(places[:, place], device=device) for place in range(places.shape[1])]
    weights = xp.asarray(share, device=device, dtype=widest(xp))
    flat = xp.reshape(rewards, (-1, n))
    block = max(1, _ENTRIES // len(share))
    parts = []
    for start in range(0, flat.shape[0], block):
        groups = flat[start : start + block, :]
        best = xp.take(groups, columns[0], axis=-1)
        for column in columns[1:]:
            best = xp.maximum(best, xp.take(groups, column, axis=-1))
        parts.append(xp.sum(xp.astype(best, widest(xp)) * weights, axis=-1))
    return xp.astype(xp.reshape(xp.concat(parts), rewards.shape[:-1]), rewards.dtype)


VERL_REDRAWS = ValueRule(
    name="verl-redraws",
    title="Mean of the maximum over one table of 1,000 redraws",
    equation="mean over b = 1..1000 of max_j R_t(b,j), t(b,j) uniform in 1..n from seed 42, j = 1..K",
    citation="verl 0.9.1, best@N of process_validation_metrics (bootstrap_metric)",
    function=verl_redraws,
    claims=ValueClaims(unbiased=False, order_free=False),
    beyond_n=False,
)
