"""Comparing training runs: interquartile means, probabilities of improvement and differences, with intervals.

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
    multiplicities,
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


def improvement(x: npt.ArrayLike, y: npt.ArrayLike, *, paired: bool) -> Float:
    """``P(X > Y) + P(X = Y) / 2`` of two independent runs, averaged over strata.

    x (..., strata, runs) and y (..., strata, runs') to (...). ``paired`` as in ``improvement_interval``.
    """
    wins = _wins(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
    met = _met(wins.shape[-2], wins.shape[-1], paired)
    return np.asarray((wins * met).sum(axis=(-2, -1)).mean(axis=-1) / met.sum())


def improvement_interval(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool,
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The probability that a run of x scores above an independent run of y, with its stratified interval.

    Where x won every pair of a stratum there is nothing to resample:
    m pairs without a common run tell of P what m wins in m trials do, and the resample is ``U^(1/m)``, U
    uniform, whose quantiles are the ends of Clopper and Pearson's interval; where y won every pair,
    ``1 - U^(1/m)``.

    Parameters
    ----------
    x, y
        Scores (strata, runs) and (strata, runs').
    paired
        Run i of x and run i of y shared their random numbers: they are resampled together, and only
        strangers meet, runs i and j with i != j, as if the runs of x and y were independent. Partners answer
        another question, for which see ``difference_interval``. Else every run of x meets every run of y.

    Raises
    ------
    ValueError
        Scores that are not finite, not of two axes, or empty; different numbers of strata; where runs are
        paired, different numbers of runs, or a single one.
    """
    one, other = _checked(x, "x"), _checked(y, "y")
    _check_alike(one, other, paired)
    if paired and one.shape[-1] < 2:
        raise ValueError("x and y have 1 run: paired runs meet those of other seeds, so 2 are needed")
    strata, runs, others = one.shape[0], one.shape[1], other.shape[1]
    met = _met(runs, others, paired)
    wins = _wins(one, other) * met
    chance = wins.sum(axis=(1, 2)) / met.sum()
    disjoint = runs // 2 if paired else min(runs, others)

    def resample(rng: np.random.Generator, size: int) -> Float:
        first = multiplicities(rng, size, strata, runs)
        second = first if paired else multiplicities(rng, size, strata, others)
        weight = ((first @ met) * second).sum(axis=-1)
        # Where one run alone was drawn there are no strangers, and nothing is known but the estimate.
        alone = weight == 0
        found = ((first @ wins) * second).sum(axis=-1) / np.where(alone, 1.0, weight)
        found = np.where(alone, chance[:, None], found)
        decided = rng.random((size, strata)) ** (1 / disjoint)
        chances = np.where(chance == 1, decided, np.where(chance == 0, 1 - decided, found.T))
        return np.asarray(chances.mean(axis=-1))

    found = percentile_interval(
        np.asarray(chance.mean()),
        resample,
        numbers=strata * (runs + others),
        seed=seed,
        resamples=resamples,
        confidence=confidence,
    )
    # Where every pair was won, all resamples lie below the estimate.
    return Interval(
        found.estimate, np.minimum(found.low, found.estimate), np.maximum(found.high, found.estimate)
    )


def difference_interval(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Mean of ``x - y`` over runs, then strata, with its stratified bootstrap interval.

    Run i of x and run i of y shared their random numbers: x and y are (strata, runs) each. Normalise the
    scores of a stratum before. A mean, not an interquartile one: where a rule fails on a quarter of the
    seeds, that is its difference.

    Raises ValueError for scores that are not finite, not of two axes, empty, or of different shapes.
    """
    one, other = _checked(x, "x"), _checked(y, "y")
    _check_alike(one, other, paired=True)
    apart = one - other

    def resample(rng: np.random.Generator, size: int) -> Float:
        return np.asarray(drawn(apart, indices(rng, size, *apart.shape)).mean(axis=(-2, -1)))

    return percentile_interval(
        np.asarray(apart.mean()),
        resample,
        numbers=apart.size,
        seed=seed,
        resamples=resamples,
        confidence=confidence,
    )


def _wins(x: Float, y: Float) -> Float:
    """1, 1/2 or 0 for every pair of runs, (..., strata, runs, runs')."""
    one, other = x[..., :, None], y[..., None, :]
    return np.asarray((one > other) + 0.5 * (one == other))


def _met(runs: int, others: int, paired: bool) -> Float:
    """1 for the pairs of runs that are compared: all, or all but partners."""
    return np.ones((runs, others)) - (np.eye(runs) if paired else 0.0)


def _check_alike(one: Float, other: Float, paired: bool) -> None:
    if one.ndim != 2 or other.ndim != 2 or len(one) != len(other) or (paired and one.shape != other.shape):
        raise ValueError(
            f"x and y have shapes {one.shape} and {other.shape}: expected (strata, runs) each, with equal "
            f"strata{' and runs' if paired else ''}"
        )


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
