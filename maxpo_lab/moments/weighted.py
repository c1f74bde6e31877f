"""Mean and covariance of weighted numbers that come in blocks."""

from __future__ import annotations

import numpy as np

from ..core.arrays import Float


class WeightedMoments:
    """Running mean and co-moments of vectors of r numbers, by their weights.

    Updated block by block with Chan's rule, so the variance is a sum of squares of deviations, never a
    difference of large moments.

    Attributes
    ----------
    weight
        The sum of all weights so far.
    mean, comoment
        Shapes (r,) and (r, r): the mean, and the weighted sum of products of deviations from it.
    """

    def __init__(self, size: int) -> None:
        self.weight = 0.0
        self.mean = np.zeros(size)
        self.comoment = np.zeros((size, size))

    def merge(self, chance: Float, x: Float) -> None:
        """Take in vectors (B, r) of weights (B,)."""
        weight = float(chance.sum())
        if not weight:
            return
        mean = chance @ x / weight
        deviation = x - mean
        merged = self.weight + weight
        step = mean - self.mean
        self.comoment += (chance[:, None] * deviation).T @ deviation
        self.comoment += np.outer(step, step) * (self.weight * weight / merged)
        self.mean += step * (weight / merged)
        self.weight = merged
