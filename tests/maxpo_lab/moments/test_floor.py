"""The variance floor: below every unbiased rule, equal to an independent minimum, reached by its own rule."""

from __future__ import annotations

import dataclasses
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pytest
from brute_force import Policy, objective, random_policy, sequences, softmax_policy
from checks import valid_k
from scipy.optimize import minimize

import maxpo_lab as ml

UNBIASED = ("pkpo-s", "pkpo-loo", "pkpo-loo1", "maxpo", "predictive")


def bandit(arms: int, good: int, success: float) -> ml.RewardLevels:
    """0/1 softmax bandit, equal probability inside each class: ``G_1 = (1-p)(u_1 - u_0)``, closed form.

    Two coordinates hold the span of the mean scores; no p is lost next to 1 in them.
    """
    bad, fail = arms - good, 1 - success
    # Directions of unit length from the uniform distributions on the failures and on the successes.
    apart = np.array([-1 / np.sqrt(bad), 1 / np.sqrt(good)])
    scores = np.array([-success * apart, fail * apart])
    second = np.sum(scores**2, axis=1) + np.array([1 - 1 / bad, 1 - 1 / good])
    return ml.RewardLevels([0.0, 1.0], [fail, success], scores, second)


def unbiased_rules(n: int, k: int) -> list[str]:
    return [name for name in UNBIASED if k in valid_k(name, n)] + ["rloo", "reinforce"] * (k == 1 and n > 1)


