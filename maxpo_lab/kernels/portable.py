"""Rank-linear rules on any Array API namespace: a sort, cumulative sums, the inverse permutation."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import array_api_compat
import numpy as np

from ..core.arrays import Array, Namespace, widest
from .tables import FromRank, FromZero, Stack


def rank_linear(xp: Namespace, rewards: Array, stacks: Sequence[Stack]) -> Array:
    """Advantages (rules, groups, n) of rewards (groups, n), in their dtype: several rules from one sort.

    ``stacks`` are those of ``tables.stacks_on``. Sums run in float64, or in the ``widest`` type that JAX has.
    Nothing waits for the device. Cost O(n log n) per group, and O(n) per further rule.
    """
    ranked, order = _sorted(xp, rewards)
    ranked = xp.astype(ranked, widest(xp), copy=False)
    rows: dict[int, Array] = {}
    for stack in stacks:
        made = _from_rank(xp, ranked, stack) if isinstance(stack, FromRank) else _from_zero(xp, ranked, stack)
        rows |= {place: made[row, ...] for row, place in enumerate(stack.places)}
    together = xp.stack([rows[place] for place in sorted(rows)], axis=0)
    together = xp.astype(together, rewards.dtype, copy=False)
    places = xp.take_along_axis(_of_level(xp, ranked), xp.argsort(order, axis=-1), axis=-1)
    return xp.take_along_axis(together, xp.broadcast_to(places[None, ...], together.shape), axis=-1)


def _of_level(xp: Namespace, ranked: Array) -> Array:
    """The first rank that has the reward of each: a parallel scan may round on past it, though it adds 0.

    Where the library has no running maximum its cumulative sums run rank after rank, and there is no need.
    """
    ranks = xp.arange(ranked.shape[-1], device=array_api_compat.device(ranked))
    ranks = xp.broadcast_to(ranks, ranked.shape)
    running = _running_maximum(xp)
    if running is None:
        return ranks
    rises = ranked[..., 1:] > ranked[..., :-1]
    return running(xp.concat([xp.zeros_like(ranks[..., :1]), ranks[..., 1:] * rises], axis=-1))


def _running_maximum(xp: Namespace) -> Callable[[Array], Array] | None:
    """Of a library's own, along the last axis: the standard has none."""
    if array_api_compat.is_torch_namespace(xp):
        return lambda values: xp.cummax(values, dim=-1).values
    if array_api_compat.is_jax_namespace(xp):
        return lambda values: sys.modules["jax"].lax.cummax(values, axis=values.ndim - 1)
    return None


def _sorted(xp: Namespace, rewards: Array) -> tuple[Array, Array]:
    """Rewards in ascending order, and the place that each had."""
    if array_api_compat.is_torch_namespace(xp):  # whose argsort is this, less the values
        ranked, order = rewards.sort(dim=-1)
        return ranked, order
    order = xp.argsort(rewards, axis=-1, stable=False)
    return xp.take_along_axis(rewards, order, axis=-1), order


def _from_rank(xp: Namespace, ranked: Array, stack: FromRank) -> Array:
    """Ranked advantages (rules, groups, n) of sorted rewards (groups, n)."""
    gaps = ranked[..., 1:] - ranked[..., :-1]
    slope, origin = (_as(xp, each, gaps.dtype)[:, None, :] for each in (stack.slope, stack.origin))
    steps, at = gaps * slope, xp.sum(gaps * origin, axis=-1, keepdims=True)
    up = xp.cumulative_sum(xp.concat([at, steps[..., stack.start :]], axis=-1), axis=-1)
    if not stack.start:
        return up
    down = xp.concat([steps[..., : stack.start], at], axis=-1)
    down = xp.flip(xp.cumulative_sum(xp.flip(down, axis=-1), axis=-1), axis=-1)
    return xp.concat([down[..., :-1], up], axis=-1)


def _from_zero(xp: Namespace, ranked: Array, stack: FromZero) -> Array:
    """The same of rules with an offset."""
    up, down, over, under, own, cost = (
        _as(xp, each, ranked.dtype)[:, None, :]
        for each in (stack.up, stack.down, stack.over, stack.under, stack.own, stack.cost)
    )
    high, low = xp.clip(ranked, 0.0, None), xp.clip(ranked, None, 0.0)
    # Rises to ranks 1..n and falls from them; a rise to n+1 and a fall to rank 0 there is not.
    rising = xp.concat([high[..., :1], high[..., 1:] - high[..., :-1]], axis=-1)
    falling = xp.concat([low[..., 1:] - low[..., :-1], -low[..., -1:]], axis=-1)
    none = xp.zeros_like(ranked[..., :1])
    credit = rising * up + xp.concat([none, falling[..., :-1]], axis=-1) * over
    debit = falling * under + xp.concat([rising[..., 1:], none], axis=-1) * down
    back = xp.flip(xp.cumulative_sum(xp.flip(debit, axis=-1), axis=-1), axis=-1)
    return xp.cumulative_sum(credit, axis=-1) + back + (own * high + cost * low)


def _as(xp: Namespace, table: Array, dtype: Any) -> Array:
    """A table in the type of the sums. JAX, which has NumPy's, knows an array again, and as float32."""
    if isinstance(table, np.ndarray):
        return xp.asarray(np.array(table, dtype=np.dtype(str(dtype))))
    return xp.astype(table, dtype)
