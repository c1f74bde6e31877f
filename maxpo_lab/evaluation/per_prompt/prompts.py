"""Rewards of many prompts: which rollouts are whose, and sorted blocks of prompts with as many rollouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core import ragged
from ...core.arrays import Array, Float, Int, on_host
from ...core.finite import not_finite
from ...core.rewards import as_real

#: Rewards sorted at a time: they stay in the cache while all is computed from them.
_BLOCK = 1 << 16


@dataclass(frozen=True, eq=False)
class Prompts:
    """Rollouts by prompt.

    Attributes
    ----------
    ids
        Id of each prompt, (P,): those given, or 0..P-1.
    sizes
        Scored rollouts of each prompt, (P,); 0 where none is.
    rewards
        All rewards, flat, as they were given; on the host.
    order
        Places in ``rewards`` of the scored rollouts, prompt after prompt; None where all are in this order.
    threshold
        What counts as a success, at least, as the rewards' type holds it; None where rewards are taken as
        they are.
    shape
        That in which the rewards were given.
    held
        A number as the rewards' type holds it: 0.7 is less in float32.
    """

    ids: npt.NDArray[Any]
    sizes: Int
    rewards: npt.NDArray[Any]
    order: Int | None
    threshold: float | None
    shape: tuple[int, ...]
    held: Callable[[float], float]

    @cached_property
    def prompts_by_size(self) -> dict[int, int]:
        """How many prompts have n scored rollouts, for every n >= 1 that occurs."""
        counts = np.bincount(self.sizes)
        return {int(size): int(counts[size]) for size in np.flatnonzero(counts) if size}

    def sorted_blocks(self) -> Iterator[tuple[Int | slice, Float]]:
        """Prompts of equal size, and their rewards (b, n) sorted in float64.

        One buffer serves them all: what is kept of a block must be copied, and it may be written into.
        ValueError names the first reward that is infinite or NaN, by its place.
        """
        starts = np.cumsum(self.sizes) - self.sizes
        for size, count in self.prompts_by_size.items():
            chosen = np.flatnonzero(self.sizes == size) if count < len(self.sizes) else None
            step = max(1, _BLOCK // size)
            buffer = np.empty((min(step, count), size))
            for first in range(0, count, step):
                part = slice(first, min(first + step, count))
                which = part if chosen is None else chosen[part]
                ranked = buffer[: part.stop - first]
                if self.order is None:  # all of one size, in order
                    ranked[:] = self.rewards[first * size : part.stop * size].reshape(-1, size)
                else:
                    ranked[:] = self.rewards[self.order[starts[which][:, None] + np.arange(size)]]
                if self.threshold is not None:
                    self._check_finite(ranked.min(axis=1), ranked.max(axis=1))
                    np.greater_equal(ranked, self.threshold, out=ranked)
                ranked.sort(axis=1)
                self._check_finite(ranked[:, 0], ranked[:, -1])  # where a sort leaves what is not finite
                yield which, ranked

    def checked_rewards(self) -> Float:
        """All rewards in float64, flat, 0 or 1 by the threshold; ValueError as in ``sorted_blocks``."""
        rewards = self.rewards.astype(np.float64)
        scored = rewards if self.order is None else rewards[self.order]
        if len(scored):
            self._check_finite(scored, scored)
        return rewards if self.threshold is None else (rewards >= self.threshold).astype(np.float64)

    def _check_finite(self, least: Float, most: Float) -> None:
        if not (np.isfinite(least).all() and np.isfinite(most).all()):
            bad = ~np.isfinite(self.rewards)
            if self.order is not None:
                scored = np.zeros(len(bad), dtype=bool)
                scored[self.order] = True
                bad &= scored
            raise not_finite(self.rewards.reshape(self.shape), bad.reshape(self.shape))


def by_prompt(rewards: Any, group_ids: Any, *, omit: bool, threshold: float | None) -> Prompts:
    """Sort rewards (..., n), or (B,) with an id a row, into prompts.

    ``omit`` leaves out rollouts whose reward is NaN or masked; else they are an error, when the rewards are
    sorted. Raises as ``as_real`` and ``ragged.by_id``.
    """
    xp, values = as_real(rewards, allow_nan=omit, promote=False)
    shape = tuple(values.shape)
    flat = _flat(xp, values)
    unscored = np.isnan(flat) if omit else None
    if group_ids is None:
        width = shape[-1]
        names: npt.NDArray[Any] = np.arange(len(flat) // width)
        sizes = np.full(len(names), width)
        order = None if unscored is None or not unscored.any() else np.arange(len(flat))
    elif len(shape) == 1:
        groups = ragged.by_id(group_ids, len(flat))
        names, sizes, order = groups.names, groups.sizes, groups.order
    else:
        raise ValueError(
            f"rewards have shape {shape}: with group_ids they must have shape (B,), one row a rollout"
        )
    if unscored is not None and order is not None:
        left = unscored[order].astype(np.intp)
        sizes = sizes - np.add.reduceat(left, np.cumsum(sizes) - sizes)
        order = order[left == 0]
    held = _held(xp, values)
    return Prompts(names, sizes, flat, order, None if threshold is None else held(threshold), shape, held)


def _held(xp: Any, values: Array) -> Callable[[float], float]:
    """What rounds a number to the type of the rewards, where that is a floating one."""
    if not xp.isdtype(values.dtype, "real floating"):
        return float

    def held(number: float) -> float:
        with np.errstate(over="ignore"):  # beyond all rewards it is infinite
            return float(xp.asarray(number, dtype=values.dtype))

    return held


def _flat(xp: Any, values: Array) -> npt.NDArray[Any]:
    """Rewards of any library as one flat row of NumPy; bfloat16, which NumPy lacks, as float32."""
    if "bfloat16" in str(values.dtype):
        values = xp.astype(values, xp.float32)
    return on_host(values).reshape(-1)
