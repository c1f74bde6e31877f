"""L-statistics by name: each preset is the statistic of SciPy, NumPy or its definition on K numbers."""

# ruff: noqa: PLW0108 - slices that only some names have the arguments for

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import ceil, comb, floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import mstats

import maxpo_lab as ml
from maxpo_lab import theory
from maxpo_lab.estimators.definitions import groups as definitions
from maxpo_lab.objectives import as_objective, looks_at_k
from maxpo_lab.objectives.l_statistics import PRESETS, weights_of

F = Fraction
EXAMPLES = {"m": "1", "r": "2", "q": "0.3", "lo": "0.1", "hi": "0.65"}
SPELLED = [":".join((name, *(EXAMPLES[of] for of in each.arguments))) for name, each in PRESETS.items()]
SPECS = [*SPELLED, "weights=[-1,0.5,1/3]"]


def statistic(text: str, values: np.ndarray) -> float:
    weights = np.array([float(each) for each in weights_of(text, len(values))])
    return float(weights @ np.sort(values))


def l_moment(values: np.ndarray, r: int) -> float:
    """By Hosking's definition: over all r-subsets, signed binomials times their order statistics, over r."""
    signs = [(-1) ** (r - 1 - j) * comb(r - 1, j) for j in range(r)]
    return float(np.mean([np.dot(signs, sorted(each)) for each in combinations(values, r)]) / r)


def hand(text: str, x: np.ndarray) -> float:
    """The statistic from elsewhere: a library, or its definition."""
    name, *given = text.split(":")
    a = [float(each) for each in given]
    k, up = len(x), np.sort(x)
    q = a[0] if a else 0.0
    exact = F(given[0]) if given else F(0)
    if name.startswith(("Quantile", "TopQuantile")):
        share = 1 - q if name.startswith("Top") else q
        kind = name.removeprefix("Top").removeprefix("Quantile") or "Hazen"
        if kind == "Blom":
            return float(mstats.mquantiles(x, share, alphap=3 / 8, betap=3 / 8)[0])
        return float(np.quantile(x, share, method=kind.lower()))
    m = int(q) if given else 0
    by_name = {
        "TopM": lambda: up[k - m :].mean(),
        "BotM": lambda: up[:m].mean(),
        "TrimM": lambda: up[m : k - m].mean(),
        "WinsorizedM": lambda: np.clip(up, up[m], up[k - m - 1]).mean(),
        "MidrangeM": lambda: (up[k - m :].mean() + up[:m].mean()) / 2,
        "TopBot": lambda: (up[k - m :].mean() + up[:m].mean()) / 2,
        "Median": lambda: np.median(x),
        "ReMin": x.min,
        "ReMax": x.max,
        "Rank": lambda: up[::-1][m - 1],
        "LowerTailMean": lambda: up[: ceil(exact * k)].mean(),
        "UpperTailMean": lambda: up[::-1][: ceil(exact * k)].mean(),
        "RangeLowerTailMean": lambda: up[floor(exact * k) : ceil(F(given[1]) * k)].mean(),
        "RangeUpperTailMean": lambda: up[::-1][floor(exact * k) : ceil(F(given[1]) * k)].mean(),
        "TrimmedMeanFrac": lambda: up[::-1][floor(exact * k) : k - floor((1 - F(given[1])) * k)].mean(),
        "HarrellDavis": lambda: mstats.hdquantiles(x, prob=[q])[0] if k > 1 else x[0],
        "GiniMeanDifference": lambda: np.mean([abs(b - c) for b, c in combinations(x, 2)]),
        "GMD": lambda: np.mean([abs(b - c) for b, c in combinations(x, 2)]),
        "LMoment": lambda: l_moment(x, m),
        # Expected shortfall: (1/q) times the integral of the empirical quantile function up to q.
        "CVaR": lambda: np.mean(up[np.minimum((np.arange(60000) + 0.5) / 60000 * q * k, k - 1).astype(int)]),
        "UpperCVaR": lambda: -hand(f"CVaR:{given[0]}", -x),
    }
    return float(by_name[name]())


@pytest.mark.parametrize("text", SPELLED)
def test_a_preset_is_the_statistic_of_its_name(text: str) -> None:
    rng, seen = np.random.default_rng(3), 0
    for k in (1, 2, 3, 4, 7, 12, 25):
        try:
            weights_of(text, k)
        except ValueError:
            assert k <= 2
            continue
        values = rng.normal(size=k)
        tolerance = 1e-4 if "CVaR" in text else 1e-10  # of an integral on a grid of 60000; of sums of K
        assert statistic(text, values) == pytest.approx(hand(text, values), abs=tolerance)
        seen += 1
    assert seen >= 5


@pytest.mark.parametrize("q", ["0.02", "0.25", "0.5", "0.731", "0.98"])
def test_quantiles_across_their_range(q: str) -> None:
    values = np.random.default_rng(5).normal(size=9)
    for name in (*(each for each in PRESETS if "Quantile" in each), "HarrellDavis"):
        assert statistic(f"{name}:{q}", values) == pytest.approx(hand(f"{name}:{q}", values), abs=1e-10)


def test_harrell_davis_is_exact_where_the_beta_function_is() -> None:
    # (K+1) q whole: a binomial tail, in rationals; to 50 digits.
    for k, a in ((3, 2), (9, 5), (9, 1), (20, 13)):
        below = [
            sum(comb(k, s) * F(j, k) ** s * F(k - j, k) ** (k - s) for s in range(a, k + 1))
            for j in range(k + 1)
        ]
        found = weights_of(f"HarrellDavis:{a}/{k + 1}", k)
        assert sum(found) == 1
        assert max(abs(w - (high - low)) for w, low, high in zip(found, below, below[1:], strict=False)) < F(
            1, 10**48
        )
    assert stats.beta(2.0, 2.0).cdf(1 / 3) == pytest.approx(
        float(weights_of("HarrellDavis:0.5", 3)[0]), abs=1e-15
    )


