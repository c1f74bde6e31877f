"""The pass@k spectrum: exact where it claims to be, and the same f that exact moments measure."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab import objective_spectrum, pass_at_k_spectrum
from maxpo_lab.objectives import as_objective
from maxpo_lab.spectrum import ORDERED_UP_TO

ALL = ml.list_estimators()


def measurable(name: str, n: int, k: int) -> bool:
    """Whether a rule is defined there, and its groups' orders few enough where they matter."""
    rule = ml.get_estimator(name)
    return rule.why_not(n, k) is None and (rule.claims.equivariant or n <= ORDERED_UP_TO)


UNBIASED_MAX_AT_K = [
    name
    for name in ALL
    if ml.get_estimator(name).objective == "max@k" and ml.get_estimator(name).claims.unbiased
]


def binary(success: float) -> ml.RewardLevels:
    logits = np.log([0.5 * success, 0.5 * success, 0.7 * (1 - success), 0.3 * (1 - success)])
    return ml.RewardLevels.from_softmax(logits, [1, 1, 0, 0])


def black_box(name: str):
    """The same numbers without the name: the spectrum must be measured, not read off coefficients."""
    return lambda rewards, k: ml.advantages(rewards, k, estimator=name)


@pytest.mark.parametrize("name", UNBIASED_MAX_AT_K)
def test_unbiased_rules_have_a_unit_spectrum_in_rationals(name: str) -> None:
    for k in range(1, 9):
        if ml.get_estimator(name).why_not(8, k) is None:
            spectrum = pass_at_k_spectrum(name, n=8, k=k)
            assert spectrum.exact
            assert spectrum.weights.tolist() == [int(order == k) for order in range(1, 9)]


@pytest.mark.parametrize("name", UNBIASED_MAX_AT_K)
def test_unbiased_rules_have_a_unit_spectrum_as_black_boxes(name: str) -> None:
    for k in range(1, 17):
        if ml.get_estimator(name).why_not(16, k) is None:
            spectrum = pass_at_k_spectrum(black_box(name), n=16, k=k)
            unit = np.arange(1, 17) == k
            assert not spectrum.exact
            assert abs(spectrum.weights - unit).max() <= 1e-9


@pytest.mark.parametrize("name", ALL)
def test_resolution_bounds_what_rounding_does(name: str) -> None:
    for n, k in ((4, 2), (8, 3), (16, 5), (24, 7)):
        if not measurable(name, n, k):
            continue
        exact, measured = (pass_at_k_spectrum(rule, n=n, k=k) for rule in (name, black_box(name)))
        if exact.exact:
            off = abs(measured.weights - exact.weights.astype(float))
            assert (off <= measured.resolution).all()


@pytest.mark.parametrize("name", ALL)
def test_weight_function_is_the_scale_that_exact_moments_measure(name: str) -> None:
    for n, k in ((4, 3), (9, 4), (64, 5)):
        if not measurable(name, n, k):
            continue
        f = pass_at_k_spectrum(name, n=n, k=k).weight_function
        for success in (0.01, 0.3, 0.9):
            # E[g] = f(p) grad p, and grad p is the gradient of the mean reward. Both are sums of n
            # terms of the size of the advantages.
            moments = ml.exact_moments(name, binary(success), n=n, k=k, target="mean")
            size = 1 + abs(ml.advantages(np.tri(n + 1, n, -1), k, estimator=name)).max()
            assert f(success) == pytest.approx(moments.scale, rel=1e-11, abs=1e-13 * n * size / success)


@pytest.mark.parametrize("name", ALL)
def test_surrogate_and_f_are_the_mixture_of_their_weights(name: str) -> None:
    spectrum = pass_at_k_spectrum(name, n=7, k=3)
    p = np.linspace(0, 1, 11)[:, None]
    order = np.arange(1, 8)
    weights = spectrum.weights.astype(float)
    # At n = 7 weights reach 20 and their rounding 1e-13.
    np.testing.assert_allclose(
        spectrum.weight_function(p[:, 0]), (order * (1 - p) ** (order - 1)) @ weights, atol=1e-11
    )
    np.testing.assert_allclose(spectrum.surrogate(p[:, 0]), (1 - (1 - p) ** order) @ weights, atol=1e-11)


