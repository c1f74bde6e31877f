"""The theorems as code: claims decided, the complete class, uniqueness, impossibility, the lift."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab import theory
from maxpo_lab.estimators import RankLinear

RANK_LINEAR = [name for name in ml.list_estimators() if isinstance(ml.get_estimator(name), RankLinear)]


@pytest.mark.parametrize("name", RANK_LINEAR)
def test_claims_are_what_the_coefficients_prove(name: str) -> None:
    rule = ml.get_estimator(name)
    decisions = [
        theory.decide(rule, n=n, k=k)
        for n in range(1, 13)
        for k in range(1, n + 1)
        if rule.why_not(n, k) is None
    ]
    assert decisions
    beyond = rule.largest_k(8) > 8  # n, where no rule of one group is unbiased
    assert (all(decision.unbiased for decision in decisions) and not beyond) == rule.claims.unbiased
    assert all(decision.centered for decision in decisions) == rule.claims.centered


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("batch-mean", lambda n, k: 1 - Fraction(1, n)),
        ("pkpo-mean-centered", lambda n, k: (1 - Fraction(k, n)) / n),
        ("pkpo-sum-scale", lambda n, k: Fraction(1, n)),
        ("verl-grpo-passk-nostd", lambda n, k: Fraction(1, n)),
    ],
)
def test_scales_are_decided_exactly(name: str, scale) -> None:
    rule = ml.get_estimator(name)
    for n in range(2, 10):
        for k in range(1, n + 1):
            if rule.why_not(n, k) is None:
                assert theory.decide(rule, n=n, k=k).scale == scale(n, k)


def test_a_mixture_has_no_scale_and_another_objective_is_not_met() -> None:
    assert theory.decide(ml.get_estimator("tailrl"), n=6, k=2).scale is None
    assert theory.decide(ml.get_estimator("rloo"), n=6, k=2, objective="max@k").scale is None
    assert theory.decide(ml.get_estimator("rloo"), n=6, k=1, objective="max@k").unbiased


#: Moments over all orders of a group, not over its counts.
ORDERED = pytest.param("krpo", marks=pytest.mark.integration)


@pytest.mark.parametrize(
    "name",
    [ORDERED if name == "krpo" else name for name in sorted(set(ml.list_estimators()) - set(RANK_LINEAR))],
)
def test_claims_of_the_other_rules_are_what_exact_moments_show(name: str) -> None:
    rule = ml.get_estimator(name)
    decisions = [
        theory.decide_by_moments(rule, n=n, k=k)
        for n in range(1, 13)
        for k in range(1, n + 1 if rule.uses_k else 2)
        if rule.why_not(n, k) is None
    ]
    assert decisions
    assert all(decision.unbiased for decision in decisions) == rule.claims.unbiased
    assert all(decision.centered for decision in decisions) == rule.claims.centered


@pytest.mark.parametrize("name", RANK_LINEAR)
def test_moments_decide_as_the_coefficients_do(name: str) -> None:
    rule = ml.get_estimator(name)
    for n, k in ((3, 2), (6, 3), (9, 8)):
        if rule.why_not(n, k) is None:
            proved, measured = theory.decide(rule, n=n, k=k), theory.decide_by_moments(rule, n=n, k=k)
            assert measured.centered == proved.centered
            assert (measured.scale is None) == (proved.scale is None)
            if proved.scale is not None:
                assert measured.scale == pytest.approx(float(proved.scale), rel=1e-9)


@pytest.mark.parametrize("levels", [2, 3])
def test_one_rule_is_unbiased_and_centered_below_n_and_none_at_n(levels: int) -> None:
    for n in range(2, 11):
        for k in range(1, n + 1):
            system = theory.unbiased_and_centered(n, k, levels)
            if k < n:
                assert system.rank == system.unknowns
                assert system.solution == theory.canonical_baseline(n, k, levels)
            else:
                assert not system.consistent


@pytest.mark.parametrize(("n", "levels"), [(2, 2), (5, 2), (10, 2), (3, 3), (6, 3), (4, 4)])
def test_multinomial_probabilities_are_linearly_independent(n: int, levels: int) -> None:
    rank, states = theory.completeness_rank(n, levels)
    assert rank == states


def test_any_baseline_of_the_others_keeps_a_rule_unbiased_and_others_do_not() -> None:
    """The complete class both ways, on the exact moments."""
    levels = ml.RewardLevels.from_softmax([0.3, -1.0, 0.2, 0.0, 0.8], [0.0, 0.2, 0.2, 0.7, 1.0])
    signal = ml.get_estimator("pkpo-s")

    def with_baseline(rewards, k, include_self: bool):
        total = (rewards**2).sum(axis=1, keepdims=True)
        return signal(rewards, k) - np.sin(total if include_self else total - rewards**2)

    fine = ml.exact_moments(lambda r, k: with_baseline(r, k, False), levels, n=5, k=5)
    biased = ml.exact_moments(lambda r, k: with_baseline(r, k, True), levels, n=5, k=5)
    assert fine.relative_bias <= 1e-12
    assert biased.relative_bias > 1e-2


@pytest.mark.parametrize(
    ("signal", "image"), [("reinforce", "rloo"), ("pkpo-loo1", "maxpo"), ("pkpo-s", "canonical")]
)
def test_the_lift_has_three_published_images(signal: str, image: str) -> None:
    rewards = np.random.default_rng(0).normal(size=(20, 8))
    for k in range(2, 8):
        lifted = theory.lift(ml.get_estimator(signal))(rewards, k)
        # Differences of means of at most 8 signals, each right to an ulp of K max|R| (3).
        np.testing.assert_allclose(lifted, ml.advantages(rewards, k, estimator=image), atol=2e-15 * 8 * 3 * k)


def test_a_lift_is_unbiased_whatever_the_signal() -> None:
    levels = ml.RewardLevels.from_softmax([0.1, 0.5, -0.3], [0.0, 0.4, 1.0])

    def signal(rewards, k):  # K q plus something that is no average over subsets
        return ml.advantages(rewards, k, estimator="pkpo-s") + np.cos(
            rewards.sum(axis=1, keepdims=True) - rewards
        )

    moments = ml.exact_moments(theory.lift(signal), levels, n=5, k=2)
    assert moments.relative_bias <= 1e-12
    with pytest.raises(ValueError, match="at least 2"):
        theory.lift(signal)(np.ones((1, 1)), 1)


def test_solver_tells_unique_free_and_impossible_apart() -> None:
    one, two = Fraction(1), Fraction(2)
    assert theory.solve([[one, one], [one, -one]], [two, Fraction(0)]).solution == (1, 1)
    free = theory.solve([[one, one], [two, two]], [one, two])
    assert (free.rank, free.consistent, free.unique) == (1, True, False)
    assert not theory.solve([[one, one], [two, two]], [one, one]).consistent


@pytest.mark.parametrize(
    ("n", "k", "message"),
    [
        (4, 4, r"k=4: .*3 others.*nearest valid choice is k=3"),
        (4, 0, r"k=0: .*nearest valid choice is k=1"),
        (1, 1, r"n=1: .*n >= 2"),
    ],
)
def test_a_canonical_baseline_needs_others(n: int, k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        theory.canonical_baseline(n, k)
    assert len(theory.canonical_baseline(4, 3)) == len(theory.multisets(3, 2))


@pytest.mark.parametrize("policies", [1, 0, -2])
def test_one_policy_decides_nothing(policies: int) -> None:
    with pytest.raises(ValueError, match=rf"policies={policies}: .*at least 2"):
        theory.decide_by_moments(ml.get_estimator("grpo"), n=4, k=2, policies=policies)
    with pytest.raises(TypeError, match=r"policies=2\.0"):
        theory.decide_by_moments(ml.get_estimator("grpo"), n=4, k=2, policies=2.0)
