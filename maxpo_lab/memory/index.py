"""From 64-bit ids to rows: a hash table with linear probing, asked for many ids at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..core.arrays import Int, Int64

#: Places of an empty table, a power of two as ever.
_SMALLEST = 1 << 10


def _empty(places: int = _SMALLEST) -> Int64:
    return np.zeros((places, 2), np.int64)


@dataclass(eq=False)
class Index:
    """Where each id is; ids are hashes already, so their low bits say where to look first.

    A place holds an id and its row plus 1, beside each other in memory, or 0 where it is free. Half of the
    places are free at least, so a search takes a few steps. Cost O(G) a call for G ids.
    """

    size: int = 0
    _places: Int64 = field(default_factory=_empty)

    def find(self, ids: Int64) -> Int:
        """The row of each id (G,), -1 of one that there is not."""
        mask = len(self._places) - 1
        place = ids & mask
        seen = self._places.take(place, axis=0)
        found = seen[:, 1] - 1
        left = np.flatnonzero((seen[:, 0] != ids) & (found >= 0))
        place = place[left]
        while len(left):
            place = (place + 1) & mask
            seen = self._places.take(place, axis=0)
            found[left] = seen[:, 1] - 1
            further = (seen[:, 0] != ids[left]) & (seen[:, 1] > 0)
            left, place = left[further], place[further]
        return found

    def insert(self, ids: Int64, rows: Int) -> None:
        """Put in ids (G,) that are not there, no two of them alike, with their rows."""
        self.size += len(ids)
        if 2 * self.size > len(self._places):
            used = self._places[self._places[:, 1] > 0]
            ids, rows = np.concatenate([used[:, 0], ids]), np.concatenate([used[:, 1] - 1, rows])
            self._places = _empty(max(_SMALLEST, 1 << (2 * self.size - 1).bit_length()))
        mask = len(self._places) - 1
        place = ids & mask
        while len(ids):
            free = np.flatnonzero(self._places[place, 1] == 0)
            self._places[place[free], 1] = rows[free] + 1  # of several for one place the last one stays
            stays = self._places[place, 1] == rows + 1
            self._places[place[stays], 0] = ids[stays]
            ids, rows, place = ids[~stays], rows[~stays], (place[~stays] + 1) & mask