def a_policy(seed: int) -> tuple[Policy, int, int]:
    """A random policy of 2 to 4 levels, with a group size up to 10 and a K of every kind in turn."""
    rng = np.random.default_rng([7, seed])
    levels = 2 + seed % 3
    values = np.sort(rng.normal(size=levels)) if seed % 2 else np.arange(levels) / (levels - 1)
    rewards = np.concatenate([values, rng.choice(values, size=rng.integers(0, 6))])
    if seed % 7:
        policy = random_policy(rewards, dimension=int(rng.integers(1, 6)), seed=seed)
    else:
        policy = softmax_policy(rng.normal(scale=2, size=len(rewards)), rewards)
    n = int(rng.integers(2, 11))
    kinds = (1, 2, (n + 1) // 2, n - 1, n, int(rng.integers(1, n + 1)))
    return policy, n, max(1, kinds[seed // 3 % len(kinds)])


@pytest.mark.parametrize("part", range(3))
def test_no_unbiased_rule_is_below_the_floor(part: int) -> None:
    for seed in range(50 * part, 50 * (part + 1)):
        policy, n, k = a_policy(seed)
        levels = policy.levels(None)
        floor = ml.variance_floor(levels, n=n, k=k)
        assert np.isfinite(floor.trace_covariance)
        assert floor.trace_covariance >= 0
        for name in unbiased_rules(n, k):
            seen = ml.exact_moments(name, levels, n=n, k=k)
            assert floor.trace_covariance <= seen.trace_covariance * (1 + 1e-9), (seed, name, n, k)


class Problem:
    """``E|g - grad J|^2`` as a function of b, over all M^n outcomes: nothing of the library is used."""

    def __init__(self, policy: Policy, n: int, k: int) -> None:
        picks, chance = sequences(policy, n)
        values = sorted(set(policy.rewards))
        others: dict[tuple[int, ...], int] = {}
        fixed = np.zeros((len(picks), policy.scores.shape[1]))
        uses: list[tuple[int, int, int]] = []
        for row, pick in enumerate(picks):
            rewards = policy.rewards[pick]
            for i in range(n):
                rest = np.delete(rewards, i)
                included = [max((rewards[i], *subset)) for subset in combinations(rest, k - 1)]
                fixed[row] += k * np.mean(included) * policy.scores[pick[i]] / n
                key = tuple(int((rest == value).sum()) for value in values)
                uses.append((row, others.setdefault(key, len(others)), pick[i]))
        design = np.zeros((*fixed.shape, len(others)))
        for row, column, outcome in uses:
            design[row, :, column] += policy.scores[outcome] / n
        root = np.sqrt(chance)[:, None]
        self.others = others
        self.fixed = (root * (fixed - objective(policy, k)[1])).ravel()
        self.design = (root[:, None] * design).reshape(-1, len(others))
        # The variables are put on one scale, so that the minimiser meets its tolerance.
        self.norms = np.linalg.norm(self.design, axis=0)

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        left = self.fixed - self.design @ (x / self.norms)
        return float(left @ left), -2 * (left @ self.design) / self.norms

    def minimum(self) -> float:
        x = np.zeros(len(self.others))
        for _ in range(3):  # restarts: BFGS stops early where its Hessian has gone stale
            x = minimize(self, x, jac=True, method="BFGS", options={"gtol": 1e-11, "maxiter": 5000}).x
        return self(x)[0]


CASES = [
    (random_policy(rewards, dimension=dimension, seed=seed), n, k)
    for seed, (rewards, dimension, sizes) in enumerate(
        [
            ((0.0, 1.0, 1.0, 0.0), 2, (1, 2, 3, 4, 5)),
            ((-1.0, 2.0, 2.0), 3, (2, 4)),
            ((0.0, 0.3, 1.0, 1.0), 2, (1, 2, 3, 4)),
            ((0.0, 0.5, 0.5, 1.0), 3, (3, 5)),
        ]
    )
    for n in sizes
    for k in sorted({1, min(2, n), n - 1 or 1, n})
]


@pytest.mark.parametrize(("policy", "n", "k"), CASES, ids=lambda x: str(x) if isinstance(x, int) else "")
def test_an_independent_optimiser_finds_the_same_minimum(policy: Policy, n: int, k: int) -> None:
    problem = Problem(policy, n, k)
    floor = ml.variance_floor(policy.levels(None), n=n, k=k)
    assert len(floor.others) == len(problem.others) == comb(n + len(floor.values) - 2, len(floor.values) - 1)
    assert not floor.degenerate
    assert floor.trace_covariance == pytest.approx(problem.minimum(), rel=1e-8)
    # And the baseline has that variance there: 1e4 terms of n + 10 roundings.
    order = [problem.others[tuple(row)] for row in floor.others.tolist()]
    x = np.empty(len(order))
    x[order] = floor.baseline
    assert floor.trace_covariance == pytest.approx(problem(x * problem.norms)[0], rel=1e-10)


RULE_CASES = [a_policy(seed) for seed in range(0, 60, 2) if seed % 7]


@pytest.mark.parametrize(("policy", "n", "k"), RULE_CASES, ids=lambda x: str(x) if isinstance(x, int) else "")
def test_the_optimal_baseline_is_a_rule_that_reaches_the_floor(policy: Policy, n: int, k: int) -> None:
    levels = policy.levels()
    floor = ml.variance_floor(levels, n=n, k=k)
    seen = ml.exact_moments(floor.rule, levels, n=n, k=k)
    assert seen.relative_bias <= max(1e-10, seen.bias_resolution)
    if floor.degenerate:
        own = ml.exact_moments("pkpo-loo1" if k > 1 else "rloo", levels, n=n, k=k).trace_covariance
        assert seen.trace_covariance <= 1e-12 * own
    else:
        assert seen.trace_covariance == pytest.approx(floor.trace_covariance, rel=1e-10)
        assert seen.efficiency(floor) == pytest.approx(1, rel=1e-9)
        assert seen.efficiency(floor.trace_covariance) == seen.efficiency(floor)


@pytest.mark.parametrize(("n", "k"), [(2, 1), (2, 2), (4, 2), (5, 4), (5, 5)])
@pytest.mark.parametrize("rewards", [(0.0, 0.0, 1.0, 1.0), (0.0, 0.3, 1.0, 1.0, 0.3)])
def test_any_other_baseline_has_more_variance(n: int, k: int, rewards: tuple[float, ...]) -> None:
    levels = random_policy(rewards, dimension=3, seed=n).levels()
    floor = ml.variance_floor(levels, n=n, k=k)

    def trace(step: np.ndarray) -> float:
        other = dataclasses.replace(floor, baseline=floor.baseline + step)
        return ml.exact_moments(other.rule, levels, n=n, k=k).trace_covariance

    units = list(np.eye(len(floor.baseline)))
    randoms = list(np.random.default_rng(0).normal(size=(2, len(floor.baseline))))
    for step in units + randoms:
        up, down = trace(step), trace(-step)
        rise = (up + down) / 2 - floor.trace_covariance
        assert rise > 0
        # A quadratic with its minimum here is even in the step; each trace is right to some n eps.
        assert abs(up - down) <= 1e-9 * rise + 1e-13 * floor.trace_covariance


def test_other_unbiased_rules_are_other_baselines() -> None:
    """The rows of ``baseline`` are the ``b(others)`` that the docstring says: put MaxPO's own there."""
    levels, n, k = random_policy((0.0, 0.3, 1.0, 1.0), seed=2).levels(), 5, 2
    floor = ml.variance_floor(levels, n=n, k=k)
    baseline = []
    for row in floor.others:
        rest = np.repeat(floor.values, row)
        group = np.array([[rest[0], *rest]])
        signal, rule = (ml.advantages(group, k, estimator=x)[0, 0] for x in ("pkpo-s", "maxpo"))
        baseline.append(signal - rule)
    plugged = dataclasses.replace(floor, baseline=np.array(baseline))
    group = np.random.default_rng(0).choice(floor.values, size=(50, n))
    np.testing.assert_allclose(
        plugged.rule(group, k), ml.advantages(group, k, estimator="maxpo"), rtol=0, atol=1e-14
    )
    np.testing.assert_allclose(plugged.rule(group[0], k), plugged.rule(group, k)[0], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("levels", "k", "loo1", "maxpo"),
    [
        (bandit(100, 10, 0.2), 4, 0.81, 0.92),
        (bandit(100, 10, 0.2), 15, 0.81, 0.75),
        (bandit(1000, 100, 0.5), 2, 0.50, 0.93),
    ],
)
def test_reference_efficiencies(levels: ml.RewardLevels, k: int, loo1: float, maxpo: float) -> None:
    floor = ml.variance_floor(levels, n=16, k=k)
    for name, want in (("pkpo-loo1", loo1), ("maxpo", maxpo)):
        assert round(ml.exact_moments(name, levels, n=16, k=k).efficiency(floor), 2) == want


def test_the_bandit_here_is_the_softmax_bandit() -> None:
    arms, good, success = 10, 3, 0.2
    odds = np.where(np.arange(arms) < good, success / good, (1 - success) / (arms - good))
    softmax = ml.RewardLevels.from_softmax(np.log(odds), np.arange(arms) < good)
    ours = bandit(arms, good, success)
    np.testing.assert_allclose(ours.probabilities, softmax.probabilities, rtol=1e-14)
    np.testing.assert_allclose(ours.score_second_moments, softmax.score_second_moments, rtol=1e-14)
    gram = [x.mean_scores @ x.mean_scores.T for x in (ours, softmax)]
    np.testing.assert_allclose(*gram, rtol=1e-13)


def test_maxpo_costs_one_in_n_where_success_is_rare() -> None:
    for success in (1e-3, 1e-4, 1e-5):
        levels = bandit(1000, 100, success)
        floor = ml.variance_floor(levels, n=16, k=2)
        seen = ml.exact_moments("maxpo", levels, n=16, k=2).efficiency(floor)
        assert seen == pytest.approx(1 - 1 / 16, abs=1e-3)


@pytest.mark.parametrize(("n", "k"), [(2, 1), (2, 2), (8, 3), (16, 15), (16, 16)])
def test_a_two_armed_bandit_is_degenerate(n: int, k: int) -> None:
    levels = ml.RewardLevels.from_softmax([0.3, -0.4], [0.0, 1.0])
    floor = ml.variance_floor(levels, n=n, k=k)
    own = ml.exact_moments("pkpo-loo1" if k > 1 else "rloo", levels, n=n, k=k)
    assert 0 <= floor.trace_covariance <= 1e-12 * own.trace_covariance
    assert floor.degenerate
    assert np.isnan(own.efficiency(floor))


def test_scores_that_vary_are_not_degenerate() -> None:
    assert not ml.variance_floor(bandit(100, 10, 0.2), n=16, k=4).degenerate


@pytest.mark.parametrize("policy", [case[0] for case in RULE_CASES[:6]])
def test_one_rollout_has_the_classical_optimal_baseline(policy: Policy) -> None:
    """n = K = 1: ``b = E[|s|^2 R] / E[|s|^2]`` (Greensmith, Bartlett and Baxter, 2004)."""
    p, r, square = policy.probabilities, policy.rewards, np.sum(policy.scores**2, axis=1)
    best = (p * square) @ r / (p @ square)
    variance = (p * square) @ (r - best) ** 2 - np.sum(objective(policy, 1)[1] ** 2)
    levels = policy.levels(None)
    one = ml.variance_floor(levels, n=1, k=1)
    assert one.baseline.shape == (1,)
    # Sums of a dozen terms on both sides, and one difference of squares.
    assert one.baseline[0] == pytest.approx(best, rel=1e-13, abs=1e-13)
    assert one.trace_covariance == pytest.approx(variance, rel=1e-12, abs=1e-14)
    # Others to look at can only help.
    for n in (2, 5):
        assert ml.variance_floor(levels, n=n, k=1).trace_covariance <= variance / n * (1 + 1e-9)


@pytest.mark.parametrize("success", [1e-12, 1e-6, 1 - 1e-6, 1 - 1e-9])
@pytest.mark.parametrize("n", [2, 16, 200])
def test_extreme_success_is_finite(success: float, n: int) -> None:
    levels = bandit(1000, 100, success)
    for k in sorted({1, 2, n // 2, n - 1, n}):
        floor = ml.variance_floor(levels, n=n, k=k)
        assert np.isfinite(floor.trace_covariance)
        assert floor.trace_covariance >= 0
        assert np.isfinite(floor.baseline).all()
        for name in unbiased_rules(n, k):
            seen = ml.exact_moments(name, levels, n=n, k=k)
            assert floor.trace_covariance <= seen.trace_covariance * (1 + 1e-9), (name, k)


def test_one_level_alone_has_nothing_to_learn() -> None:
    levels = ml.RewardLevels([0.5], [1.0], [[0.0, 0.0]], [1.0])
    floor = ml.variance_floor(levels, n=4, k=2)
    assert floor.trace_covariance == 0
    assert floor.degenerate


def test_the_rule_refuses_what_it_is_not_made_for() -> None:
    floor = ml.variance_floor(random_policy((0.0, 0.3, 1.0), seed=1).levels(), n=3, k=2)
    group = np.array([[0.0, 0.3, 1.0]])
    assert floor.rule(group, 2).shape == (1, 3)
    with pytest.raises(ValueError, match="n=3, k=2, not n=2, k=2"):
        floor.rule(group[:, :2], 2)
    with pytest.raises(ValueError, match="n=3, k=2, not n=3, k=1"):
        floor.rule(group, 1)
    for wrong in (0.5, -1.0, 2.0, np.nan):
        with pytest.raises(ValueError, match=r"rewards \[0.0, 0.3, 1.0\] alone"):
            floor.rule(np.array([[0.0, wrong, 1.0]]), 2)


LEVELS = random_policy((0.0, 0.3, 1.0), seed=1).levels()


@pytest.mark.parametrize(
    ("levels", "n", "k", "error", "message"),
    [
        (None, 4, 2, TypeError, "levels is a NoneType: it must be a RewardLevels"),
        ([0.0, 1.0], 4, 2, TypeError, "levels is a list"),
        (LEVELS, 4, 5, ValueError, "k=5"),
        (LEVELS, 4, 0, ValueError, "k=0"),
        (LEVELS, 0, 1, ValueError, "n=0"),
        (LEVELS, 4.0, 2, TypeError, "n=4.0"),
        (LEVELS, 4, 2.0, TypeError, "k=2.0"),
        (LEVELS, True, 1, TypeError, "True"),
    ],
)
def test_bad_arguments(levels: Any, n: Any, k: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ml.variance_floor(levels, n=n, k=k)


def test_too_many_unknowns_are_refused_with_the_way_out() -> None:
    levels = ml.RewardLevels.from_softmax(np.zeros(8), np.arange(8.0))
    with pytest.raises(ValueError, match=r"245,157 unknowns for n=17 and 8 reward levels") as raised:
        ml.variance_floor(levels, n=17, k=2)
    for advice in ("max_unknowns=200,000", "smaller group", "merge reward levels", "raise max_unknowns"):
        assert advice in str(raised.value)
    with pytest.raises(ValueError, match="max_unknowns=119"):
        ml.variance_floor(levels, n=4, k=2, max_unknowns=119)
    assert len(ml.variance_floor(levels, n=4, k=2, max_unknowns=120).baseline) == 120


def test_many_levels_of_a_small_group_are_no_problem() -> None:
    levels = ml.RewardLevels.from_softmax(np.linspace(0, 1, 40), np.arange(40) / 40)
    floor = ml.variance_floor(levels, n=2, k=1)
    plugged = ml.exact_moments(floor.rule, levels, n=2, k=1)
    assert plugged.trace_covariance == pytest.approx(floor.trace_covariance, rel=1e-10)
    assert floor.trace_covariance <= ml.exact_moments("rloo", levels, n=2, k=1).trace_covariance * (1 + 1e-9)


def test_efficiency_does_not_depend_on_a_rules_scale_and_is_undefined_without_a_direction() -> None:
    levels = ml.RewardLevels.from_softmax([0.0, 1.0, 0.5, 0.2], [0, 0, 1, 1])
    floor = ml.variance_floor(levels, n=6, k=3)
    scaled, right = (ml.exact_moments(name, levels, n=6, k=3) for name in ("pkpo-sum-scale", "pkpo-loo1"))
    assert scaled.efficiency(floor) == pytest.approx(right.efficiency(floor), rel=1e-12)
    assert right.efficiency(floor) == right.efficiency(floor.trace_covariance)
    graded = ml.RewardLevels.from_softmax([0.0, 1.0, 0.5, 0.2], [0, 0.3, 0.5, 1])
    other = ml.exact_moments("grpo", graded, n=6, k=3)
    assert np.isnan(other.efficiency(ml.variance_floor(graded, n=6, k=3)))


def test_a_floor_of_another_setting_is_refused() -> None:
    levels = ml.RewardLevels.from_softmax([0.0, 1.0, 0.5, 0.2], [0, 0, 1, 1])
    floor = ml.variance_floor(levels, n=6, k=3)
    for n, k, target in ((6, 2, "max@k"), (5, 3, "max@k"), (6, 3, "mean")):
        moments = ml.exact_moments("rloo", levels, n=n, k=k, target=target)
        with pytest.raises(ValueError, match=r"floor is of max@k at n=6, k=3"):
            moments.efficiency(floor)


@pytest.mark.parametrize(
    ("rule", "k", "target", "floor_k"),
    [
        ("maxpo", 5, "max@k", 5),
        ("max-minus-second", 6, "max@n", 6),
        ("max-minus-second", 2, "max@n", 6),  # it does not use k
        ("rloo", 1, "mean", 1),
        ("rloo", 4, "mean", 1),
        ("rloo", 4, "l-statistic:TopM:4", 1),
        ("rloo", 4, "l-statistic:LowerTailMean:1", 1),
        ("maxpo", 3, "l-statistic:TopM:1", 3),
        ("rloo", 1, "l-statistic:Median", 1),
    ],
)
def test_an_objective_is_known_by_its_weights(rule: str, k: int, target: str, floor_k: int) -> None:
    """The floor of the same gradient, whatever it is called: the yardstick is the floor of its own name."""
    levels = ml.RewardLevels.from_softmax([0.0, 1.0, 0.5, 0.2], [0, 0, 1, 1])
    floor = ml.variance_floor(levels, n=6, k=floor_k)
    moments = ml.exact_moments(rule, levels, n=6, k=k, target=target)
    want = floor.trace_covariance * moments.scale**2 / moments.trace_covariance
    assert moments.efficiency(floor) == pytest.approx(want, rel=1e-15)
    assert 0 < want <= 1 + 1e-12


@pytest.mark.parametrize(
    ("k", "target", "floor_k", "advice"),
    [
        (5, "max@n", 5, r"variance_floor\(levels, n=6, k=6\)"),
        (6, "mean", 6, r"variance_floor\(levels, n=6, k=1\)"),
        (3, "l-statistic:TopM:2", 3, "target=.l-statistic:TopM:2"),
        (2, "l-statistic:ReMin", 2, "target=.l-statistic:ReMin"),
    ],
)
def test_another_objective_is_another_whatever_k_says(k: int, target: str, floor_k: int, advice: str) -> None:
    levels = ml.RewardLevels.from_softmax([0.0, 1.0, 0.5, 0.2], [0, 0, 1, 1])
    moments = ml.exact_moments("rloo", levels, n=6, k=k, target=target)
    with pytest.raises(ValueError, match=rf"floor is of max@k at n=6, k={floor_k}, these.*{advice}"):
        moments.efficiency(ml.variance_floor(levels, n=6, k=floor_k))