@pytest.mark.parametrize("n", [2, 8, 16, 32])
def test_maxrl_reaches_order_n_minus_1_and_n_with_its_failures_kept(n: int) -> None:
    harmonic = [Fraction(1, order) for order in range(1, n + 1)]
    kept = pass_at_k_spectrum("maxrl-keep-failures", n=n, k=1).weights.tolist()
    zeroed = pass_at_k_spectrum("maxrl", n=n, k=1).weights.tolist()
    assert kept == harmonic
    assert zeroed == [*harmonic[:-1], 0]


@pytest.mark.parametrize(("n", "k"), [(5, 3), (8, 4), (16, 8), (8, 8)])
def test_maxrl_pkpo_climbs_two_neighbours(n: int, k: int) -> None:
    weights = pass_at_k_spectrum("maxrl-pkpo", n=n, k=k).weights
    neighbours = {k - 1: Fraction(1, n - 1), k: Fraction(n - k, (n - 1) * k)}
    assert weights.tolist() == [neighbours.get(order, 0) for order in range(1, n + 1)]


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("l-statistic:")])
def test_l_statistics_have_the_spectrum_of_their_objective(name: str) -> None:
    for n, k in ((5, 4), (8, 3), (12, 7)):
        if ml.get_estimator(name).why_not(n, k) is None:
            rule = pass_at_k_spectrum(name, n=n, k=k)
            assert rule.weights.tolist() == objective_spectrum(name, n=n, k=k).weights.tolist()
            # The objective itself, from its definition on a Bernoulli(p) sample of K.
            alpha = as_objective(name, n, k).vector(exact=True)
            p = Fraction(2, 7)
            value = sum(comb(k, c) * p**c * (1 - p) ** (k - c) * sum(alpha[k - c :]) for c in range(k + 1))
            mixture = sum(
                weight * (1 - (1 - p) ** order) for order, weight in enumerate(rule.weights, start=1)
            )
            assert mixture == value


def test_verl_grpo_passk_is_pass_at_n_over_root_n() -> None:
    weights = pass_at_k_spectrum("verl-grpo-passk", n=16, k=4).weights
    # The epsilon of 1e-6 beside a standard deviation of 1/4.
    assert weights[-1] == pytest.approx(0.25, rel=5e-6)
    assert abs(weights[:-1]).max() <= 1e-9


def by_neighbour(rewards: np.ndarray, k: int) -> np.ndarray:
    """Unbiased for the mean reward, with a baseline that depends on the order."""
    return rewards - np.roll(rewards, 1, axis=1)


def by_place(rewards: np.ndarray, k: int) -> np.ndarray:
    """What those before a rollout have not yet reached: its weights have orders of their own."""
    before = np.cumsum(rewards, axis=1) - rewards
    return rewards * (before == 0) - 0.3 * (1 - rewards) * before


def test_a_rule_that_depends_on_the_order_has_the_spectrum_of_its_average_over_orders() -> None:
    assert abs(pass_at_k_spectrum(by_neighbour, n=6, k=1).weights - np.eye(6)[0]).max() <= 1e-12
    for rule, n in ((by_place, 2), (by_place, 6), ("krpo", 6)):
        f = pass_at_k_spectrum(rule, n=n, k=1).weight_function
        for success in (0.01, 0.3, 0.9):
            scale = ml.exact_moments(rule, binary(success), n=n, k=1, target="mean").scale
            assert f(success) == pytest.approx(scale, rel=1e-10)
    for rule in (by_neighbour, "krpo"):
        with pytest.raises(ValueError, match=r"not permutation-equivariant .* n=12"):
            pass_at_k_spectrum(rule, n=13, k=1)


def test_refuses_rules_without_a_spectrum() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        pass_at_k_spectrum("maxpo", n=6, k=2).weight_function(1.5)
    with pytest.raises(ValueError, match="maxpo needs k <= n-1"):
        pass_at_k_spectrum("maxpo", n=4, k=4)
