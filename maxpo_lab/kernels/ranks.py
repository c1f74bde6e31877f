"""Rewards in blocks, sorted: which stands at each rank, and by how much it is above the one before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.arrays import Float, Int

Rewards = npt.NDArray[Any]

#: Bits of a float64 reward, at most, that give way to a place in the group, all ones: of 4,096 rewards that
#: lie anywhere, two differ in these alone in one group of 100,000.
_LAST_BITS = (1 << 12) - 1
_BUT_THE_SIGN = (1 << 63) - 1
#: Rewards of a group from which it pays to lay the rows of keys apart.
_APART = 64
#: Rewards in a line of the cache.
_LINE = 8


def width_of(groups: int, most: int, *, by_rows: bool) -> int:
    """Groups in a block: all alike, so that the last one begins early and goes again over some groups.

    Where ranks are rows, a row is an odd number of cache lines: at a power of two the groups of all ranks
    would share a few sets of the cache.
    """
    width = -(-groups // -(-groups // most))
    if by_rows and groups > width:
        width = _LINE * (-(-width // _LINE) | 1)
    return min(groups, width)


def blocks(groups: int, width: int) -> list[slice]:
    """Where the blocks lie."""
    starts = (min(start, groups - width) for start in range(0, groups, width))
    return [slice(start, start + width) for start in starts]


@dataclass(frozen=True, eq=False)
class Ranks:
    """The ranks of a block and room to find them, made once.

    A group is sorted as it lies, a row, next to which its members are. Ranks come by rank and group,
    (n, groups), whichever axis is nearer in memory.

    Attributes
    ----------
    by_rows
        Whether a rank is a row of memory.
    members, first
        0 to n - 1, and where each group begins, along the axis of groups in memory.
    bits, keys
        (groups, n): room for the keys, and what is sorted, in rows apart by an odd number of cache lines.
    places
        Where the reward of a rank lies in the block, as in memory.
    ranked, gaps
        Rewards (n, groups), and their differences in float64, (n-1, groups).
    """

    by_rows: bool
    members: Int
    first: Int
    bits: Int
    keys: Int
    places: Int
    ranked: Rewards
    gaps: Float

    @classmethod
    def of(cls, groups: int, n: int, dtype: np.dtype[Any], *, by_rows: bool) -> Ranks:
        """For blocks of this many groups."""
        shape = (n, groups) if by_rows else (groups, n)
        ranked = np.empty(shape, dtype)
        first = np.arange(0, groups * n, n)
        return cls(
            by_rows=by_rows,
            members=np.arange(n),
            first=first if by_rows else first[:, None],
            bits=np.empty((groups, n), np.int64),
            keys=np.empty((groups, n + _LINE if n >= _APART else n), np.int64)[:, :n],
            places=np.empty(shape, np.int64),
            ranked=ranked if by_rows else ranked.T,
            gaps=np.empty((n - 1, groups)) if by_rows else np.empty((groups, n - 1)).T,
        )

    def sort(self, rewards: Rewards) -> None:
        """Find ``places``, ``ranked`` and ``gaps`` of rewards (groups, n).

        Integers sort faster than an order of floats: the bits of a reward order as it does, once those of
        negative ones are turned round, and the last ones give way to its place in the group. Rewards that
        differ in these alone, which a negative gap betrays, are sorted as they are. Which of equal rewards
        comes first is not said.
        """
        n = rewards.shape[-1]
        last = (1 << (n - 1).bit_length()) - 1
        if last <= _LAST_BITS or rewards.dtype == np.float32:  # whose last 29 bits are 0
            keys = np.bitwise_or(self._leading_bits(rewards, last), self.members, out=self.keys)
            keys.sort(axis=-1)
            np.bitwise_and(keys.T if self.by_rows else keys, last, out=self.places)
            self._gather(rewards)
            if n == 1 or self.gaps.min() >= 0.0:
                return
        members = rewards.argsort(axis=-1)
        np.copyto(self.places, members.T if self.by_rows else members)
        self._gather(rewards)

    def _leading_bits(self, rewards: Rewards, last: int) -> Int:
        """Integers in the order of the rewards, without their last bits."""
        if rewards.dtype == np.float64:
            order: Int = rewards.view(np.int64)
        else:
            np.copyto(self.bits.view(np.float64), rewards)
            order = self.bits
        if order.min() < 0:
            turned = np.right_shift(order, 63, out=self.keys)
            np.bitwise_and(turned, _BUT_THE_SIGN, out=turned)
            order = np.bitwise_xor(order, turned, out=self.bits)
        return np.bitwise_and(order, ~last, out=self.bits)

    def _gather(self, rewards: Rewards) -> None:
        """From members to their places, rewards and gaps."""
        np.add(self.places, self.first, out=self.places)
        ranked = self.ranked if self.by_rows else self.ranked.T
        if ranked.dtype == rewards.dtype:
            rewards.ravel().take(self.places, out=ranked, mode="clip")
        else:
            ranked[...] = rewards.ravel().take(self.places)
        np.subtract(self.ranked[1:], self.ranked[:-1], out=self.gaps, dtype=np.float64)
