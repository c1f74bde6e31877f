"""Where training runs stand: interquartile means and medians, with intervals.

Scores come in strata, one per task, with the runs of a task in each. Only runs are resampled, inside their
stratum: the tasks are the ones that were chosen, and the intervals are about other seeds. Source: Agarwal et
al., Deep Reinforcement Learning at the Edge of the Statistical Precipice, arXiv 2108.13264.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from maxpo_lab.core.arrays import Float

from .resampling import (
    CONFIDENCE,
    RESAMPLES,
    Interval,
    check_confidence,
    drawn,
    indices,
    percentile_interval,
)


def interquartile_mean(scores: npt.ArrayLike) -> Float:
    """Mean of the middle half along the last axis: floor(m / 4) scores are left out at either end."""
    ranked = np.sort(np.asarray(scores, dtype=np.float64), axis=-1)
    out = ranked.shape[-1] // 4
    return np.asarray(ranked[..., out : ranked.shape[-1] - out].mean(axis=-1))


def interquartile_mean_interval(
    scores: npt.ArrayLike, *, seed: int, resamples: int = RESAMPLES, confidence: float = CONFIDENCE
) -> Interval:
    """Interquartile mean of the pooled scores (..., strata, runs) with its stratified bootstrap interval.

    Leading axes are separate questions, asked of the same resamples. Normalise the scores of a stratum
    before they are pooled.

    Raises ValueError for scores that are not finite (say what a diverged run scores before), without two
    axes, or empty.
    """
    array = _checked(scores, "scores")

    def pooled(resampled: Float) -> Float:
        return interquartile_mean(resampled.reshape(*resampled.shape[:-2], -1))

    def resample(rng: np.random.Generator, size: int) -> Float:
        return pooled(drawn(array, indices(rng, size, *array.shape[-2:])))

    return percentile_interval(
        pooled(array), resample, numbers=array.size, seed=seed, resamples=resamples, confidence=confidence
    )


def median_interval(scores: npt.ArrayLike, *, confidence: float = CONFIDENCE) -> Interval:
    """Median of runs (m,) with the order statistics around it that cover it with at least this confidence.

    Infinite scores are welcome: a run that never arrived. Where m runs are too few for the confidence, the
    interval is from -inf to inf.

    Raises ValueError for NaN, no scores, or more than one axis.
    """
    ranked = np.sort(np.asarray(scores, dtype=np.float64))
    if ranked.ndim != 1 or not ranked.size or np.isnan(ranked).any():
        raise ValueError(f"scores have shape {ranked.shape} or NaN: expected numbers, (runs,), at least one")
    check_confidence(confidence)
    m = len(ranked)
    # The number of scores below the median is binomial; `out` are cut off at either end.
    out = int(binom.ppf((1 - confidence) / 2, m, 0.5))
    low, high = (ranked[out - 1], ranked[m - out]) if out else (-np.inf, np.inf)
    middle = ranked[(m - 1) // 2 : m // 2 + 1]
    estimate = middle[0] if middle[0] == middle[-1] else middle.mean()
    return Interval(np.asarray(estimate), np.asarray(low), np.asarray(high))


def _checked(scores: npt.ArrayLike, name: str) -> Float:
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim < 2 or not array.size:
        raise ValueError(f"{name} have shape {array.shape}: expected (..., strata, runs), none of them 0")
    if not np.isfinite(array).all():
        wrong = int((~np.isfinite(array)).sum())
        raise ValueError(
            f"{name}: {wrong} of {array.size} are not finite; count the runs that diverged and say what they "
            f"score"
        )
    return array