def test_tail_shares_are_exact_where_floats_are_not() -> None:
    # 0.28 * 25 is 7.000000000000001 in float64.
    assert ceil(0.28 * 25) == 8
    for q, k in (("0.28", 25), ("0.56", 25), ("0.14", 50), ("0.28", 50), ("0.56", 50)):
        assert sum(map(bool, weights_of(f"LowerTailMean:{q}", k))) == F(q) * k
        assert weights_of(f"CVaR:{q}", k) == weights_of(f"LowerTailMean:{q}", k)


def test_real_tail_fractions_move_the_weights_without_steps() -> None:
    assert weights_of("CVaR:0.375", 4) == (F(2, 3), F(1, 3), 0, 0)
    assert weights_of("UpperCVaR:0.375", 4) == (0, 0, F(1, 3), F(2, 3))
    near = np.array(weights_of("CVaR:0.5000001", 4), dtype=float)
    np.testing.assert_allclose(near, [0.5, 0.5, 0, 0], atol=1e-6)


def test_the_third_l_moment_knows_no_location() -> None:
    # OrderGrad's LMoment:3 has weights that sum to 1/18.
    for r, k in ((2, 2), (3, 3), (3, 8), (4, 9)):
        assert sum(weights_of(f"LMoment:{r}", k)) == 0
    assert weights_of("LMoment:1", 5) == (F(1, 5),) * 5
    gini = weights_of("GMD", 7)
    assert [2 * each for each in weights_of("LMoment:2", 7)] == list(gini)


@pytest.mark.parametrize("text", SPECS)
def test_the_rule_of_each_is_its_definition_unbiased_and_centered(text: str) -> None:
    name, rule = f"l-statistic:{text}", ml.get_estimator(f"l-statistic:{text}")
    seen, group = 0, np.array([0.5, -1.0, 2.0, 0.5, 0.0, 3.0])
    for n in range(2, 7):
        for k in range(1, n):
            if rule.why_not(n, k):
                continue
            exact = [
                float(each) for each in definitions.l_statistic(name)(group[:n].tolist(), _size(name, k))
            ]
            np.testing.assert_allclose(rule(group[:n], k), exact, rtol=0, atol=1e-12 * 3 * n)
            decision = theory.decide(rule, n=n, k=k)
            assert decision.unbiased or not as_objective(name, n, k)._powers
            assert decision.centered
            seen += 1
    assert seen >= 4


def _size(name: str, k: int) -> int:
    return as_objective(name, 99, k).size


@given(st.lists(st.fractions(max_denominator=40), min_size=1, max_size=6))
def test_any_weights_are_taken_as_they_are(weights: list[Fraction]) -> None:
    text = f"weights=[{', '.join(map(str, weights))}]"
    assert weights_of(text, 99) == tuple(weights)
    name = f"l-statistic:{text}"
    assert not looks_at_k(name)
    rule = ml.get_estimator(name)
    assert not rule.uses_k
    assert rule.why_not(len(weights) + 1, 1) is None
    assert rule.why_not(len(weights), 1) is not None
    n = len(weights) + 1
    assert (
        rule.coefficients(n, 1, exact=True).above.tolist()
        == rule.coefficients(n, 4, exact=True).above.tolist()
    )


def test_max_by_its_weights_is_maxpo() -> None:
    rewards = np.random.default_rng(1).random((5, 8))
    maxpo = ml.get_estimator("maxpo")(rewards, 3)
    np.testing.assert_allclose(ml.get_estimator("l-statistic:weights=[0,0,1]")(rewards, 7), maxpo, atol=1e-13)
    np.testing.assert_allclose(ml.get_estimator("l-statistic:ReMax")(rewards, 3), maxpo, atol=1e-13)
    np.testing.assert_allclose(ml.get_estimator("l-statistic:Rank:1@3")(rewards, 1), maxpo, atol=1e-13)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Quantle:0.2", "did you mean Quantile"),
        ("Quantile", "it reads Quantile:q"),
        ("RangeUpperTailMean:0.2", "it reads RangeUpperTailMean:lo:hi"),
        ("RangeUpperTailMean:0.3:0.2", "0 <= lo < hi <= 1"),
        ("Rank:9", "at k=4: Rank:r needs 1 <= r <= k"),
        ("Rank:1.5", "Rank:r needs"),
        ("LMoment:5", "1 <= r <= k"),
        ("WinsorizedM:2", "2 m < k"),
        ("TopBot:0", "1 <= m <= k"),
        ("HarrellDavis:1", "0 < q < 1"),
        ("Quantile:1.2", "0 <= q <= 1"),
        ("CVaR:0", "0 < q <= 1"),
        ("CVaR:x", "0 < q <= 1"),
        ("weights=1,2", "numbers in brackets"),
        ("weights=[1,x]", "numbers in brackets"),
        ("weights=[]", "numbers in brackets"),
        ("Zzz", "known: TopM:m"),
    ],
)
def test_what_is_none_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        weights_of(text, 4)


def test_a_spread_of_one_has_no_k() -> None:
    reason = ml.get_estimator("l-statistic:GMD").why_not(8, 1)
    assert reason is not None
    assert reason.endswith("the nearest valid choice is k=2")
