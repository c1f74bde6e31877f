"""From sums over states or thresholds to ``Moments``."""

from __future__ import annotations

import numpy as np

from ..levels import RewardLevels
from ..objective import gradient_coefficients
from ..objectives import Objective
from .against_gradient import against_gradient, nothing, resolution
from .by_states import CountSums
from .by_thresholds import ThresholdSums
from .result import Moments

#: A group is dead when no advantage exceeds this share of the rule's root mean square advantage.
DEAD = 1e-9


def report(
    sums: CountSums | ThresholdSums,
    levels: RewardLevels,
    *,
    n: int,
    k: int,
    objective: Objective,
    covariance: bool,
) -> Moments:
    """All moments, from the sums of a rule over its states or thresholds, against an objective's gradient."""
    weights = gradient_coefficients(levels, objective)
    gradient = weights @ sums.coordinates
    mean = sums.mean / n
    size = float(np.linalg.norm(gradient))
    direction = gradient / size if size else np.full_like(gradient, np.nan)
    largest_score = float(np.linalg.norm(levels.mean_scores, axis=1).max())
    rms = float(np.sqrt(sums.squares.sum() / n))

    between = sums.between_counts() / n**2
    # Nothing is left over where every state is a count; the order of the rollouts varies otherwise.
    arranged = float(np.trace(sums.comoment)) / n**2 - between
    within = float(sums.squares @ levels.score_variances) / n**2 + max(0.0, arranged)
    trace = within + between
    along = None
    if levels.projected_covariances is not None:
        inside = levels.projected_covariances @ weights @ weights
        within_along = float(sums.squares @ inside) / size**2 if size else np.nan
        along = (within_along + float(direction @ sums.comoment @ direction)) / n**2
    full = None
    if covariance and levels.score_covariances is not None:
        full = np.einsum("l,lij->ij", sums.squares, levels.score_covariances)
        full = (full + sums.basis @ sums.comoment @ sums.basis.T) / n**2

    with np.errstate(divide="ignore", invalid="ignore"):
        snr = np.float64(mean @ mean) / trace
    largest_reward = float(np.abs(levels.values).max())
    seen = against_gradient(
        mean,
        gradient,
        rounding=resolution(objective.size, largest_reward, largest_score),
        vanishing=nothing(rms, largest_score),
        unit=direction,
    )
    return Moments(
        n=n,
        k=k,
        objective=objective,
        mean=sums.basis @ mean,
        gradient=weights @ levels.mean_scores,
        bias=seen.bias,
        relative_bias=seen.relative_bias,
        bias_resolution=seen.resolution,
        scale=seen.scale,
        direction_error=seen.direction_error,
        trace_covariance=trace,
        covariance=full,
        along_gradient_variance=along,
        within_trace=within,
        between_trace=between,
        advantage_sum_rms=float(np.sqrt(sums.sum_square)),
        advantage_sum_max=sums.sum_max,
        advantage_rms=rms,
        dead_group_probability=sums.dead_probability(DEAD * rms),
        snr=float(snr),
        states=sums.states,
    )
