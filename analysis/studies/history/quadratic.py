"""A quadratic by three of its values: second moments are quadratic in lambda, and in the history's rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maxpo_lab.core.arrays import Float


@dataclass(frozen=True)
class Quadratic:
    """The quadratic with these values at 0, 1/2 and 1."""

    left: float
    middle: float
    right: float

    def __call__(self, x: Float) -> Float:
        """Its values at x, of any shape."""
        return np.asarray(self.left + x * self._slope + x**2 * self._bend)

    def average(self, mean: float, variance: float) -> float:
        """Its mean over an x of this mean and variance."""
        return self.left + mean * self._slope + (mean**2 + variance) * self._bend

    @property
    def _slope(self) -> float:
        return 4 * self.middle - 3 * self.left - self.right

    @property
    def _bend(self) -> float:
        return 2 * (self.left - 2 * self.middle + self.right)
