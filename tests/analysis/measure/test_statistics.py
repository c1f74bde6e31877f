"""Statistics of training runs: witnesses in plain Python and SciPy, coverage of the intervals, bad input."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from analysis.measure.statistics import (
    difference_interval,
    improvement,
    improvement_interval,
    interquartile_mean,
    interquartile_mean_interval,
    median_interval,
)

RNG = np.random.default_rng(20260608)
#: False alarms of this file's statistical tests, in all, split evenly between its looks.
ALARM = 1e-6 / 9


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


@pytest.mark.parametrize("paired", [False, True])
def test_improvement_counts_wins_and_half_of_the_ties(paired: bool) -> None:
    """In whole numbers, pair by pair; of paired runs strangers alone are counted."""
    x, y = RNG.integers(4, size=(2, 5)), RNG.integers(4, size=(2, 5 if paired else 7))
    by_stratum = []
    for own, other in zip(x.tolist(), y.tolist(), strict=True):
        pairs = [
            (a, b)
            for (i, a), (j, b) in itertools.product(enumerate(own), enumerate(other))
            if i != j or not paired
        ]
        by_stratum.append(
            sum(Fraction(a > b) + Fraction(1, 2) * (a == b) for a, b in pairs) / Fraction(len(pairs))
        )
    found = improvement(x, y, paired=paired)
    assert found == pytest.approx(float(sum(by_stratum) / 2), abs=1e-15)
    assert found + improvement(y, x, paired=paired) == pytest.approx(1.0, abs=1e-15)
    assert improvement_interval(x, y, paired=paired, seed=0, resamples=9).estimate == pytest.approx(found)
    if not paired:
        u = stats.mannwhitneyu(x[0], y[0]).statistic / (5 * 7)
        assert improvement(x[:1], y[:1], paired=False) == pytest.approx(u, abs=1e-15)


def test_strata_are_resampled_apart() -> None:
    """Two constant strata: only a bootstrap that mixes them has any width."""
    scores = np.array([[0.0] * 6, [1.0] * 6])
    found = interquartile_mean_interval(scores, seed=0, resamples=200)
    assert (found.estimate, found.low, found.high) == (0.5, 0.5, 0.5)
    alike = improvement_interval(scores, scores, paired=False, seed=0, resamples=200)
    assert (alike.estimate, alike.low, alike.high) == (0.5, 0.5, 0.5)


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


#: Standard deviations of what runs share and of their own; None: other seeds, nothing shared.
LAWS = {"other seeds": None, "independent": (0.0, 1.0), "half": (1.0, 1.0), "nearly equal": (1.0, 0.03)}


@pytest.mark.parametrize("law", LAWS)
def test_improvement_interval_covers_one_half_for_equals(law: str) -> None:
    """X and Y of one law, with shared numbers or not: P is a half. At most 10 % may miss, as above."""
    trials, missed = 300, 0
    common, own = LAWS[law] or (0.0, 1.0)
    for trial in range(trials):
        rng = np.random.default_rng([2, trial, list(LAWS).index(law)])
        x, y = common * rng.normal(size=(1, 30)) + own * rng.normal(size=(2, 1, 30))
        found = improvement_interval(x, y, paired=LAWS[law] is not None, seed=trial, resamples=300)
        missed += not found.low <= 0.5 <= found.high
    assert missed <= misses_allowed(trials, 0.10)


def test_improvement_interval_covers_what_independent_runs_would_give() -> None:
    """Pairs that share half their variance, X higher by 0.7: strangers give Phi(0.7 / 2) = 0.64 and partners
    Phi(0.7 / sqrt 2) = 0.69, which is none of our business."""
    trials, missed, found = 300, 0, []
    for trial in range(trials):
        rng = np.random.default_rng([3, trial])
        x, y = rng.normal(size=(1, 30)) + rng.normal(size=(2, 1, 30)) + [[[0.7]], [[0.0]]]
        each = improvement_interval(x, y, paired=True, seed=trial, resamples=300)
        found.append(each.estimate)
        missed += not each.low <= stats.norm.cdf(0.35) <= each.high
    assert missed <= misses_allowed(trials, 0.10)
    z = (np.mean(found) - stats.norm.cdf(0.35)) / (np.std(found, ddof=1) / np.sqrt(trials))
    assert abs(z) < stats.norm.isf(ALARM / 2)


@pytest.mark.parametrize("runs", [2, 5, 30, 100])
def test_partners_do_not_move_the_probability(runs: int) -> None:
    """Every partner wins by a hair: independent runs are still even, however many there are."""
    y = RNG.normal(size=(3, runs))
    apart = np.diff(np.sort(y, axis=1), axis=1).min() / 2
    found = improvement_interval(y + apart, y, paired=True, seed=0, resamples=200)
    assert found.estimate == pytest.approx(0.5, abs=1e-15)
    # One pair of runs alone, of which one has to win: each of its two meetings counts.
    assert found.low <= 0.5 + 1e-15
    assert found.high >= 0.5 - 1e-15
    exact = difference_interval(y + apart, y, seed=0, resamples=200)
    # Sums of numbers of size 1.
    assert (exact.estimate, exact.low, exact.high) == pytest.approx((apart,) * 3, abs=1e-14)


@pytest.mark.parametrize(("paired", "pairs"), [(False, 12), (True, 6)])
def test_a_clean_sweep_is_not_certainty(paired: bool, pairs: int) -> None:
    """All pairs won: the ends are Clopper and Pearson's for as many wins as there are disjoint pairs.

    Ends of 20 000 resamples: quantiles of U^(1/m) near 2.5 % have an error of 5 %/m of themselves.
    """
    y = RNG.normal(size=(1, 12))
    for x, won in ((y + 100, True), (y - 100, False)):
        found = improvement_interval(x, y, paired=paired, seed=0, resamples=20_000)
        ends = stats.binomtest(pairs if won else 0, pairs).proportion_ci(method="exact")
        assert found.estimate == won
        assert (found.low, found.high) == pytest.approx((ends.low, ends.high), abs=0.02)
    both = np.concatenate([y + 100, y]), np.concatenate([y, y])
    mixed = improvement_interval(*both, paired=paired, seed=0)
    assert mixed.low < mixed.estimate == 0.75 <= mixed.high


def test_difference_interval_is_of_pairs_and_covers() -> None:
    """Mean differences 0.5 and 0 in two strata; what pairs share is gone. At most 10 % may miss, as above."""
    trials, missed, widths = 300, 0, []
    for trial in range(trials):
        rng = np.random.default_rng([4, trial])
        shared = 100 * rng.normal(size=(2, 30))
        x, y = shared + rng.normal(size=(2, 30)) + [[0.5], [0.0]], shared + rng.normal(size=(2, 30))
        found = difference_interval(x, y, seed=trial, resamples=300)
        assert found.estimate == pytest.approx(np.mean(x - y), abs=1e-12)
        missed += not found.low <= 0.25 <= found.high
        widths.append(found.high - found.low)
    assert missed <= misses_allowed(trials, 0.10)
    # The mean of 60 differences of variance 2; 300 resamples give an end to 10 %, their mean to less.
    assert np.mean(widths) == pytest.approx(2 * 1.96 * (2 / 60) ** 0.5, rel=0.1)


@pytest.mark.parametrize("paired", [False, True])
def test_two_runs_can_be_resampled(paired: bool) -> None:
    found = improvement_interval([[1.0, 2.0]], [[0.0, 3.0]], paired=paired, seed=0, resamples=100)
    assert 0 <= found.low <= 0.5 <= found.high <= 1


def test_a_shift_is_found() -> None:
    """One standard deviation: P(X > Y) = Phi(1 / sqrt 2) = 0.76, far from a half at 30 runs."""
    x, y = RNG.normal(size=(2, 1, 30)) + np.array([1.0, 0.0])[:, None, None]
    found = improvement_interval(x, y, paired=False, seed=0)
    assert found.low > 0.5
    # The Mann-Whitney statistic of 30 x 30 normal pairs has standard deviation below 0.07.
    assert abs(found.estimate - stats.norm.cdf(2**-0.5)) < stats.norm.isf(ALARM) * 0.07


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
    with pytest.raises(ValueError, match=message):
        improvement_interval(scores, scores, paired=False, seed=0)
    with pytest.raises(ValueError, match=message):
        difference_interval(scores, scores, seed=0)


def test_wrong_settings_are_refused() -> None:
    scores = np.zeros((2, 4))
    with pytest.raises(ValueError, match=r"confidence=1: must lie between 0 and 1"):
        interquartile_mean_interval(scores, seed=0, confidence=1)
    with pytest.raises(ValueError, match=r"resamples=0: at least 1"):
        interquartile_mean_interval(scores, seed=0, resamples=0)
    with pytest.raises(ValueError, match=r"equal strata$"):
        improvement_interval(scores, scores[:1], paired=False, seed=0)
    with pytest.raises(ValueError, match=r"equal strata and runs$"):
        improvement_interval(scores, scores[:, :3], paired=True, seed=0)
    with pytest.raises(ValueError, match=r"equal strata and runs$"):
        difference_interval(scores, scores[:, :3], seed=0)
    with pytest.raises(ValueError, match=r"1 run: paired runs meet those of other seeds, so 2 are needed"):
        improvement_interval(scores[:, :1], scores[:, :1], paired=True, seed=0)
