"""Running moments of a rule over weighted states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.arrays import Float, Int
from ..policies.levels import RewardLevels
from . import states
from .weighted import WeightedMoments


class CountSums(WeightedMoments):
    """Running moments of ``x = sum_l T_l G_l`` and of the advantages, over weighted states.

    All gradients lie in the span of the mean scores, so x is kept in an orthonormal basis of it: at most
    L numbers, whatever d.
    """

    def __init__(self, levels: RewardLevels, n: int, *, by_counts: bool) -> None:
        self.size, self.n = len(levels.values), n
        self.basis, self.coordinates = levels.span()
        super().__init__(self.coordinates.shape[1])
        self.squares = np.zeros(self.size)
        self.sum_square = self.sum_max = 0.0
        self.states = 0
        self._largest: list[Float] = []
        self._chance: list[Float] = []
        self._per_count: dict[tuple[int, ...], Float] | None = {} if by_counts else None

    def add(self, block: states.Block, advantages: Float) -> None:
        """Take in a block of states and the rule's advantages (B, n) on them."""
        chance = block.probability
        sums, squares = sums_by_level(block.level, (advantages, advantages**2), self.size)
        x = sums @ self.coordinates
        self.squares += chance @ squares
        total = advantages.sum(axis=1)
        self.sum_square += float(chance @ total**2)
        self.sum_max = max(self.sum_max, float(np.abs(total).max()))
        self._largest.append(np.abs(advantages).max(axis=1))
        self._chance.append(chance)
        self.states += len(chance)
        if self._per_count is not None:
            self._add_per_count(block, x, self._per_count)
        self.merge(chance, x)

    def _add_per_count(self, block: states.Block, x: Float, per_count: dict[tuple[int, ...], Float]) -> None:
        counts, inverse = np.unique(np.sort(block.level, axis=1), axis=0, return_inverse=True)
        weighted = np.column_stack([block.probability, block.probability[:, None] * x])
        for index, key in enumerate(map(tuple, counts.tolist())):
            part = weighted[inverse.ravel() == index].sum(axis=0)
            per_count[key] = per_count.get(key, 0.0) + part

    def between_counts(self) -> float:
        """Trace of the covariance of E[x | counts]."""
        if self._per_count is None:
            return float(np.trace(self.comoment))
        rows = np.stack([row for row in self._per_count.values() if row[0]])
        deviation = rows[:, 1:] / rows[:, :1] - self.mean
        return float(rows[:, 0] @ np.sum(deviation**2, axis=1))

    def dead_probability(self, threshold: float) -> float:
        """Chance of a group whose largest |A| is at most the threshold."""
        dead = np.concatenate(self._largest) <= threshold
        return float(np.concatenate(self._chance)[dead].sum())


def sums_by_level(level: Int, values: Sequence[Float], size: int) -> list[Float]:
    """Sums of each of ``values`` (B, n) over the rollouts of each of ``size`` levels, (B, size)."""
    rows = len(level)
    cell = (level + size * np.arange(rows)[:, None]).ravel()
    flat = (np.bincount(cell, weights=each.ravel(), minlength=rows * size) for each in values)
    return [np.asarray(each, dtype=np.float64).reshape(rows, size) for each in flat]
