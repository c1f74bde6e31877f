"""The moments of a rule from its sums, however these were taken."""

from __future__ import annotations

import numpy as np

from ..objectives import Objective, VectorObjective
from ..policies.levels import RewardLevels
from ..policies.objective import gradient_coefficients
from .against_gradient import against_gradient, gradient_rounding, mean_rounding
from .result import Moments
from .sums import Sums, variance_along

#: A group is dead when no advantage exceeds this share of the rule's root mean square advantage.
DEAD = 1e-9


def from_sums(
    sums: Sums,
    levels: RewardLevels,
    *,
    n: int,
    k: int,
    objective: Objective | VectorObjective,
    covariance: bool,
) -> Moments:
    """The moments of a rule, measured against the gradient of an objective."""
    weights = gradient_coefficients(levels, objective)
    mean = sums.mean / n
    rms = float(np.sqrt(sums.squares.sum() / n))
    against = against_gradient(
        mean,
        weights @ sums.coordinates,
        rounding=gradient_rounding(levels, objective),
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
        along_gradient_variance=variance_along(against, sums, levels, weights, n),
        within_trace=within,
        between_trace=between,
        advantage_sum_rms=float(np.sqrt(sums.sum_square)),
        advantage_sum_max=sums.sum_max,
        advantage_rms=rms,
        dead_group_probability=sums.dead_probability(DEAD * rms),
        snr=snr,
        states=sums.states,
    )
