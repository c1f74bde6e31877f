"""Rank-linear rules on the CPU: NumPy, in blocks that stay in its cache."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.arrays import Float, Int
from .tables import FromRank, FromZero, Stack

Rewards = npt.NDArray[Any]

#: Rewards in a block: enough to outweigh the calls, few enough for the cache with what is made of them.
BLOCK = 32768
#: Groups in a block at least, where ranks are rows: what a call per rank is worth.
COLUMNS = 512
#: Largest group whose ranks are rows of a block, added up one row at a time; larger ones are summed along
#: the group.
_BY_ROWS = 128
#: Groups in a block from which one call per rank pays.
_WIDE = 24
#: Rewards in a block, at most, whose arrays are kept for the next call of a thread: 5 MiB.
_KEPT = 1 << 17
_LOCAL = threading.local()


def rank_linear(rewards: Rewards, stacks: Sequence[Stack]) -> Rewards:
    """Advantages (rules, ..., n) of rewards (..., n), in their dtype: several rules from one sort.

    A group's bits do not depend on the others: every sum runs along the group, in an order that n alone
    decides. Ties have gap 0, which changes no sum, and what pays 0 adds 0. Cost O(n log n) per group, and
    O(n) per rule.
    """
    n = rewards.shape[-1]
    rules = sum(len(stack.places) for stack in stacks)
    if rewards.size == n <= _BY_ROWS and rules == 1 and isinstance(stacks[0], FromRank):
        return _alone(rewards.reshape(n), stacks[0]).reshape(1, *rewards.shape)
    rows = rewards.reshape(-1, n)
    groups = len(rows)
    result = np.empty((rules, groups, n), rewards.dtype)
    if not groups:
        return result.reshape(rules, *rewards.shape)
    width = min(groups, max(BLOCK // n, COLUMNS if n <= _BY_ROWS else 1))
    space = kept = _space(width, n, rewards.dtype)
    for start in range(0, groups, width):
        block = rows[start : start + width]
        if len(block) != width:
            space = _Space.of(len(block), n, rewards.dtype)
        _block(block, stacks, result[:, start : start + width], space)
    if width * n <= _KEPT:
        _LOCAL.space = kept
    return result.reshape(rules, *rewards.shape)


def _space(groups: int, n: int, dtype: np.dtype[Any]) -> _Space:
    """Arrays of a block, those of this thread's last call where they fit: new memory takes time.

    They are its own until it gives them back.
    """
    kept: _Space | None = _LOCAL.__dict__.pop("space", None)
    if kept is not None and (kept.sorted.dtype, kept.sorted.shape) == (dtype, (groups, n)):
        return kept
    return _Space.of(groups, n, dtype)


def _alone(rewards: Rewards, stack: FromRank) -> Rewards:
    """One rule on one group (n,), to the bit as in a block, which costs several times as much."""
    order = rewards.argsort()
    ranked = rewards[order]
    gaps = np.subtract(ranked[1:], ranked[:-1], dtype=np.float64)
    steps, start, slope = np.empty(len(ranked)), stack.start, stack.slope[0]
    steps[start] = _total_alone(gaps, stack.origin[0]) if stack.debits else 0.0
    up = steps[start:]
    np.multiply(gaps[start:], slope[start:], out=up[1:])
    np.add.accumulate(up, out=up)
    if start:
        down = steps[start::-1]
        np.multiply(gaps[:start], slope[:start], out=steps[:start])
        np.add.accumulate(down, out=down)
    result = np.empty_like(rewards)
    result[order] = steps
    return result


def _total_alone(gaps: Float, below: Float) -> Any:
    """A total (n-1,) as a block of several groups has it: NumPy would sum one vector in another order."""
    twice = np.empty((len(gaps), 2))
    twice[...] = gaps[:, None]
    return np.einsum("mb,m->b", twice, below)[0]


@dataclass(frozen=True, eq=False)
class _Space:
    """Arrays of a block, made once.

    A group is sorted, gathered and written as it lies, a row, next to which its members are. Sums run by rank
    and group, (n, groups), whichever axis is nearer in memory: where a rank is a row, what is added up is
    turned there and back.

    Attributes
    ----------
    first
        Where each group begins, to be added to places in it.
    sorted, ranked
        Rewards in ascending order, (groups, n), and by rank, (n, groups).
    gaps, steps, terms
        (n-1, groups), (n, groups) and (n, groups).
    by_rows
        Whether a rank is a row.
    forward, downward, backward
        Neighbours among the rows of steps, up and down, and of terms, down, to be added in turn; empty where
        a cumulative sum does it, in the same order.
    """

    first: Int
    sorted: Rewards
    ranked: Rewards
    gaps: Float
    steps: Float
    terms: Float
    by_rows: bool
    forward: list[tuple[Float, Float]]
    downward: list[tuple[Float, Float]]
    backward: list[tuple[Float, Float]]

    @classmethod
    def of(cls, groups: int, n: int, dtype: np.dtype[Any]) -> _Space:
        """For blocks of this many groups."""
        by_rows = n <= _BY_ROWS
        shape = (n, groups) if by_rows else (groups, n)
        gaps, steps, terms = (np.empty(shape) for _ in "gst")
        if not by_rows:
            gaps, steps, terms = gaps.T, steps.T, terms.T
        forward, downward, backward = (
            list(pairwise(rows)) if by_rows and groups >= _WIDE else []
            for rows in (steps, steps[::-1], terms[::-1])
        )
        first = np.arange(0, groups * n, n)[:, None]
        rows = np.empty((groups, n), dtype)
        ranked = np.empty(shape, dtype) if by_rows else rows.T
        return cls(first, rows, ranked, gaps[1:], steps, terms, by_rows, forward, downward, backward)


def _block(rewards: Rewards, stacks: Sequence[Stack], result: Rewards, space: _Space) -> None:
    places = rewards.argsort(axis=-1)
    np.add(places, space.first, out=places)
    rewards.ravel().take(places, out=space.sorted, mode="clip")
    ranked = space.ranked
    if space.by_rows:
        ranked[...] = space.sorted.T
    np.subtract(ranked[1:], ranked[:-1], out=space.gaps, dtype=np.float64)
    halves = None
    if any(isinstance(stack, FromZero) for stack in stacks) and ranked[0].min() < 0:
        halves = (
            np.maximum(ranked, 0.0, dtype=np.float64),
            np.minimum(ranked, 0.0, dtype=np.float64),
        )
    write = _Writer.to(result, places, space)
    for stack in stacks:
        for row, place in enumerate(stack.places):
            if isinstance(stack, FromRank):
                _from_rank(space, stack, row)
            elif halves is None:
                _from_zero(space, ranked, stack, row)
            else:
                _around_zero(space, *halves, stack, row)
            write(place)


def _from_rank(space: _Space, stack: FromRank, row: int) -> None:
    gaps, steps, start, origin = space.gaps, space.steps, stack.start, stack.origin[row]
    if not stack.debits:
        steps[start] = 0.0
    elif not space.by_rows:
        np.add.reduce(np.multiply(gaps, origin[:, None], out=space.terms[1:]), axis=0, out=steps[start])
    elif gaps.shape[1] > 1:
        np.einsum("mb,m->b", gaps, origin, out=steps[start])
    else:
        steps[start] = _total_alone(gaps[:, 0], origin)
    slope = stack.slope[row][:, None]
    np.multiply(gaps[start:], slope[start:], out=steps[start + 1 :])
    _accumulate(steps[start:], space.forward[start:])
    if start:
        np.multiply(gaps[:start], slope[:start], out=steps[:start])
        _accumulate(steps[start::-1], space.downward[-start:])


def _from_zero(space: _Space, ranked: Rewards, stack: FromZero, row: int) -> None:
    """A rule with an offset where no reward is negative; nothing is done for a side that is 0."""
    steps, terms, (credited, debited, shared) = space.steps, space.terms, stack.sides[row]
    if debited:
        terms[-1] = 0.0
        np.multiply(space.gaps, stack.down[row, :-1, None], out=terms[:-1])
        _accumulate(terms[::-1], space.backward)
    if not credited:
        np.multiply(ranked, stack.own[row], out=steps, dtype=np.float64)
        if debited:
            steps += terms
        return
    up = stack.up[row]
    np.multiply(ranked[0], up[0], out=steps[0], dtype=np.float64)
    np.multiply(space.gaps, up[1:, None], out=steps[1:])
    _accumulate(steps, space.forward)
    if debited:
        steps += terms
    if shared:
        steps += np.multiply(ranked, stack.own[row], dtype=np.float64)


def _around_zero(space: _Space, high: Float, low: Float, stack: FromZero, row: int) -> None:
    """The same where some are: what rises above 0, and what falls below it."""
    credit, debit = space.steps, space.terms
    rising, falling = high[1:] - high[:-1], low[1:] - low[:-1]
    np.multiply(high[0], stack.up[row, 0], out=credit[0])
    np.multiply(rising, stack.up[row, 1:, None], out=credit[1:])
    credit[1:] += falling * stack.over[row, 1:, None]
    np.multiply(-low[-1], stack.under[row, -1], out=debit[-1])
    np.multiply(falling, stack.under[row, :-1, None], out=debit[:-1])
    debit[:-1] += rising * stack.down[row, :-1, None]
    _accumulate(credit, space.forward)
    _accumulate(debit[::-1], space.backward)
    credit += debit
    credit += high * stack.own[row] + low * stack.cost[row]


def _accumulate(steps: Float, pairs: list[tuple[Float, Float]]) -> None:
    """Cumulative sums along the first axis, in place."""
    if pairs:
        for before, after in pairs:
            np.add(before, after, after)
    else:
        np.add.accumulate(steps, axis=0, out=steps)


@dataclass(frozen=True, eq=False)
class _Writer:
    """Undoes the sort: what stands at a rank goes to the place that the reward had."""

    result: Rewards
    places: Int
    space: _Space
    inverse: Int | None

    @classmethod
    def to(cls, result: Rewards, places: Int, space: _Space) -> _Writer:
        """Of several rules each is read by the inverse permutation, which is made once."""
        if len(result) == 1:
            return cls(result, places, space, None)
        inverse, at = np.empty(places.size, np.intp), np.arange(places.size)
        inverse[places] = at.reshape(space.steps.shape).T if space.by_rows else at.reshape(places.shape)
        return cls(result, places, space, inverse.reshape(result.shape[1:]))

    def __call__(self, rule: int) -> None:
        out, steps, by_rows = self.result[rule], self.space.steps, self.space.by_rows
        if self.inverse is None:
            by_group = steps.T
            if by_rows:
                by_group = self.space.sorted  # which nobody needs any more
                by_group[...] = steps.T
            out.reshape(-1)[self.places] = by_group
            return
        in_memory = (steps if by_rows else steps.T).reshape(-1)
        if out.dtype == steps.dtype:
            in_memory.take(self.inverse, out=out, mode="clip")
        else:
            out[...] = in_memory.take(self.inverse, mode="clip")
