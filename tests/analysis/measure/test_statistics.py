"""Statistics of training runs: witnesses in plain Python and SciPy, coverage of the intervals, bad input."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from analysis.measure.statistics import (
    interquartile_mean,
    interquartile_mean_interval,
    median_interval,
)

RNG = np.random.default_rng(20260608)
#: False alarms of this file's statistical tests, in all, split evenly between its looks.
ALARM = 1e-6


@pytest.mark.parametrize("runs", [1, 2, 3, 4, 5, 8, 30, 31])
def test_interquartile_mean_leaves_a_quarter_out_at_either_end(runs: int) -> None:
    scores = RNG.normal(size=(3, runs))
    for row, found in zip(scores, interquartile_mean(scores), strict=True):
        out = int(Fraction(runs, 4))
        kept = sorted(map(Fraction, row.tolist()))[out : runs - out]
        # A mean of numbers of size 1: a few roundings.
        assert found == pytest.approx(float(sum(kept) / len(kept)), abs=8 * runs * 2**-53)
    np.testing.assert_allclose(interquartile_mean(scores), stats.trim_mean(scores, 0.25, axis=-1), rtol=1e-12)


def test_interquartile_mean_is_deaf_to_the_extremes() -> None:
    scores = np.arange(8.0)
    scores[0], scores[7] = -1e9, 1e9
    assert interquartile_mean(scores) == 3.5


@pytest.mark.parametrize("runs", [1, 2, 5, 6, 7, 10, 30, 60])
def test_median_interval_by_counting(runs: int) -> None:
    """The chance that the median lies below the low end is that of too few heads, in whole numbers."""
    scores = RNG.permutation(np.arange(1.0, runs + 1))
    found = median_interval(scores)
    assert found.estimate == np.median(scores)
    outside = [Fraction(sum(math.comb(runs, i) for i in range(low)), 2**runs) for low in range(runs + 1)]
    # The largest `low` with P(fewer than `low` below the median) <= 2.5 %.
    low = max(i for i in range(runs // 2 + 1) if outside[i] <= Fraction(1, 40))
    expected = (low, runs + 1 - low) if low else (-math.inf, math.inf)
    assert (found.low, found.high) == expected


def test_median_interval_takes_runs_that_never_arrive() -> None:
    found = median_interval([3.0, 9.0, math.inf, 5.0, math.inf, math.inf, math.inf, 4.0])
    assert (found.estimate, found.low, found.high) == (math.inf, 3.0, math.inf)
    with pytest.raises(ValueError, match="NaN"):
        median_interval([1.0, math.nan])
    with pytest.raises(ValueError, match=r"shape \(0,\)"):
        median_interval([])


def test_strata_are_resampled_apart() -> None:
    """Two constant strata: only a bootstrap that mixes them has any width."""
    scores = np.array([[0.0] * 6, [1.0] * 6])
    found = interquartile_mean_interval(scores, seed=0, resamples=200)
    assert (found.estimate, found.low, found.high) == (0.5, 0.5, 0.5)


def test_leading_axes_are_separate_questions() -> None:
    scores = RNG.normal(size=(4, 2, 9))
    together = interquartile_mean_interval(scores, seed=3, resamples=100)
    for i, each in enumerate(scores):
        alone = interquartile_mean_interval(each, seed=3, resamples=100)
        for end in ("estimate", "low", "high"):
            # The same sums in another order of memory: 18 roundings of numbers of size 1.
            assert getattr(together, end)[i] == pytest.approx(getattr(alone, end), abs=18 * 2**-52)


def test_blocks_of_resamples_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = RNG.normal(size=(2, 9))
    whole = interquartile_mean_interval(scores, seed=3, resamples=100)
    monkeypatch.setattr("analysis.measure.resampling._BLOCK", 18 * 25)
    parts = interquartile_mean_interval(scores, seed=3, resamples=100)
    assert (whole.low, whole.high) == (parts.low, parts.high)


def test_the_seed_and_the_confidence_are_used() -> None:
    scores = RNG.normal(size=(1, 20))
    first, again, other = (interquartile_mean_interval(scores, seed=s, resamples=50) for s in (1, 1, 2))
    assert (first.low, first.high) == (again.low, again.high)
    assert (first.low, first.high) != (other.low, other.high)
    narrow = interquartile_mean_interval(scores, seed=1, confidence=0.5)
    wide = interquartile_mean_interval(scores, seed=1, confidence=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def misses_allowed(trials: int, chance: float) -> int:
    return int(stats.binom.isf(ALARM, trials, chance))


def test_interquartile_mean_interval_covers() -> None:
    """Normal scores, whose interquartile mean is their centre; 30 runs in 2 strata of different spread.

    The percentile bootstrap is somewhat narrow at 30 runs: it must miss no more often than a 90 % interval.
    Its mean width must be that of a normal interval with the standard deviation of the 300 estimates, which
    is known to 1 / sqrt(600) = 4 %: 25 % is six times that, and finds a forgotten root of 2.
    """
    trials, missed, widths, estimates = 300, 0, [], []
    for trial in range(trials):
        scores = np.random.default_rng([1, trial]).normal(size=(2, 30)) * [[1.0], [0.5]]
        found = interquartile_mean_interval(scores, seed=trial, resamples=300)
        missed += not found.low <= 0 <= found.high
        widths.append(found.high - found.low)
        estimates.append(found.estimate)
    assert missed <= misses_allowed(trials, 0.10)
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.std(estimates), rel=0.25)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.array([[1.0, np.nan]]), r"1 of 2 are not finite; count the runs that diverged"),
        (np.array([1.0, 2.0]), r"shape \(2,\): expected \(\.\.\., strata, runs\)"),
        (np.zeros((2, 0)), r"shape \(2, 0\)"),
    ],
)
def test_wrong_scores_are_refused(scores: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interquartile_mean_interval(scores, seed=0)


def test_wrong_settings_are_refused() -> None:
    scores = np.zeros((2, 4))
    with pytest.raises(ValueError, match=r"confidence=1: must lie between 0 and 1"):
        interquartile_mean_interval(scores, seed=0, confidence=1)
    with pytest.raises(ValueError, match=r"resamples=0: at least 1"):
        interquartile_mean_interval(scores, seed=0, resamples=0)
