"""Comparing training runs: interquartile means and probabilities of improvement, with bootstrap intervals.

Scores come in strata, one a task, with the runs of a task in each. Only runs are resampled, inside their
stratum: the tasks are the ones that were chosen, and the intervals are about other seeds. Source: Agarwal et
al., Deep Reinforcement Learning at the Edge of the Statistical Precipice, arXiv 2108.13264.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.intp]

#: Resamples of an interval: its ends move by about 2 % of its width from one seed to another.
RESAMPLES = 2000
_CONFIDENCE = 0.95
#: Numbers of a block of resampled scores: 64 MiB.
_BLOCK = 1 << 23


@dataclass(frozen=True)
class Interval:
    """An estimate, scalar or array, with the ends of its percentile interval."""

    estimate: Float
    low: Float
    high: Float


def interquartile_mean(scores: npt.ArrayLike) -> Float:
    """Mean of the middle half along the last axis: floor(m / 4) scores are left out at either end."""
    ranked = np.sort(np.asarray(scores, dtype=np.float64), axis=-1)
    out = ranked.shape[-1] // 4
    return np.asarray(ranked[..., out : ranked.shape[-1] - out].mean(axis=-1))


def interquartile_mean_interval(
    scores: npt.ArrayLike, *, seed: int, resamples: int = RESAMPLES, confidence: float = _CONFIDENCE
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
        return pooled(_drawn(array, _indices(rng, size, *array.shape[-2:])))

    return _interval(
        pooled(array), resample, numbers=array.size, seed=seed, resamples=resamples, confidence=confidence
    )


def median_interval(scores: npt.ArrayLike, *, confidence: float = _CONFIDENCE) -> Interval:
    """Median of runs (m,) with the order statistics around it that cover it with at least this confidence.

    Infinite scores are welcome: a run that never arrived. Where m runs are too few for the confidence, the
    interval is from -inf to inf.

    Raises ValueError for NaN, no scores, or more than one axis.
    """
    ranked = np.sort(np.asarray(scores, dtype=np.float64))
    if ranked.ndim != 1 or not ranked.size or np.isnan(ranked).any():
        raise ValueError(f"scores have shape {ranked.shape} or NaN: expected numbers, (runs,), at least one")
    _check_confidence(confidence)
    m = len(ranked)
    # The number of scores below the median is binomial; `out` are cut off at either end.
    out = int(binom.ppf((1 - confidence) / 2, m, 0.5))
    low, high = (ranked[out - 1], ranked[m - out]) if out else (-np.inf, np.inf)
    middle = ranked[(m - 1) // 2 : m // 2 + 1]
    estimate = middle[0] if middle[0] == middle[-1] else middle.mean()
    return Interval(np.asarray(estimate), np.asarray(low), np.asarray(high))


def improvement(x: npt.ArrayLike, y: npt.ArrayLike) -> Float:
    """``P(X > Y) + P(X = Y) / 2`` over all pairs of runs, averaged over strata.

    x (..., strata, runs) and y (..., strata, runs') to (...).
    """
    wins = _wins(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
    return np.asarray(wins.mean(axis=(-3, -2, -1)))


def improvement_interval(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool,
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = _CONFIDENCE,
) -> Interval:
    """The probability that a run of x scores above a run of y, with its stratified bootstrap interval.

    Parameters
    ----------
    x, y
        Scores (strata, runs) and (strata, runs').
    paired
        Run i of x and run i of y shared their random numbers: they are resampled together. Else each is
        resampled for itself.

    Raises
    ------
    ValueError
        Scores that are not finite, not of two axes, or empty; different numbers of strata, or of runs where
        they are paired.
    """
    one, other = _checked(x, "x"), _checked(y, "y")
    if one.ndim != 2 or other.ndim != 2 or len(one) != len(other) or (paired and one.shape != other.shape):
        raise ValueError(
            f"x and y have shapes {one.shape} and {other.shape}: expected (strata, runs) each, with equal "
            f"strata{' and runs' if paired else ''}"
        )

    wins = _wins(one, other)

    def resample(rng: np.random.Generator, size: int) -> Float:
        first = _multiplicities(rng, size, *one.shape)
        if paired:
            return _paired_improvement(wins, first)
        second = _multiplicities(rng, size, *other.shape)
        return np.asarray(np.einsum("bsi,sij,bsj->b", first, wins, second) / wins.size)

    return _interval(
        improvement(one, other),
        resample,
        numbers=wins.size,
        seed=seed,
        resamples=resamples,
        confidence=confidence,
    )


def _wins(x: Float, y: Float) -> Float:
    """1, 1/2 or 0 for every pair of runs, (..., strata, runs, runs')."""
    one, other = x[..., :, None], y[..., None, :]
    return np.asarray((one > other) + 0.5 * (one == other))


def _paired_improvement(wins: Float, times: Float) -> Float:
    """Improvement of resampled pairs: wins (strata, runs, runs), times (size, strata, runs) to (size,).

    A run that is drawn twice would meet its own partner four times, and pairs of partners would count twice
    what they do among the scores themselves: partners and strangers are averaged apart.
    """
    runs = wins.shape[-1]
    partners = np.einsum("bsi,sii->bs", times, wins) / runs
    apart = wins * (1.0 - np.eye(runs))
    met = runs**2 - np.einsum("bsi,bsi->bs", times, times)
    sums = np.einsum("bsi,sij,bsj->bs", times, apart, times)
    # Where one run alone was drawn there are no strangers.
    strangers = np.where(met > 0, sums / np.maximum(met, 1.0), partners)
    return np.asarray((partners / runs + strangers * (1.0 - 1.0 / runs)).mean(axis=-1))


def _interval(
    estimate: Float,
    resample: Callable[[np.random.Generator, int], Float],
    *,
    numbers: int,
    seed: int,
    resamples: int,
    confidence: float,
) -> Interval:
    """The percentile interval of resampled statistics, made in blocks."""
    _check_confidence(confidence)
    if resamples < 1:
        raise ValueError(f"resamples={resamples}: at least 1 is needed, e.g. resamples={RESAMPLES}")
    rng = np.random.default_rng(seed)
    size = max(1, _BLOCK // numbers)
    sizes = [min(size, resamples - start) for start in range(0, resamples, size)]
    found = np.concatenate([resample(rng, each) for each in sizes])
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return Interval(estimate, np.asarray(low), np.asarray(high))


def _indices(rng: np.random.Generator, size: int, strata: int, runs: int) -> Int:
    """Runs drawn with replacement in each stratum, (size, strata, runs)."""
    return rng.integers(runs, size=(size, strata, runs))


def _multiplicities(rng: np.random.Generator, size: int, strata: int, runs: int) -> Float:
    """How often each run is drawn, (size, strata, runs)."""
    return rng.multinomial(runs, np.full(runs, 1.0 / runs), size=(size, strata)).astype(np.float64)


def _drawn(scores: Float, indices: Int) -> Float:
    """Scores (..., strata, runs) at indices (size, strata, runs): (size, ..., strata, runs)."""
    stratum = np.arange(scores.shape[-2])[:, None]
    return np.asarray(np.moveaxis(scores[..., stratum, indices], -3, 0))


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence}: must lie between 0 and 1, e.g. confidence=0.95")


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
