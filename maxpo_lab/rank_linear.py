"""The gap-form engine: one sort, two prefix sums, on any Array API namespace."""

from __future__ import annotations

from dataclasses import dataclass

import array_api_compat

from .groups import Array, Namespace


@dataclass(frozen=True, eq=False)
class Tables:
    r"""A rank-linear rule on one device, ready to be multiplied with gaps.

    Attributes
    ----------
    up, down
        What each gap pays to those above and below it, (..., n): with a 0 for the gap that is not there.
    from_zero
        Of a rule with an offset: the sums are counted from reward 0, not from the lowest, so that
        ``offset R_(1)`` is not there to cancel. A gap around 0 is two gaps, and 0 itself is a level: what
        rises above it takes ``above`` and ``below``, what falls below it ``above - offset`` and
        ``below - offset``. Rewards [-1e16, 1] have gaps 1e16 and 1, and the 1 survives wherever the rule
        gives 0 to the other. Error: a few eps of ``sum_j |dA_i/dR_j R_j|``. The two tables of what falls, and
        two shares (..., 1) of the reward itself, above 0 and below.
    """

    up: Array
    down: Array
    from_zero: tuple[Array, Array, Array, Array] | None = None


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
    Cost O(n log n) a group, and O(n) a further rule.
    """
    made = tables(xp, offset=offset, above=above, below=below, penalties=penalties)
    return from_tables(xp, rewards, made)


def tables(
    xp: Namespace,
    *,
    offset: float | Array,
    above: Array,
    below: Array,
    penalties: Array | None = None,
) -> Tables:
    """What ``from_tables`` multiplies the sorted rewards with: the rule, as ``rank_linear`` takes it."""
    if isinstance(offset, (int, float)) and not offset:
        zero = _like(xp, 0.0, above)
        return Tables(up=xp.concat([zero, above], axis=-1), down=xp.concat([below, zero], axis=-1))
    offset = _like(xp, offset, above)
    zero = xp.zeros_like(offset)
    over, under = (
        (above - offset, below - offset) if penalties is None else (penalties[0, ...], penalties[1, ...])
    )
    success = xp.concat([offset, above], axis=-1)
    failure = xp.concat([under, -offset], axis=-1)
    # What all of a rule's coefficients have in common multiplies the reward itself, where it rounds nothing:
    # all of reinforce and of pkpo-s at K = 1, which give the rewards back.
    own, cost = _common(xp, success), _common(xp, -failure)
    return Tables(
        up=success - own,
        down=xp.concat([below, zero], axis=-1),
        from_zero=(xp.concat([zero, over], axis=-1), failure + cost, own, cost),
    )


def from_tables(xp: Namespace, rewards: Array, made: Tables) -> Array:
    """``rank_linear`` of a rule whose tables were made before."""
    order = xp.argsort(rewards, axis=-1, stable=False)
    ranked = xp.astype(xp.take_along_axis(rewards, order, axis=-1), xp.float64, copy=False)
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


def _both_ways(xp: Namespace, credit: Array, debit: Array) -> Array:
    """Sums of ``credit`` up to each rank, and of ``debit`` from it."""
    back = xp.flip(xp.cumulative_sum(xp.flip(debit, axis=-1), axis=-1), axis=-1)
    return xp.cumulative_sum(credit, axis=-1) + back


def _common(xp: Namespace, coefficients: Array) -> Array:
    """The coefficient (..., 1) nearest to 0 where all have one sign, else 0."""
    least = xp.min(coefficients, axis=-1, keepdims=True)
    most = xp.max(coefficients, axis=-1, keepdims=True)
    return xp.clip(least, 0.0, None) + xp.clip(most, None, 0.0)


def _like(xp: Namespace, value: float | Array, coefficients: Array) -> Array:
    """A number, or an array (..., 1), as an array (..., 1) beside coefficients (..., n-1)."""
    shape = (*coefficients.shape[:-1], 1)
    if isinstance(value, (int, float)):
        device = array_api_compat.device(coefficients)
        return xp.full(shape, float(value), dtype=coefficients.dtype, device=device)
    return xp.broadcast_to(value, shape)


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
