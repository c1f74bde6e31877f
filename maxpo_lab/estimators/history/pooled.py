r"""Pooled: maxpo on a group and its history together, of which the fresh rollouts get their advantages.

With N = n + m rewards in the pool, K may be as large as N-1, far above n. Unbiased where the history comes
from the same policy, and only there: a history of success rate q makes it

.. math:: f(p) = K \sum_t \text{Hyp}(t;\, N-1,\, n-1,\, K-1)\, (1-p)^t (1-q)^{K-1-t}

in place of ``K (1-p)^(K-1)``. History in the baseline is safe at any staleness, history inside the max is
not.
"""

from __future__ import annotations

import array_api_compat
import numpy as np

from ...core.arrays import Array, Namespace, on_host, widest
from .tables import maxpo


def why_not(n: int, k: int, m: int) -> str | None:
    """Reason why pooled is undefined for groups of n with m earlier rewards at least, with a valid choice."""
    if n + m < 2:
        return f"pooled needs a pool of at least 2 rewards (n={n}, m={m}); use reinforce, or a longer history"
    if 1 <= k <= n + m - 1:
        return None
    if k < 1:
        return f"k={k}: pooled needs 1 <= k <= n + m - 1 = {n + m - 1}; the nearest valid choice is k=1"
    longer = f", or {k + 1 - n} earlier rewards of every prompt"
    return (
        f"k={k}: pooled needs 1 <= k <= n + m - 1 = {n + m - 1} (n={n}, m={m} earlier rewards of a prompt); "
        f"the nearest valid choice is k={n + m - 1}{longer}"
    )


def pooled(xp: Namespace, rewards: Array, k: int, y: Array, w: Array) -> Array:
    """``maxpo(R and y together, k)`` of the fresh rollouts, unchecked.

    Rewards (..., n), histories y (..., m) with weights w of 1, or 0 for padding: the maximum of a subset has
    no place for half a reward. ``1 <= k <= n - 1 + (number of ones)`` in every group. Returns (..., n) in the
    rewards' dtype. Cost O((n+m) log(n+m)) a group; waits for the device, to see how long histories are.
    """
    wide, n = widest(xp), rewards.shape[-1]
    fresh, past, counts = (xp.reshape(each, (-1, each.shape[-1])) for each in (rewards, y, w > 0))
    fresh, past = (xp.astype(each, wide, copy=False) for each in (fresh, past))
    bottom = xp.min(xp.where(counts, past, fresh[:, :1]), axis=-1, keepdims=True)
    bottom = xp.minimum(bottom, xp.min(fresh, axis=-1, keepdims=True))
    # What is no reward lies at the bottom, where it makes no gap: the ranks above are counted from the top.
    pool = xp.concat([fresh, xp.where(counts, past, bottom)], axis=-1)
    order = xp.argsort(pool, axis=-1)
    ranked = xp.take_along_axis(pool, order, axis=-1)
    gaps = ranked[:, 1:] - ranked[:, :-1]
    sizes = on_host(xp.sum(xp.astype(counts, xp.int32), axis=-1))
    below, slope = _tables(xp, sizes, n=n, m=past.shape[1], k=k, like=gaps)
    lowest = xp.sum(gaps * below, axis=-1, keepdims=True)
    advantages = xp.cumulative_sum(xp.concat([lowest, gaps * slope], axis=-1), axis=-1)
    back = xp.argsort(order, axis=-1)[:, :n]
    found = xp.take_along_axis(advantages, back, axis=-1)
    return xp.reshape(xp.astype(found, rewards.dtype, copy=False), rewards.shape)


def _tables(xp: Namespace, sizes: Array, *, n: int, m: int, k: int, like: Array) -> tuple[Array, Array]:
    """What each gap of a pool pays to the lowest rank, and adds on the way up, (B, n+m-1) each."""
    found, which = np.unique(sizes, return_inverse=True)
    below, slope = np.zeros((2, len(found), n + m - 1))
    for row, size in enumerate(found):
        below[row, m - size :], slope[row, m - size :] = maxpo(n + int(size), k)
    device, dtype = array_api_compat.device(like), like.dtype
    one, two = (xp.asarray(each[which], device=device) for each in (below, slope))
    return xp.astype(one, dtype, copy=False), xp.astype(two, dtype, copy=False)
