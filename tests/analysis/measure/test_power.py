"""What a number of runs can see: against integrals of normal tails, and against simulated tests."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.integrate import quad

from analysis.measure.power import paired, smallest_seen

RESULTS = Path(__file__).parents[3] / "results"
NORMAL = NormalDist()


def power_of(mean: float, freedom: int, confidence: float) -> float:
    """P(T > t), given the error's estimate over its truth, ``s``: the normal tail above ``t s``."""
    critical = stats.t.isf((1 - confidence) / 2, freedom)
    spread = stats.chi(freedom, scale=1 / math.sqrt(freedom))
    reach = spread.ppf([1e-14, 0.5, 1 - 1e-14])

    def joint(s: float) -> float:
        return NORMAL.cdf(mean - critical * s) * float(spread.pdf(s))

    return sum(quad(joint, low, high, epsabs=1e-11)[0] for low, high in pairwise(reach))


@pytest.mark.parametrize("freedom", [1, 2, 4, 8, 46])
@pytest.mark.parametrize(("confidence", "power"), [(0.95, 0.8), (0.99, 0.9), (0.5, 0.6)])
def test_the_smallest_mean_has_the_power(freedom: int, confidence: float, power: float) -> None:
    found = smallest_seen(1.0, freedom, confidence=confidence, power=power)
    assert power_of(found, freedom, confidence) == pytest.approx(power, abs=1e-8)
    assert smallest_seen(0.3, freedom, confidence=confidence, power=power) == pytest.approx(0.3 * found)


def test_the_sum_of_two_quantiles_is_another_number() -> None:
    """Which the integral tells from the exact one, at the degrees of freedom that studies have."""
    for freedom in (2, 8, 46):
        summed = float(stats.t.ppf(0.975, freedom) + stats.t.ppf(0.8, freedom))
        assert abs(power_of(summed, freedom, 0.95) - 0.8) > 1e-5
        assert summed != pytest.approx(smallest_seen(1.0, freedom), rel=1e-4)


def test_an_error_that_is_known_is_the_limit() -> None:
    known = NORMAL.inv_cdf(0.975) + NORMAL.inv_cdf(0.8)
    assert smallest_seen(2.0) == pytest.approx(2 * known, rel=1e-12)
    # Quantiles of Student's distribution are z + (z^3 + z)/(4 freedom): 2.4/freedom at 0.975, less at 0.8.
    for freedom in (100, 10_000):
        assert known < smallest_seen(1.0, freedom) < known + 3 / freedom


def test_two_samples_of_a_plan_are_told_apart_as_often_as_it_says() -> None:
    """5 runs of each rule, 40,000 studies: within 4 standard errors of 0.8."""
    runs, spread, studies = 5, 0.3, 40_000
    apart = smallest_seen(spread * math.sqrt(2 / runs), 2 * runs - 2)
    one, other = spread * np.random.default_rng(0).normal(size=(2, runs, studies))
    seen = float((stats.ttest_ind(one + apart, other).pvalue < 0.05).mean())
    assert abs(seen - 0.8) < 4 * math.sqrt(0.16 / studies)


def test_paired_runs_see_the_smallest_four_times_in_five() -> None:
    """Normal differences of 3 strata: 1,500 repetitions, within 4 standard errors of 0.8, of 0.05 at 0."""
    rng = np.random.default_rng(0)
    spreads = np.array([[0.5], [1.0], [2.0]])
    seen = {0.0: 0, 1.0: 0}
    # The smallest of the truth: that of each repetition varies with its own spread.
    smallest = float(np.mean([paired(*spreads * rng.normal(size=(3, 20))).smallest for _ in range(200)]))
    for _ in range(1500):
        noise = spreads * rng.normal(size=(3, 20))
        for shift in seen:
            seen[shift] += paired(*noise + shift * smallest).seen
    assert abs(seen[1.0] / 1500 - 0.8) < 4 * np.sqrt(0.16 / 1500) + 0.01
    assert abs(seen[0.0] / 1500 - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 1500) + 0.005


def test_paired_differences() -> None:
    values = np.random.default_rng(1).normal(1.0, size=12)
    found, known = paired(values), stats.ttest_1samp(values, 0.0)
    ends = known.confidence_interval(0.95)
    assert (found.estimate, found.low, found.high) == pytest.approx((values.mean(), ends.low, ends.high))
    error = float(values.std(ddof=1)) / math.sqrt(12)
    assert power_of(found.smallest / error, 11, 0.95) == pytest.approx(0.8, abs=1e-8)
    assert paired(values, power=0.9).smallest > found.smallest > found.high - found.estimate
    alike = paired(np.full(5, 2.0))
    assert (alike.low, alike.high, alike.smallest) == (2.0, 2.0, 0.0)


def test_two_strata_are_welch_s_test() -> None:
    """Of a difference of two means, halved: the strata are averaged."""
    rng = np.random.default_rng(2)
    one, other = rng.normal(1.0, 1.0, size=9), rng.normal(0.0, 3.0, size=6)
    known = stats.ttest_ind(one, -other, equal_var=False)
    found, ends = paired(one, other), known.confidence_interval(0.95)
    assert (2 * found.low, 2 * found.high) == pytest.approx((ends.low, ends.high))
    error = (ends.high - ends.low) / 4 / stats.t.ppf(0.975, known.df)
    assert found.smallest == pytest.approx(smallest_seen(error, int(known.df)))


@pytest.mark.parametrize(
    ("strata", "said"),
    [([[1.0]], "two runs"), ([[np.nan, 1.0]], "not finite"), ([[[1.0, 2.0]]], r"\(1, 2\)"), ([], "shapes")],
)
def test_what_are_no_differences_is_refused(strata: list[list[float]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        paired(*strata)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"error": -1.0}, r"error=-1\.0"),
        ({"error": 1.0, "freedom": 0}, "freedom=0"),
        ({"error": 1.0, "freedom": 2.5}, r"freedom=2\.5"),
        ({"error": 1.0, "power": 0.04}, r"power=0\.04"),
        ({"error": 1.0, "power": 1.0}, r"power=1\.0"),
        ({"error": 1.0, "confidence": 1.0}, r"confidence=1\.0"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        smallest_seen(**settings)
    if "power" in settings:
        with pytest.raises(ValueError, match=said):
            paired([1.0, 2.0], power=settings["power"])


def test_what_studies_have_stored_is_what_their_spreads_say() -> None:
    plan = pd.read_parquet(RESULTS / "llm/rows.parquet").query("kind == 'power'")
    assert len(plan) == 7
    for row in plan.itertuples():
        apart = math.log(row.visible) if row.quantity == "rollouts" else row.visible
        runs = int(row.seeds)
        assert power_of(apart / row.spread / math.sqrt(2 / runs), 2 * runs - 2, 0.95) == pytest.approx(0.8)
    pairs = pd.read_parquet(RESULTS / "training-speed/rows.parquet").query("resolvable.notna()")
    reach = np.log(pairs.resolvable.to_numpy()) / pairs.error.to_numpy()
    np.testing.assert_allclose([NORMAL.cdf(each) for each in reach - NORMAL.inv_cdf(0.975)], 0.8, rtol=1e-9)
