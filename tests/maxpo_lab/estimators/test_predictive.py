"""The lab's own rule: unbiased at every K, two known rules at its ends, and where it beats MaxPO."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import pytest
from checks import check_equals_definition
from scipy.optimize import brentq
from scipy.special import expit, logit

import maxpo_lab as ml
from maxpo_lab import theory
from maxpo_lab.estimators.definitions import groups as definitions

RULE = ml.get_estimator("predictive")
#: n, K, and the success rate below which it has less variance than MaxPO; 100 of 1000 arms are correct.
BREAK_EVEN = [
    # At K = 15 it is 0.5648, by the sum of rationals below.
    *((16, k, p) for k, p in ((2, 0.44), (4, 0.22), (8, 0.15), (12, 0.19), (15, 0.56))),
    *((64, k, p) for k, p in ((2, 0.50), (16, 0.055), (32, 0.038), (48, 0.048), (63, 0.62))),
]


def bandit(success: float) -> ml.RewardLevels:
    """1000 arms, the first 100 correct, equal chances inside each class."""
    good = np.arange(1000) < 100
    return ml.RewardLevels.from_softmax(np.where(good, logit(success) + np.log(9), 0.0), good)


@pytest.mark.parametrize("n", range(2, 13))
def test_unbiased_at_every_k_and_centered_at_the_first_alone(n: int) -> None:
    for k in range(1, n + 1):
        assert RULE.why_not(n, k) is None
        decision = theory.decide(RULE, n=n, k=k)
        assert decision.unbiased
        assert decision.scale == Fraction(1)
        assert decision.centered == (k == 1)


def test_it_needs_another_rollout() -> None:
    assert RULE.why_not(1, 1) is not None
    with pytest.raises(ValueError, match="predictive"):
        ml.advantages([1.0], 1, estimator="predictive")


@pytest.mark.parametrize("n", range(2, 13))
def test_rloo_at_one_and_pkpo_loo1_at_n(n: int) -> None:
    for k, name in ((1, "rloo"), (n, "pkpo-loo1")):
        ours, known = (x.coefficients(n, k, exact=True) for x in (RULE, ml.get_estimator(name)))
        assert ours.offset == known.offset
        assert list(ours.above) == list(known.above)
        assert list(ours.below) == list(known.below)


@pytest.mark.parametrize("n", [3, 5, 8])
def test_neither_of_them_in_between(n: int) -> None:
    group = np.random.default_rng(n).random((4, n))
    for k in range(2, n):
        ours = ml.advantages(group, k, estimator="predictive")
        for name in ("rloo", "pkpo-loo1", "maxpo", "canonical"):
            assert np.abs(ours - ml.advantages(group, k, estimator=name)).max() > 1e-3


def test_equals_its_definition() -> None:
    assert check_equals_definition(RULE, "predictive", range(2, 8)) <= 1


@pytest.mark.parametrize(
    "group", [(0, 1, 3), (2, 2, -1, 5), (Fraction(1, 3), 0, 0, 7, 2), (1, 0, 0, 1, 0, 1)]
)
def test_the_definition_at_its_ends(group: tuple) -> None:
    n = len(group)
    assert definitions.predictive(group, 1) == definitions.rloo(group, 1)
    assert definitions.predictive(group, n) == definitions.pkpo_loo1(group, n)
    assert any(sum(definitions.predictive(group, k)) for k in range(2, n))


def test_by_hand() -> None:
    # Others of the 0 are {1, 3}: max(1,1), max(1,3), max(3,1), max(3,3) average 5/2; q = (1 + 3) / 2 = 2.
    # Of the 1, {0, 3}: 0, 3, 3, 3 average 9/4, q = 2; of the 3, {0, 1}: 3/4, q = 3. Times K = 2.
    want = [-1, Fraction(-1, 2), Fraction(9, 2)]
    assert definitions.predictive((0, 1, 3), 2) == want
    seen = ml.advantages([0.0, 1.0, 3.0], 2, estimator="predictive")
    np.testing.assert_allclose(seen, np.array(want, dtype=np.float64), rtol=1e-15)


def test_the_expectation_over_all_groups_by_fractions() -> None:
    """``E[A_1 | R_1 = 1] - E[A_1 | R_1 = 0] = K (1-p)^(K-1)`` on 0/1 rewards, for K = n too."""
    p, n = Fraction(1, 3), 4
    for k in range(1, n + 1):
        gain = Fraction(0)
        for others in product((0, 1), repeat=n - 1):
            chance = p ** sum(others) * (1 - p) ** (n - 1 - sum(others))
            won, lost = (definitions.predictive((first, *others), k)[0] for first in (1, 0))
            gain += chance * (won - lost)
        assert gain == k * (1 - p) ** (k - 1)


@pytest.mark.parametrize(("n", "k", "want"), BREAK_EVEN)
def test_break_even_with_maxpo(n: int, k: int, want: float) -> None:
    def log_ratio(x: float) -> float:
        levels = bandit(float(expit(x)))
        ours, theirs = (
            ml.exact_moments(name, levels, n=n, k=k).trace_covariance for name in ("predictive", "maxpo")
        )
        return float(np.log(ours / theirs))

    low, high = logit(want / 3), logit(0.9)
    assert log_ratio(low) < 0 < log_ratio(high)
    found = float(expit(brentq(log_ratio, low, high, xtol=1e-6)))
    assert float(f"{found:.2g}") == want
    for rare in (1e-4, 1e-3, 1e-2):  # below the break-even everywhere, not at one point alone
        assert log_ratio(logit(rare)) < 0


def exact_trace(name: str, p: Fraction, n: int, k: int) -> Fraction:
    """Trace covariance on the bandit in rationals, with the advantages counted from subsets by hand.

    ``G_1 = (1-p) D``, ``G_0 = -p D`` with ``|D|^2 = 1/100 + 1/900``, and a spread ``1 - 1/size`` in a class.
    """

    def hit(failures: int, size: int) -> Fraction:
        """Chance that ``size`` of the n-1 others hold a success, ``failures`` of which fail."""
        return 1 - Fraction(comb(failures, size), comb(n - 1, size))

    apart = Fraction(1, 100) + Fraction(1, 900)
    second = mean = Fraction(0)
    for c in range(n + 1):
        advantages = []
        for won in (0, 1):
            failures = max(0, n - c - (not won))
            signal = Fraction(1) if won else hit(failures, k - 1)
            share = Fraction(failures, n - 1)
            baseline = hit(failures, k) if name == "maxpo" else 1 - share + share * hit(failures, k - 1)
            advantages.append(k * (signal - baseline))
        lost, gained = (n - c) * advantages[0], c * advantages[1]
        along = gained * (1 - p) - lost * p
        chance = comb(n, c) * p**c * (1 - p) ** (n - c)
        spread = gained * advantages[1] * Fraction(99, 100) + lost * advantages[0] * Fraction(899, 900)
        second += chance * (along**2 * apart + spread)
        mean += chance * along
    return (second - mean**2 * apart) / n**2


def test_the_last_break_even_in_rationals() -> None:
    below, above = (
        exact_trace("predictive", p, 16, 15) / exact_trace("maxpo", p, 16, 15)
        for p in (Fraction("0.56477"), Fraction("0.56478"))
    )
    assert below < 1 < above
    for name in ("predictive", "maxpo"):
        seen = ml.exact_moments(name, bandit(0.3), n=16, k=15).trace_covariance
        assert seen == pytest.approx(float(exact_trace(name, Fraction("0.3"), 16, 15)), rel=1e-12)
