"""The gap-form engine: one sort, two prefix sums, on any Array API namespace."""

from __future__ import annotations

import array_api_compat

from ..core.arrays import Array, Namespace
from .tables import Tables, tables


def rank_linear(
    xp: Namespace,
    rewards: Array,
    *,
    offset: float | Array,
    above: Array,
    below: Array,
    penalties: Array | None = None,
) -> Array:
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
    offset, above, below, penalties
        The rule, as ``Coefficients`` has it: ``above`` and ``below`` are float64 arrays (n-1,) on the device
        of ``rewards``, ``penalties`` one (2, n-1). Arrays that broadcast against (..., n-1), and an offset
        that does against (..., 1), are several rules.

    Returns
    -------
    array (..., n), dtype and device of ``rewards``
        With the leading axes of the rules, where they have some.

    Notes
    -----
    Ties have gap 0 and need no rule: tied rewards get equal advantages. Sums run in float64 whatever
    the dtype, and no two large numbers are subtracted (the gaps of float32 rewards are exact), so
    a float32 result is the float64 one rounded once. Where the level of the rewards counts, see ``Tables``.
    Cost O(n log n) per group, and O(n) per further rule.
    """
    made = tables(xp, offset=offset, above=above, below=below, penalties=penalties)
    return from_tables(xp, rewards, made)


def from_tables(xp: Namespace, rewards: Array, made: Tables) -> Array:
    """``rank_linear`` of a rule whose tables were made before."""
    ranked, order = _sorted(xp, rewards)
    ranked = xp.astype(ranked, xp.float64, copy=False)
    # One more gap of 0 at either end, so that the prefix sums start with it and have n terms.
    none = xp.zeros_like(ranked[..., :1])
    if made.from_zero is None:
        gaps = ranked[..., 1:] - ranked[..., :-1]
        credit = xp.concat([none, gaps], axis=-1) * made.up
        debit = xp.concat([gaps, none], axis=-1) * made.down
        advantages = _both_ways(xp, credit, debit)
    else:
        over, failure, own, cost = made.from_zero
        high, low = xp.clip(ranked, 0.0, None), xp.clip(ranked, None, 0.0)
        rising = xp.concat([high[..., :1], high[..., 1:] - high[..., :-1]], axis=-1)  # m = 0..n-1
        falling = xp.concat([low[..., 1:] - low[..., :-1], -low[..., -1:]], axis=-1)  # m = 1..n
        credit = rising * made.up + xp.concat([none, falling[..., :-1]], axis=-1) * over
        debit = falling * failure + xp.concat([rising[..., 1:], none], axis=-1) * made.down
        advantages = _both_ways(xp, credit, debit) + (own * high + cost * low)
    advantages = xp.astype(advantages, rewards.dtype, copy=False)
    return _put_back(xp, xp.broadcast_to(order, advantages.shape), advantages)


def _sorted(xp: Namespace, rewards: Array) -> tuple[Array, Array]:
    """Rewards in ascending order, and the place that each had."""
    if array_api_compat.is_torch_namespace(xp):  # whose argsort is this, less the values
        ranked, order = rewards.sort(dim=-1)
        return ranked, order
    order = xp.argsort(rewards, axis=-1, stable=False)
    return xp.take_along_axis(rewards, order, axis=-1), order


def _both_ways(xp: Namespace, credit: Array, debit: Array) -> Array:
    """Sums of ``credit`` up to each rank, and of ``debit`` from it."""
    back = xp.flip(xp.cumulative_sum(xp.flip(debit, axis=-1), axis=-1), axis=-1)
    return xp.cumulative_sum(credit, axis=-1) + back


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
