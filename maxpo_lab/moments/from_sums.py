"""The moments of a rule from its sums, however these were taken."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..core.arrays import Float
from ..objectives import Objective
from ..policies.levels import RewardLevels
from ..policies.objective import gradient_coefficients
from .against_gradient import AgainstGradient, against_gradient, gradient_rounding, mean_rounding
from .result import Moments

#: A group is dead when no advantage exceeds this share of the rule's root mean square advantage.
DEAD = 1e-9


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


def from_sums(
    sums: Sums, levels: RewardLevels, *, n: int, k: int, objective: Objective, covariance: bool
) -> Moments:
    """The moments of a rule, measured against the gradient of an objective."""
    weights = gradient_coefficients(levels, objective)
    mean = sums.mean / n
    rms = float(np.sqrt(sums.squares.sum() / n))
    against = against_gradient(
        mean,
        weights @ sums.coordinates,
        rounding=gradient_rounding(levels, objective.size),
        vanishing=mean_rounding(levels, rms),
    )
    between = sums.between_counts() / n**2
    # Nothing is left over where every state is a count; the order of the rollouts varies otherwise.
    arranged = float(np.trace(sums.comoment)) / n**2 - between
    within = float(sums.squares @ levels.score_variances) / n**2 + max(0.0, arranged)
    trace = within + between
    full = None
    if covariance and levels.score_covariances is not None:
        full = np.einsum("l,lij->ij", sums.squares, levels.score_covariances)
        full = (full + sums.basis @ sums.comoment @ sums.basis.T) / n**2
    with np.errstate(divide="ignore", invalid="ignore"):
        snr = float(np.float64(mean @ mean) / trace)
    return Moments(
        n=n,
        k=k,
        objective=objective,
        mean=sums.basis @ mean,
        gradient=weights @ levels.mean_scores,
        bias=against.bias,
        relative_bias=against.relative(against.bias),
        bias_resolution=against.resolution,
        scale=against.scale,
        direction_error=against.angle,
        trace_covariance=trace,
        covariance=full,
        along_gradient_variance=_variance_along(against, sums, levels, weights, n),
        within_trace=within,
        between_trace=between,
        advantage_sum_rms=float(np.sqrt(sums.sum_square)),
        advantage_sum_max=sums.sum_max,
        advantage_rms=rms,
        dead_group_probability=sums.dead_probability(DEAD * rms),
        snr=snr,
        states=sums.states,
    )


def _variance_along(
    against: AgainstGradient, sums: Sums, levels: RewardLevels, weights: Float, n: int
) -> float | None:
    """Variance of g along grad J, ``weights`` the gradient in terms of the mean scores; as in ``Moments``."""
    if levels.projected_covariances is None:
        return None
    inside = levels.projected_covariances @ weights @ weights
    size = against.length or float("nan")
    within = float(sums.squares @ inside) / size**2
    return (within + float(against.direction @ sums.comoment @ against.direction)) / n**2
