"""Intervals: equal to known ones where each value is 0 or 1, and covering over the whole grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, betabinom, hypergeom, t

from maxpo_lab.evaluation.across_prompts.intervals import difference_interval, mean_interval

#: Chances of success over prompts, from rare to nearly certain.
DIFFICULTIES = ((0.5, 2.0), (0.2, 4.0), (4.0, 0.2), (2.0, 2.0))
PROMPTS = (20, 60, 500, 2000)
ROLLOUTS = (4, 16, 64)


def ks_of(n: int) -> list[int]:
    return sorted({1, 4, n})


def values_by_successes(n: int, k: int) -> np.ndarray:
    """pass@k from c = 0..n successes of n."""
    return 1.0 - hypergeom.pmf(0, n, np.arange(n + 1), k)


def chances_of_successes(n: int, difficulty: tuple[float, float]) -> np.ndarray:
    chances = betabinom.pmf(np.arange(n + 1), n, *difficulty)
    return chances / chances.sum()


def interval(mean, error, prompts, *, confidence=0.95, bounds=(0.0, 1.0)):
    count = np.full_like(mean, prompts)
    return mean_interval(mean, error, count, confidence=confidence, bounds=bounds)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("prompts", [2, 20, 10**6])
def test_of_successes_and_failures_it_is_clopper_pearson(prompts: int, confidence: float) -> None:
    c = np.array([0, 1, prompts // 2, prompts - 1, prompts], dtype=float)
    mean, tail = c / prompts, (1 - confidence) / 2
    low, high = interval(mean, np.sqrt(mean * (1 - mean) / (prompts - 1)), prompts, confidence=confidence)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(low[1:], beta.ppf(tail, c, prompts - c + 1)[1:], rtol=1e-7)
        np.testing.assert_allclose(high[:-1], beta.ppf(1 - tail, c + 1, prompts - c)[:-1], rtol=1e-7)
    assert (low[0], high[-1]) == (0.0, 1.0)


def test_the_beta_distribution_has_the_moments_of_the_weighted_mean() -> None:
    rng = np.random.default_rng(0)
    values = np.array([0.1, 0.1, 0.35, 0.8, 0.95, 1.0])
    weighted = rng.dirichlet(np.ones(7), size=400_000) @ np.append(values, 1.0)
    size = weighted.mean() * (1 - weighted.mean()) / weighted.var() - 1
    expected = beta.ppf(0.975, weighted.mean() * size, (1 - weighted.mean()) * size)
    _, high = interval(np.array([values.mean()]), np.array([values.std(ddof=1) / np.sqrt(6)]), 6)
    assert abs(high[0] - expected) < 0.002  # 400,000 draws: their mean to .0002, their spread to a thousandth
    assert abs(high[0] - np.quantile(weighted, 0.975)) < 0.01  # and its shape is nearly a beta's


def test_it_moves_and_stretches_with_the_bounds() -> None:
    mean, error = np.array([0.3, 0.9]), np.array([0.05, 0.02])
    low, high = interval(mean, error, 25)
    moved = interval(4 * mean - 3, 4 * error, 25, bounds=(-3.0, 1.0))
    np.testing.assert_allclose(moved, (4 * low - 3, 4 * high - 3), rtol=1e-12)
    nowhere = interval(np.array([0.7]), np.array([0.0]), 9, bounds=(0.7, 0.7))
    np.testing.assert_array_equal(nowhere, [[0.7], [0.7]])
    assert np.isnan(interval(np.array([0.5]), np.array([np.nan]), 1)).all()


def test_it_covers_over_the_whole_grid() -> None:
    """Pooled coverage .93 to .98, no cell below .90 (Student's t interval is below in a quarter of them)."""
    rng, repeats = np.random.default_rng(12), 2000
    ours, students, missed_high = [], [], []
    for difficulty in DIFFICULTIES:
        for prompts in PROMPTS:
            for n in ROLLOUTS:
                chances = chances_of_successes(n, difficulty)
                histograms = rng.multinomial(prompts, chances, size=repeats)
                for k in ks_of(n):
                    values = values_by_successes(n, k)
                    truth, mean = chances @ values, histograms @ values / prompts
                    square = np.maximum(histograms @ values**2 / prompts - mean**2, 0.0)
                    error = np.sqrt(square / (prompts - 1))
                    low, high = interval(mean, error, prompts)
                    ours.append(np.mean((low <= truth) & (truth <= high)))
                    missed_high.append(np.mean(truth > high))
                    half = t.ppf(0.975, prompts - 1) * error
                    students.append(np.mean(abs(mean - truth) <= half))
    assert len(ours) == 128
    assert 0.93 <= np.mean(ours) <= 0.98
    assert min(ours) >= 0.90
    assert max(missed_high) <= 0.025 + 5 * np.sqrt(0.025 / repeats)  # each side for itself
    assert np.mean(np.array(students) < 0.90) > 0.2  # the test can tell


def test_differences_are_covered_where_gains_are_rare_and_where_there_are_none() -> None:
    rng = np.random.default_rng(5)
    found: dict[str, list[float]] = {"ours": [], "Student's": []}
    for difficulty in DIFFICULTIES:
        for prompts, repeats in ((20, 1000), (60, 1000), (500, 300)):
            for n in (4, 64):
                for gain in ("none", "rare"):
                    p = rng.beta(*difficulty, size=(repeats, prompts))
                    solved = rng.random(p.shape) < 0.03
                    q = np.where(solved, 1.0, p) if gain == "rare" else p
                    one, two = rng.binomial(n, q), rng.binomial(n, p)
                    for k in ks_of(n):
                        values = values_by_successes(n, k)
                        moment = beta_power(difficulty, k)
                        truth = 0.03 * moment if gain == "rare" else 0.0
                        d = values[one] - values[two]
                        mean, error = d.mean(axis=1), d.std(axis=1, ddof=1) / np.sqrt(prompts)
                        count = np.full_like(mean, prompts)
                        low, high = difference_interval(mean, error, count, confidence=0.95, width=1.0)
                        found["ours"].append(np.mean((low <= truth) & (truth <= high)))
                        half = t.ppf(0.975, prompts - 1) * error
                        found["Student's"].append(np.mean(abs(mean - truth) <= half + 1e-15))
    assert 0.95 <= np.mean(found["ours"]) <= 0.995
    assert min(found["ours"]) >= 0.90
    assert min(found["Student's"]) < 0.1


def beta_power(difficulty: tuple[float, float], k: int) -> float:
    """E (1-p)^k."""
    a, b = difficulty
    return float(np.prod([(b + i) / (a + b + i) for i in range(k)]))


def test_a_difference_has_students_quantile_at_one_less_than_the_prompts() -> None:
    half = t.ppf(0.975, 3) * np.sqrt((3 * 0.04 + 1.0) / (4 * 5))  # 4 prompts whose variance is .04
    low, high = difference_interval(
        np.array([0.1]), np.array([0.1]), np.array([4.0]), confidence=0.95, width=1.0
    )
    np.testing.assert_allclose([low[0], high[0]], [max(0.1 - half, -1.0), min(0.1 + half, 1.0)], rtol=1e-13)
