"""The gap-form engine: one sort, two prefix sums, on any Array API namespace."""

from __future__ import annotations

import array_api_compat

from .groups import Array, Namespace


def rank_linear(xp: Namespace, rewards: Array, *, offset: float, above: Array, below: Array) -> Array:
    r"""Advantages of a rank-linear rule.

    .. math:: A_{(r)} = \text{offset}\, R_{(1)} + \sum_{m<r} \text{gap}_m\, \text{above}_m
              + \sum_{m \ge r} \text{gap}_m\, \text{below}_m,
              \qquad \text{gap}_m = R_{(m+1)} - R_{(m)} .

    Parameters
    ----------
    xp
        Namespace of ``rewards``.
    rewards
        Finite rewards, shape (..., n), real floating.
    offset, above, below
        The rule; ``above`` and ``below`` are float64 arrays (n-1,) on the device of ``rewards``.

    Returns
    -------
    array (..., n), dtype and device of ``rewards``

    Notes
    -----
    Ties have gap 0 and need no rule: tied rewards get equal advantages. Sums run in float64 whatever
    the dtype, and no two large numbers are subtracted (the gaps of float32 rewards are exact), so
    a float32 result is the float64 one rounded once. Cost O(n log n) a group.
    """
    order = xp.argsort(rewards, axis=-1, stable=False)
    ranked = xp.astype(xp.take_along_axis(rewards, order, axis=-1), xp.float64)
    gaps = ranked[..., 1:] - ranked[..., :-1]
    lowest = ranked[..., :1]
    none = xp.zeros_like(lowest)
    credit = xp.concat([none, xp.cumulative_sum(gaps * above, axis=-1)], axis=-1)
    debit = xp.cumulative_sum(xp.flip(gaps * below, axis=-1), axis=-1)
    advantages = credit + xp.flip(xp.concat([none, debit], axis=-1), axis=-1)
    if offset:
        advantages = advantages + offset * lowest
    return _put_back(xp, order, xp.astype(advantages, rewards.dtype))


def _put_back(xp: Namespace, order: Array, ranked: Array) -> Array:
    """Undo the sort: entry ``order[r]`` of the result is entry r of ``ranked``."""
    if array_api_compat.is_torch_namespace(xp):
        return xp.empty_like(ranked).scatter(-1, order, ranked)
    if array_api_compat.is_numpy_namespace(xp):
        result = xp.empty_like(ranked)
        xp.put_along_axis(result, order, ranked, axis=-1)
        return result
    # The standard has no scatter along an axis; a second argsort inverts the permutation.
    return xp.take_along_axis(ranked, xp.argsort(order, axis=-1), axis=-1)
