"""J_K and its gradient: all M^K draws, finite differences to 60 digits, rationals where success is rare."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from brute_force import Policy, objective, random_policy, softmax_gradient, softmax_policy
from checks import EPS

import maxpo_lab as ml

POLICIES = {
    "distinct": random_policy((0.0, 0.4, 1.0), seed=5),
    "tied, negative": random_policy((-3.0, 1.0, 1.0, 2.0), dimension=3, seed=6),
    "one level": softmax_policy((0.0, 0.0), (2.0, 2.0)),
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_all_draws(policy: Policy, k: int) -> None:
    levels = policy.levels()
    value, gradient = objective(policy, k)
    # M^K products of K chances, added up: K + M^K roundings of the largest reward, and of K scores.
    terms = (k + len(policy.rewards) ** k + 16) * EPS * np.abs(policy.rewards).max()
    assert abs(ml.max_at_k(levels, k) - value) <= terms
    largest = k * np.linalg.norm(policy.scores, axis=1).max()
    np.testing.assert_allclose(ml.max_at_k_gradient(levels, k), gradient, rtol=0, atol=terms * largest)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_gradient_to_60_digits(k: int) -> None:
    logits, rewards = (0.5, -1.0, 2.0, 0.0), (0.0, 0.25, 0.25, 1.0)
    levels = ml.RewardLevels.from_softmax(logits, rewards)
    want = softmax_gradient(logits, rewards, k)
    # Each of a few sums of M = 4 and powers to K: 64 K roundings of rewards and scores of at most 1.
    np.testing.assert_allclose(ml.max_at_k_gradient(levels, k), want, rtol=0, atol=64 * k * EPS)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_gradient_is_the_slope_of_the_objective(k: int) -> None:
    logits, rewards = np.array([0.5, -1.0, 2.0, 0.0]), np.array([0.0, 0.25, 0.25, 1.0])
    step = EPS ** (1 / 3)
    got = ml.max_at_k_gradient(ml.RewardLevels.from_softmax(logits, rewards), k)
    for i, shift in enumerate(step * np.eye(4)):
        up, down = (
            ml.max_at_k(ml.RewardLevels.from_softmax(x, rewards), k) for x in (logits + shift, logits - shift)
        )
        # |J'''| <= E|u^3 + 3 u u' + u''| <= 2 K^3, with u the score of K draws, |u| <= K, |u'| <= K/4; and J
        # itself is off by a few roundings of K terms on either side.
        tolerance = step**2 / 6 * 2 * k**3 + 16 * k * EPS / step
        assert abs((up - down) / (2 * step) - got[i]) <= tolerance


def two_levels(success: float) -> ml.RewardLevels:
    """Success of this very probability, with the scores (-p/(1-p), 1)."""
    odds = success / (1 - success)
    return ml.RewardLevels([0, 1], [1 - success, success], [[-odds], [1.0]], [odds**2, 1.0])


@pytest.mark.parametrize("success", [1e-300, 1e-30, 1e-12, 1e-3, 0.5, 1 - 2.0**-40])
@pytest.mark.parametrize("k", [1, 2, 7, 64])
def test_rare_success_in_rationals(success: float, k: int) -> None:
    levels, p = two_levels(success), Fraction(success)
    value = 1 - (1 - p) ** k
    # log1p, a product, expm1: condition at most 1 each, 2 eps each.
    assert abs(Fraction(ml.max_at_k(levels, k)) / value - 1) <= 8 * EPS
    fail = Fraction(1 - success)  # the probability that the levels hold: that rounding is not theirs
    gradient = k * fail ** (k - 1) * p
    got = Fraction(float(ml.max_at_k_gradient(levels, k)[0]))
    # A power (2 eps) and four products; what underflows is 0.
    assert abs(got - gradient) <= max(8 * EPS * gradient, Fraction(np.finfo(np.float64).tiny))


def test_a_sure_success() -> None:
    certain = ml.RewardLevels.from_softmax((0.0, 1.0), (1.0, 1.0))
    assert ml.max_at_k(certain, 3) == 1.0
    assert ml.max_at_k_gradient(certain, 3).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("function", [ml.max_at_k, ml.max_at_k_gradient])
def test_refuses_a_bad_k(function) -> None:
    for k, error in ((0, ValueError), (-1, ValueError), (2.0, TypeError), (True, TypeError)):
        with pytest.raises(error, match=f"k={k}"):
            function(two_levels(0.5), k)


@pytest.mark.parametrize(
    "values", [(-1e16, 1.0), (-1e16, -1.0, 0.5), (-1e300, 3.0), (-1e16, -2.0), (2.0, 1e16)]
)
@pytest.mark.parametrize("k", [1, 7, 100, 400])
def test_a_large_level_hides_no_other(values: tuple[float, ...], k: int) -> None:
    """Against rationals: each level's share of J_K is right to some eps of its own size."""
    chances = np.full(len(values), 1 / len(values))
    levels = ml.RewardLevels.from_softmax(np.zeros(len(values)), values)
    below = [Fraction(0), *np.cumsum([Fraction(chance) for chance in chances.tolist()])]
    below = [each / below[-1] for each in below]
    shares = [
        Fraction(value) * (high**k - low**k)
        for value, low, high in zip(values, below, below[1:], strict=False)
    ]
    error = abs(Fraction(ml.max_at_k(levels, k)) - sum(shares))
    assert error <= 8 * k * EPS * sum(map(abs, shares))


@pytest.mark.parametrize(
    "values", [(-1e16, 0.0, 1.0), (-1e16, -2.0, -1.0), (-1e16, -1.0, 0.5), (0.0, 1.0, 1e16)]
)
@pytest.mark.parametrize("rare", [1e-17, 1e-8, 1.0])
@pytest.mark.parametrize("k", [1, 2, 7])
def test_a_large_level_hides_no_other_in_the_gradient(values: tuple[float, ...], rare: float, k: int) -> None:
    """Against rationals: each level's term of the gradient is right to some eps of its own size."""
    largest = int(np.argmax(np.abs(values)))
    logits = np.where(np.arange(3) == largest, np.log(rare), 0.0)
    levels = ml.RewardLevels.from_softmax(logits, values)
    p = [Fraction(chance) for chance in levels.probabilities.tolist()]
    below = [sum(p[: m + 1]) / sum(p) for m in range(3)]
    negative = [min(Fraction(value), 0) for value in values]
    positive = [max(Fraction(value), 0) for value in values]
    slope = [k * each ** (k - 1) for each in below]
    terms = [
        p[i]
        * (
            sum((positive[m + 1] - positive[m]) * slope[m] for m in range(i))
            - sum((negative[m + 1] - negative[m]) * slope[m] for m in range(i, 2))
        )
        for i in range(3)
    ]
    scores = [[Fraction(each) for each in row] for row in levels.mean_scores.tolist()]
    got = ml.max_at_k_gradient(levels, k)
    for j in range(3):
        shares = [term * score[j] for term, score in zip(terms, scores, strict=True)]
        assert abs(Fraction(float(got[j])) - sum(shares)) <= 16 * k * EPS * sum(map(abs, shares))
