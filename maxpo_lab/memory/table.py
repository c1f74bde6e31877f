"""Rewards by prompt: the last ``keep`` of each, a row each, in arrays that grow with the prompts."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import gcd

import numpy as np
import numpy.typing as npt

from ..core.arrays import Float, Int, Int64
from .index import Index

Step = npt.NDArray[np.int32]

#: Arrays with a row for each prompt, by type and whether they have ``keep`` columns.
COLUMNS = {
    "ids": (np.int64, False),
    "count": (np.int32, False),
    "place": (np.int32, False),
    "seen": (np.int32, False),
    "equal": (np.float64, False),
    "pairs": (np.float64, False),
    "rewards": (np.float64, True),
    "steps": (np.int32, True),
}
_SMALLEST = 1 << 8


@dataclass(eq=False)
class Table:
    """A row for each prompt, by its 64-bit id.

    Arrays double in length as prompts come. They are zeros that the system hands out when they are written,
    so what is copied and what is reserved together take no more than twice what is used.

    Attributes
    ----------
    keep
        Rewards of a row, a ring: the newest take the place of the oldest.
    aged
        Whether the step of each reward is kept, which a decay by age needs.
    size
        Rows in use.
    ids, count, place, seen
        Of each row: its prompt, how many rewards it holds, where the next one goes, the step it is from.
    equal, pairs
        Of each row, over pairs of its right rollouts: how many gave one answer, and how many there were.
    rewards, steps
        The ring, and the steps its rewards are of, (rows, keep); steps has no columns unless ``aged``.
    """

    keep: int
    aged: bool
    size: int = 0
    ids: Int64 = field(init=False)
    count: Step = field(init=False)
    place: Step = field(init=False)
    seen: Step = field(init=False)
    equal: Float = field(init=False)
    pairs: Float = field(init=False)
    rewards: Float = field(init=False)
    steps: Step = field(init=False)
    _index: Index = field(default_factory=Index)

    def __post_init__(self) -> None:
        for name in COLUMNS:
            setattr(self, name, self._zeros(name, _SMALLEST))

    def find(self, ids: Int64) -> Int:
        """The row of each prompt, -1 where there is none."""
        return self._index.find(ids)

    def add(self, ids: Int64, rows: Int) -> Int:
        """The row of each prompt, a new one where ``find`` gave none, in the order of the ids."""
        if not (rows < 0).any():
            return rows
        new, first, which = np.unique(ids[rows < 0], return_index=True, return_inverse=True)
        made = np.empty(len(new), np.intp)
        made[np.argsort(first)] = np.arange(self.size, self.size + len(new))
        self.reserve(self.size + len(new))
        self.ids[made] = new
        self._index.insert(new, made)
        rows = rows.copy()
        rows[rows < 0] = made[which]
        return rows

    def read(self, rows: Int) -> tuple[Float, Step, Step]:
        """Rewards (G, m) of rows, the steps they are of, m >= 1, and how many there are; 0 pads both."""
        known = rows >= 0
        count = np.where(known, self.count[rows], 0)
        longest = max(1, int(count.max(initial=0)))
        rewards = self.rewards.take(rows, axis=0)[:, :longest]
        steps = self.steps.take(rows, axis=0)[:, :longest]
        if not known.all():  # the row -1 is another prompt's; what was never written is 0
            rewards[~known], steps[~known] = 0.0, 0
        return rewards, steps, count

    def record(self, rows: Int, rewards: Float, step: int) -> None:
        """Give rows (G,), each once, the rewards (G, n) of a step."""
        newest = rewards[:, -self.keep :]
        n, place = newest.shape[1], self.place[rows]
        width = gcd(n, self.keep)  # of blocks that are written whole, where all begin with one
        if (place % width).any():
            width = 1
        blocks = self.keep // width
        block = (place // width)[:, None] + np.arange(n // width)
        block[block >= blocks] -= blocks
        block += (rows * blocks)[:, None]
        self.rewards.reshape(-1, width)[block] = newest.reshape(len(rows), -1, width)
        if self.aged:
            self.steps.reshape(-1, width)[block] = step
        self.place[rows] = (place + n) % self.keep
        self.count[rows] = np.minimum(self.count[rows] + n, self.keep)
        self.seen[rows] = step

    def index_anew(self) -> None:
        """The index of the ids, after these were filled in from outside."""
        self._index = Index()
        self._index.insert(self.ids[: self.size], np.arange(self.size))

    def reserve(self, size: int) -> None:
        """Use so many rows."""
        self.size, room = size, len(self.ids)
        if size <= room:
            return
        room = 1 << (size - 1).bit_length()
        for name in COLUMNS:
            old, new = getattr(self, name), self._zeros(name, room)
            new[: len(old)] = old
            setattr(self, name, new)

    def _zeros(self, name: str, rows: int) -> npt.NDArray[np.generic]:
        dtype, wide = COLUMNS[name]
        if not wide:
            return np.zeros(rows, dtype)
        return np.zeros((rows, self.keep if name == "rewards" or self.aged else 0), dtype)
