"""The states a group can be in: counts of its reward levels, or whole arrangements of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, combinations, islice, product
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.arrays import Float, Int
from ..core.binomial import binomial

#: Entries (groups x n) evaluated at a time: 1 MiB per array of float64, so that a rule that holds
#: a dozen of them stays far below the promised 256 MiB and within the caches.
BLOCK_ENTRIES = 1 << 17
#: Entries (groups x n, or x levels where these are more) of an (n, L) whose groups are kept, a byte or two
#: each, and how many of these are: at most some 100 MiB.
KEPT_ENTRIES, _KEPT = 1 << 21, 16

#: Small whole numbers.
Small = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some states: ``level`` (B, n), the level index of each rollout, and their ``probability`` (B,)."""

    level: Int
    probability: Float


def number_of_counts(n: int, levels: int) -> int:
    """``C(n+L-1, L-1)``: the ways in which n rollouts spread over L levels."""
    return comb(n + levels - 1, levels - 1)


def number_of_states(n: int, levels: int, *, equivariant: bool) -> int:
    """Groups on which a rule must be evaluated: one for each count state, or ``L^n`` where order matters."""
    return number_of_counts(n, levels) if equivariant else int(levels) ** n


def counts(n: int, size: int) -> Int:
    """Every multiset of n over ``size`` levels as its counts, shape (states, size)."""
    return np.concatenate([table for table, _ in _tables(n, size)])


def count_table(n: int, probabilities: Float) -> tuple[Int, Float]:
    """Counts (states, L) of every group of n, and their multinomial probabilities (states,)."""
    return counts(n, len(probabilities)), np.concatenate(
        [each.probability for each in count_blocks(n, probabilities)]
    )


def count_blocks(n: int, probabilities: Float) -> Iterator[Block]:
    """Every count state once, as a group sorted by level, with its multinomial probability.

    Where they are few, groups and probabilities are kept for the next rule and the next policy: then a block
    costs a copy. Memory is bounded by ``BLOCK_ENTRIES`` (one state at the least) plus ``L (n+1)^2`` chances
    for L >= 3 levels, and by what is kept. Cost O(states n).
    """
    size = len(probabilities)
    if _few(n, size):
        for (_, level), chance in zip(
            _tables(n, size), _kept_chances(n, probabilities.tobytes(), BLOCK_ENTRIES), strict=True
        ):
            yield Block(level, chance)
        return
    chances = _Multinomial(n, probabilities)
    for table, level in _tables(n, size):
        yield Block(level, chances(table))


def _few(n: int, size: int) -> bool:
    return number_of_counts(n, size) * max(n, size) <= KEPT_ENTRIES


def _tables(n: int, size: int) -> Iterator[tuple[Int, Int]]:
    """Counts (B, L) of all states and the groups (B, n) that have them, block by block."""
    if not _few(n, size):
        yield from _made_tables(n, size, BLOCK_ENTRIES)
        return
    for table, level in _kept_tables(n, size, BLOCK_ENTRIES):
        yield table.astype(np.intp), level.astype(np.intp)


def _made_tables(n: int, size: int, entries: int) -> Iterator[tuple[Int, Int]]:
    for table in _count_chunks(n, size, max(1, entries // max(n, size))):
        yield table, np.repeat(np.tile(np.arange(size), len(table)), table.ravel()).reshape(len(table), n)


@lru_cache(_KEPT)
def _kept_tables(n: int, size: int, entries: int) -> tuple[tuple[Small, Small], ...]:
    kind = np.min_scalar_type(max(n, size))
    return tuple((table.astype(kind), level.astype(kind)) for table, level in _made_tables(n, size, entries))


@lru_cache(_KEPT)
def _kept_chances(n: int, probabilities: bytes, entries: int) -> tuple[Float, ...]:
    given = np.frombuffer(probabilities)
    chances = _Multinomial(n, given)
    found = tuple(chances(table.astype(np.intp)) for table, _ in _kept_tables(n, len(given), entries))
    for chance in found:
        chance.setflags(write=False)
    return found


def _count_chunks(n: int, size: int, rows: int) -> Iterator[Int]:
    """Counts of all multisets, at most ``rows`` at a time, by stars and bars."""
    bars = combinations(range(n + size - 1), size - 1)
    while chunk := list(islice(bars, rows)):
        flat = np.fromiter(chain.from_iterable(chunk), dtype=np.intp, count=len(chunk) * (size - 1))
        edges = np.empty((len(chunk), size + 1), dtype=np.intp)
        edges[:, 0], edges[:, -1] = -1, n + size - 1
        edges[:, 1:-1] = flat.reshape(len(chunk), size - 1)
        yield np.diff(edges, axis=1) - 1


def arrangement_blocks(n: int, probabilities: Float) -> Iterator[Block]:
    """Every sequence of levels once, ``L^n`` of them, with its probability. Memory as above."""
    sequences = product(range(len(probabilities)), repeat=n)
    rows = max(1, BLOCK_ENTRIES // n)
    while block := list(islice(sequences, rows)):
        level = np.array(block, dtype=np.intp)
        yield Block(level, np.prod(probabilities[level], axis=1))


class _Multinomial:
    """Multinomial probabilities as a product of conditional binomials, from tables made once."""

    def __init__(self, n: int, probabilities: Float) -> None:
        self.n = n
        tail = np.cumsum(probabilities[::-1])[::-1]
        # tables[l][trials, c]: c of the trials left fall on level l rather than on a later one.
        # The first level always has n trials left, so its table is one row.
        self.tables = [
            np.stack([self._row(t, probabilities[i], tail[i + 1]) for t in self._trials(i)])
            for i in range(len(probabilities) - 1)
        ]

    def _trials(self, level: int) -> range:
        return range(self.n, self.n + 1) if level == 0 else range(self.n + 1)

    def _row(self, trials: int, here: float, later: float) -> Float:
        row = np.zeros(self.n + 1)
        row[: trials + 1] = binomial(trials, here, later)
        return row

    def __call__(self, counts: Int) -> Float:
        probability = np.ones(len(counts))
        left = np.zeros(len(counts), dtype=np.intp)
        for level, table in enumerate(self.tables):
            probability *= table[left, counts[:, level]]
            left = (self.n if level == 0 else left) - counts[:, level]
        return probability
