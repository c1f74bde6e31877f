"""Rules with history on the CPU: NumPy, in blocks that stay in its cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.arrays import Bool, Float, Int
from ...kernels.ranks import Ranks, blocks, width_of
from .argument import all_are_one
from .tables import Tables

Values = npt.NDArray[Any]
Counts = npt.NDArray[np.unsignedinteger[Any]]

#: Rewards of groups and histories in a block: enough to outweigh the calls, few enough for the cache.
BLOCK = 1 << 16
#: Side of the squares in which a history is turned.
_SQUARE = 64


def evaluate(
    rewards: Values,
    y: Values,
    w: Values,
    *,
    tables: Sequence[Tables],
    shares: Sequence[Values | float | None],
    history_sorted: bool,
) -> Values:
    """Advantages (tables, B, n) of groups (B, n) against histories (B, m), in the rewards' dtype."""
    (groups, n), size = rewards.shape, y.shape[1]
    result = np.empty((len(tables), groups, n), rewards.dtype)
    if not result.size:
        return result
    width = width_of(groups, max(2, BLOCK // max(n, size)), by_rows=True)
    first = min(table.first for table in tables)
    space = _Space.of(max(2, width), n, size, first, y.dtype)
    for block in blocks(groups, width):
        here, past, weights = _two(rewards[block]), _two(y[block]), _two(w[block])
        if not history_sorted:
            order = past.argsort(axis=-1)
            past, weights = (np.take_along_axis(each, order, axis=-1) for each in (past, weights))
        weight, beyond = _against(space, here, np.ascontiguousarray(past), weights)
        alone = len(rewards[block]) == 1
        for row, (table, share) in enumerate(zip(tables, shares, strict=True)):
            part = _two(share[block]) if isinstance(share, np.ndarray) else share
            _advantages(space, table, _share(weight, part, table), weight, beyond)
            made = np.empty(here.shape, rewards.dtype) if alone else result[row, block]
            made.reshape(-1)[space.ranks.places] = space.steps
            if alone:
                result[row, block] = made[:1]
    return result


def _two(rows: Values) -> Values:
    """A block of one group as one of two, which NumPy sums in another order."""
    return np.repeat(rows, 2, axis=0) if len(rows) == 1 else rows


@dataclass(frozen=True, eq=False)
class _Space:
    """Arrays of a block, made once, a rank a row: (n, groups); allocating them takes as long as the sums.

    Attributes
    ----------
    ranks, reached
        Rewards, sorted, and those at which the history counts.
    missed, below
        Sum of ``w (R_(r) - y)^+`` over the history there, and what is subtracted for it.
    under
        Differences of missed.
    steps, terms
        To compute in; steps are the advantages in the end.
    count, moved, passed, found, place
        How many rewards of the history are not above each rank, what the bisection moves by, sees and reads,
        and where.
    sums, upto
        Of the first 0..m of the history, sums of the rewards and of the weights, (m+1, groups).
    neighbours
        Pairs of rows of steps, of sums, and of upto.
    """

    ranks: Ranks
    reached: Float
    missed: Float
    below: Float
    under: Float
    steps: Float
    terms: Float
    count: Counts
    moved: Counts
    passed: Bool
    found: Values
    place: Int
    sums: Float
    upto: Float
    neighbours: tuple[list[tuple[Float, Float]], ...]

    @classmethod
    def of(cls, groups: int, n: int, size: int, first: int, dtype: np.dtype[Any]) -> _Space:
        """For blocks of this many groups, whose history counts from a rank on."""
        ranks = Ranks.of(groups, n, np.dtype(np.float64), by_rows=True)
        steps, terms = (np.empty((n, groups)) for _ in range(2))
        missed, below = (np.empty((n - first, groups)) for _ in range(2))
        under, place = np.empty((n - 1 - first, groups)), np.empty((n - first, groups), np.intp)
        count, moved = (np.empty((n - first, groups), np.min_scalar_type(size)) for _ in range(2))
        sums, upto = (np.empty((size + 1, groups)) for _ in range(2))
        sums[0] = upto[0] = 0.0
        return cls(
            ranks=ranks,
            reached=ranks.ranked[first:],
            missed=missed,
            below=below,
            under=under,
            steps=steps,
            terms=terms,
            count=count,
            moved=moved,
            passed=np.empty((n - first, groups), np.bool_),
            found=below if dtype == below.dtype else np.empty((n - first, groups), dtype),
            place=place,
            sums=sums,
            upto=upto,
            neighbours=tuple(list(pairwise(rows)) for rows in (steps, sums[1:], upto[1:])),
        )


def _against(space: _Space, rewards: Values, y: Values, w: Values) -> tuple[Float, Float]:
    """All that depends on the rewards alone; W and the sum of ``w (y - R_(n))^+``, (groups,) each."""
    groups, lowest = len(rewards), space.ranks.ranked[0]
    space.ranks.sort(rewards)
    _at_or_below(space, y)
    place, sums, missed, below = space.place, space.sums, space.missed, space.below
    rise = np.subtract(space.reached, lowest, out=space.steps[-len(missed) :])
    np.multiply(space.count, groups, out=place, dtype=np.intp)
    np.add(place, np.arange(groups), out=place)
    _turn(y, sums[1:])
    np.subtract(sums[1:], lowest, out=sums[1:])
    if all_are_one(w):  # the same bits, in less time
        np.multiply(space.count, rise, out=below)
        weight = np.full(groups, float(y.shape[1]))
    else:
        upto = space.upto
        _turn(w, upto[1:])
        np.multiply(sums[1:], upto[1:], out=sums[1:])
        _accumulate(space.neighbours[2])
        upto.reshape(-1).take(place, out=below, mode="clip")
        np.multiply(below, rise, out=below)
        weight = upto[-1]
    _accumulate(space.neighbours[1])
    sums.reshape(-1).take(place, out=missed, mode="clip")
    np.subtract(below, missed, out=missed)
    np.subtract(missed[1:], missed[:-1], out=space.under)
    return weight, sums[-1] - weight * rise[-1] + missed[-1]


def _at_or_below(space: _Space, y: Values) -> None:
    """Count the sorted y (groups, m) at or below each rank: four parts, then bisection of all at once."""
    size, count, moved, passed = y.shape[1], space.count, space.moved, space.passed
    bits = passed.view(np.uint8)
    step = 1 << max(0, (size - 1).bit_length() - 2)  # a quarter, or up to half of what it is
    count[...] = 0
    for end in np.ascontiguousarray(y[:, step - 1 :: step].T):
        np.less_equal(end, space.reached, out=passed)
        np.add(count, bits, out=count)
    # Where the part begins that each is in; the last one is whole, and short of all that it holds by one.
    np.multiply(count, count.dtype.type(step), out=count)
    np.minimum(count, count.dtype.type(max(0, size - step)), out=count)
    flat, start = y.reshape(-1), np.arange(0, y.size, size)
    while step > 1:
        step //= 2
        np.add(count, start, out=space.place)
        flat[step - 1 :].take(space.place, out=space.found, mode="clip")
        np.less_equal(space.found, space.reached, out=passed)
        np.add(count, np.multiply(bits, count.dtype.type(step), out=moved), out=count)
    np.less_equal(y[:, -1].copy(), space.reached, out=passed)
    np.add(count, bits, out=count)


def _share(weight: Float, share: Values | float | None, table: Tables) -> Float:
    """The share s of the history, (groups,): 0 where there is none."""
    some = weight > 0
    if share is None:
        share = weight / np.where(some, weight + table.spare, 1.0)
    return np.where(some, share, 0.0)


def _advantages(space: _Space, table: Tables, share: Float, weight: Float, beyond: Float) -> None:
    """Advantages at the ranks, into ``space.steps``; under and beyond are W times what ``Tables`` means."""
    gaps, under, steps, terms = space.ranks.gaps, space.under, space.steps, space.terms[1:]
    (o, p, q), (a, b, c) = table.origin, table.slope
    per_weight = share / np.where(weight > 0, weight, 1.0)
    first = len(gaps) - len(under)
    lowest = np.einsum("mb,m->b", gaps, o) + share * np.einsum("mb,m->b", gaps, p)
    reached = np.einsum("mb,m->b", under, q[first:]) + table.short * space.missed[0] - table.reach * beyond
    np.add(lowest, per_weight * reached, out=steps[0])
    if table.own:
        steps[0] += (1 - share) * space.ranks.ranked[0]
    rows = steps[1:]
    np.multiply(gaps, b[:, None], out=terms)
    np.multiply(terms, share, out=terms)
    np.multiply(gaps, a[:, None], out=rows)
    np.add(rows, terms, out=rows)
    if len(under):
        part = np.multiply(under, c[first:, None], out=terms[first:])
        np.multiply(part, per_weight, out=part)
        np.add(rows[first:], part, out=rows[first:])
    _accumulate(space.neighbours[0])


def _turn(rows: Values, out: Float) -> None:
    """Rows as columns, in squares that stay in the cache."""
    for start in range(0, len(rows), _SQUARE):
        out[:, start : start + _SQUARE] = rows[start : start + _SQUARE].T


def _accumulate(neighbours: list[tuple[Float, Float]]) -> None:
    for before, after in neighbours:
        np.add(before, after, after)
