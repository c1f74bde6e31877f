"""Rank-linear rules on the CPU: NumPy, in blocks that stay in its cache."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from ..core.arrays import Float, Int
from .ranks import Ranks, Rewards, blocks, width_of
from .tables import FromRank, FromZero, Stack

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
    most = max(BLOCK // n, COLUMNS if n <= _BY_ROWS else 1)
    width = width_of(groups, most, by_rows=n <= _BY_ROWS)
    space = _space(width, n, rewards.dtype)
    for block in blocks(groups, width):
        _block(rows[block], stacks, result[:, block], space)
    if width * n <= _KEPT:
        _LOCAL.space = space
    return result.reshape(rules, *rewards.shape)


def _space(groups: int, n: int, dtype: np.dtype[Any]) -> _Space:
    """Arrays of a block, those of this thread's last call where they fit: new memory takes time.

    They are its own until it gives them back.
    """
    kept: _Space | None = _LOCAL.__dict__.pop("space", None)
    if kept is not None and (kept.ranks.ranked.dtype, kept.ranks.keys.shape) == (dtype, (groups, n)):
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
    """Arrays of a block, made once: sums run by rank and group, (n, groups), and lie in memory as ranks do.

    Attributes
    ----------
    ranks
        The rewards, sorted.
    steps, terms
        (n, groups).
    forward, downward, backward
        Neighbours among the rows of steps, up and down, and of terms, down, to be added in turn; empty where
        a cumulative sum does it, in the same order.
    """

    ranks: Ranks
    steps: Float
    terms: Float
    forward: list[tuple[Float, Float]]
    downward: list[tuple[Float, Float]]
    backward: list[tuple[Float, Float]]

    @classmethod
    def of(cls, groups: int, n: int, dtype: np.dtype[Any]) -> _Space:
        """For blocks of this many groups."""
        by_rows = n <= _BY_ROWS
        ranks = Ranks.of(groups, n, dtype, by_rows=by_rows)
        steps, terms = (np.empty((n, groups)) if by_rows else np.empty((groups, n)).T for _ in "st")
        forward, downward, backward = (
            list(pairwise(rows)) if by_rows and groups >= _WIDE else []
            for rows in (steps, steps[::-1], terms[::-1])
        )
        return cls(ranks, steps, terms, forward, downward, backward)

    @cached_property
    def turned(self) -> tuple[Int, Int]:
        """Where each rank lies in memory, and room for the inverse of the places."""
        places = self.ranks.places
        return np.arange(places.size).reshape(places.shape), np.empty(places.size, np.int64)


def _block(rewards: Rewards, stacks: Sequence[Stack], result: Rewards, space: _Space) -> None:
    space.ranks.sort(rewards)
    ranked = space.ranks.ranked
    halves = None
    if any(isinstance(stack, FromZero) for stack in stacks) and ranked[0].min() < 0:
        halves = (
            np.maximum(ranked, 0.0, dtype=np.float64),
            np.minimum(ranked, 0.0, dtype=np.float64),
        )
    write = _Writer.to(result, space)
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
    gaps, steps, start, origin = space.ranks.gaps, space.steps, stack.start, stack.origin[row]
    if not stack.debits:
        steps[start] = 0.0
    elif not space.ranks.by_rows:
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
        np.multiply(space.ranks.gaps, stack.down[row, :-1, None], out=terms[:-1])
        _accumulate(terms[::-1], space.backward)
    if not credited:
        np.multiply(ranked, stack.own[row], out=steps, dtype=np.float64)
        if debited:
            steps += terms
        return
    up = stack.up[row]
    np.multiply(ranked[0], up[0], out=steps[0], dtype=np.float64)
    np.multiply(space.ranks.gaps, up[1:, None], out=steps[1:])
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
    space: _Space
    inverse: Int | None

    @classmethod
    def to(cls, result: Rewards, space: _Space) -> _Writer:
        """Of several rules each is read by the inverse permutation, which is made once."""
        if len(result) == 1:
            return cls(result, space, None)
        at, inverse = space.turned
        inverse[space.ranks.places] = at
        return cls(result, space, inverse.reshape(result.shape[1:]))

    def __call__(self, rule: int) -> None:
        out, ranks = self.result[rule], self.space.ranks
        steps = self.space.steps if ranks.by_rows else self.space.steps.T
        if self.inverse is None:
            if out.dtype != steps.dtype:
                narrow = ranks.ranked if ranks.by_rows else ranks.ranked.T  # which nobody needs any more
                np.copyto(narrow, steps, casting="same_kind")
                steps = narrow
            out.reshape(-1)[ranks.places] = steps
        elif out.dtype == steps.dtype:
            steps.reshape(-1).take(self.inverse, out=out, mode="clip")
        else:
            out[...] = steps.reshape(-1).take(self.inverse, mode="clip")
