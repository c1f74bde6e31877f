"""What a way of summing leaves behind, and the variance along the gradient that follows from it."""

from __future__ import annotations

from typing import Protocol

from ..core.arrays import Float
from ..policies.levels import RewardLevels
from .against_gradient import AgainstGradient


class Sums(Protocol):
    """What a way of summing leaves behind, of ``x = n g`` and of the advantages.

    Attributes
    ----------
    basis, coordinates
        An orthonormal basis (d, r) of the mean scores' span, and the scores in it, (L, r).
    mean, comoment
        E[x] and ``Cov(E[x | state])`` in these coordinates, (r,) and (r, r).
    squares
        ``E[sum of A^2]`` over the members of each level, (L,).
    sum_square, sum_max
        Mean of ``(sum_i A_i)^2`` and the largest ``|sum_i A_i|``.
    states
        Groups that the rule was evaluated on.
    """

    basis: Float
    coordinates: Float
    mean: Float
    comoment: Float
    squares: Float
    sum_square: float
    sum_max: float
    states: int

    def between_counts(self) -> float:
        """Trace of the covariance of E[x | counts]."""
        ...

    def dead_probability(self, threshold: float) -> float:
        """Chance of a group whose largest |A| is at most the threshold."""
        ...


def variance_along(
    against: AgainstGradient, sums: Sums, levels: RewardLevels, weights: Float, n: int
) -> float | None:
    """Variance of g along grad J, ``weights`` the gradient in terms of the mean scores; as in ``Moments``."""
    if levels.projected_covariances is None:
        return None
    inside = levels.projected_covariances @ weights @ weights
    size = against.length or float("nan")
    within = float(sums.squares @ inside) / size**2
    return (within + float(against.direction @ sums.comoment @ against.direction)) / n**2
