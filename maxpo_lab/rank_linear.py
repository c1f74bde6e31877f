"""The gap-form engine: one sort, two prefix sums, on any Array API namespace."""

from __future__ import annotations

import array_api_compat

from .groups import Array, Namespace


def rank_linear(xp: Namespace, rewards: Array, *, offset: float | Array, above: Array, below: Array) -> Array:
    r"""Advantages of a rank-linear rule, or of several rules from one sort.

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
        The rule; ``above`` and ``below`` are float64 arrays (n-1,) on the device of ``rewards``. Arrays that
        broadcast against (..., n-1), and an offset that does against (..., 1), are several rules.

    Returns
    -------
    array (..., n), dtype and device of ``rewards``
        With the leading axes of the rules, where they have some.

    Notes
    -----
    Ties have gap 0 and need no rule: tied rewards get equal advantages. Sums run in float64 whatever
    the dtype, and no two large numbers are subtracted (the gaps of float32 rewards are exact), so
    a float32 result is the float64 one rounded once. Cost O(n log n) a group, and O(n) a further rule.
    """
    order = xp.argsort(rewards, axis=-1, stable=False)
    ranked = xp.astype(xp.take_along_axis(rewards, order, axis=-1), xp.float64, copy=False)
    gaps = ranked[..., 1:] - ranked[..., :-1]
    lowest = ranked[..., :1]
    # One more gap of 0 at either end, so that the prefix sums start with it and have n terms.
    none = xp.zeros_like(lowest)
    up = xp.concat([none, gaps], axis=-1)
    down = xp.flip(xp.concat([gaps, none], axis=-1), axis=-1)
    credit = xp.cumulative_sum(up * _padded(xp, above), axis=-1)
    debit = xp.cumulative_sum(down * _padded(xp, xp.flip(below, axis=-1)), axis=-1)
    advantages = credit + xp.flip(debit, axis=-1)
    if not isinstance(offset, (int, float)) or offset:
        advantages = advantages + offset * lowest
    advantages = xp.astype(advantages, rewards.dtype, copy=False)
    return _put_back(xp, xp.broadcast_to(order, advantages.shape), advantages)


def _padded(xp: Namespace, coefficients: Array) -> Array:
    """Coefficients (..., n-1) with a 0 before them."""
    shape = (*coefficients.shape[:-1], 1)
    zero = xp.zeros(shape, dtype=coefficients.dtype, device=array_api_compat.device(coefficients))
    return xp.concat([zero, coefficients], axis=-1)


def _put_back(xp: Namespace, order: Array, ranked: Array) -> Array:
    """Undo the sort: entry ``order[r]`` of the result is entry r of ``ranked``."""
    if array_api_compat.is_torch_namespace(xp):
        return xp.empty_like(ranked).scatter_(-1, order, ranked)
    if array_api_compat.is_numpy_namespace(xp):
        result = xp.empty_like(ranked)
        xp.put_along_axis(result, order, ranked, axis=-1)
        return result
    # The standard has no scatter along an axis; a second argsort inverts the permutation.
    return xp.take_along_axis(ranked, xp.argsort(order, axis=-1), axis=-1)
