"""``exact_moments`` against all M^n outcomes, closed forms, and rules that do not behave."""

from __future__ import annotations

import tracemalloc
from itertools import islice
from math import comb
from typing import Any

import numpy as np
import pytest
from brute_force import Policy, Rule, moments, objective, random_policy, softmax_gradient, softmax_policy
from checks import (
    EPS,
    OBJECTIVE_SIZE,
    OF_A_MAXIMUM,
    REAL,
    check_unbiased_by_enumeration,
    check_unbiased_by_moments,
    objective_size,
    valid_k,
)

import maxpo_lab as ml
from maxpo_lab import rules
from maxpo_lab.moments import exact as moments_module
from maxpo_lab.moments import states
from maxpo_lab.moments.count_sums import sums_by_level
from maxpo_lab.moments.exact import moments_under
from maxpo_lab.rules.samples import sample_groups

MIB = 1 << 20


def neighbour(rewards: np.ndarray, k: int) -> np.ndarray:
    """The neighbour's reward as baseline: unbiased for the mean, yet not permutation-equivariant."""
    return rewards - np.roll(rewards, 1, axis=1)


def first_of_the_best(rewards: np.ndarray, k: int) -> np.ndarray:
    """The first of the best takes all: ties are broken by index."""
    advantages = np.zeros_like(rewards)
    rows = np.arange(len(rewards))
    advantages[rows, rewards.argmax(axis=1)] = rewards.max(axis=1) - rewards.mean(axis=1) + 0.5
    return advantages


BLACK_BOXES: dict[str, Rule] = {
    "exponential": lambda r, k: np.exp(r) * (1 + r.sum(axis=1, keepdims=True)) - k,
    "first of the best": first_of_the_best,
    "per group": ml.per_group(lambda r, _k: np.asarray(r) ** 2 - max(r)),
    "integers": lambda r, _k: np.argsort(np.argsort(np.round(4 * r), axis=1, kind="stable"), axis=1),
}
POLICIES = {
    "three levels": random_policy((0.0, 0.4, 1.0), seed=0),
    "0/1, two outcomes succeed": random_policy((1.0, 0.0, 1.0), dimension=3, seed=1),
    "negative, tied": random_policy((-2.0, 0.5, 0.5, 1.0), dimension=2, seed=2),
    "softmax": softmax_policy((0.4, -1.0, 0.2), (0.25, 1.0, 0.0)),
}


NAMES = ml.list_estimators()
CLAIMING = [x for x in NAMES if ml.get_estimator(x).claims.unbiased or ml.get_estimator(x).claims.centered]


def fits(name: str, policy: Policy | ml.RewardLevels) -> bool:
    """Whether a rule is defined on these rewards: some take 0 and 1 alone."""
    rewards = policy.rewards if isinstance(policy, Policy) else policy.values
    return name in REAL or set(rewards) == {0.0, 1.0}


def assert_same_moments(rule: Any, policy: Policy, *, n: int, k: int) -> ml.Moments:
    """Every field against the enumeration; returns what was measured."""
    levels = policy.levels()
    got = ml.exact_moments(rule, levels, n=n, k=k, covariance=True)
    call = ml.get_estimator(rule) if isinstance(rule, str) else rule
    want = moments(call, policy, n=n, k=k)
    _, gradient = objective(policy, k)
    # M^n terms of n + 10 roundings, added up, on both sides; relative to E|g|^2, and to E|A s|^2 / n where
    # the moments are built up from single rollouts.
    square = want.second_moment + want.advantage_rms**2 * float(np.max(levels.score_second_moments))
    unit = (2 * len(want.chance) + n + 64) * EPS
    second, first = unit * square, unit * np.sqrt(square)
    slope = unit * np.linalg.norm(policy.scores, axis=1).max() * k * np.abs(policy.rewards).max()

    def close(a: Any, b: Any, tolerance: float) -> None:
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)

    close(got.mean, want.mean, first)
    close(got.gradient, gradient, slope)
    close(got.covariance, want.covariance, second)
    close(got.trace_covariance, np.trace(want.covariance), second)
    close(got.within_trace, want.within_trace, second)
    close(got.between_trace, want.between_trace, second)
    close(got.advantage_rms, want.advantage_rms, unit * want.advantage_rms)
    sums = unit * n * np.sqrt(n) * want.advantage_rms / np.sqrt(want.chance.min())
    close(got.advantage_sum_rms, want.sum_rms, sums)
    close(got.advantage_sum_max, want.sum_max, sums)
    close(got.dead_group_probability, want.dead_probability, unit)
    close(got.bias, np.linalg.norm(want.mean - gradient), first + slope)

    size = float(np.linalg.norm(gradient))
    relative = (first + slope) / size
    close(
        got.relative_bias, np.linalg.norm(want.mean - gradient) / size, 4 * relative * (1 + got.relative_bias)
    )
    scale = want.mean @ gradient / size**2
    close(got.scale, scale, 4 * relative * (1 + abs(scale)))
    close(got.along_gradient_variance, want.variance_along(gradient), second * (1 + 8 * slope / unit / size))
    trace = float(np.trace(want.covariance))
    if want.mean @ want.mean > 1e-6 * square:  # else the angle and the ratio have no digits to compare
        cosine = want.mean @ gradient / size / np.linalg.norm(want.mean)
        close(np.cos(got.direction_error), cosine, 4 * (first + slope) / np.linalg.norm(want.mean))
        close(got.snr * trace, want.mean @ want.mean, second * (2 + got.snr))
    assert (got.n, got.k, got.target) == (n, k, "max@k")
    return got


@pytest.mark.parametrize(("name", "where"), [(x, y) for x in NAMES for y in POLICIES if fits(x, POLICIES[y])])
def test_all_outcomes(name: str, where: str) -> None:
    policy = POLICIES[where]
    for k in valid_k(name, 4):
        seen = assert_same_moments(name, policy, n=4, k=k)
        size = len(set(policy.rewards))
        by_counts = ml.get_estimator(name).claims.equivariant
        assert seen.states == (comb(4 + size - 1, 4) if by_counts else size**4)


@pytest.mark.parametrize("where", POLICIES)
@pytest.mark.parametrize("name", ["maxpo", "pkpo-s", "pkpo-loo", "reinforce", "l-statistic:BotM:2"])
def test_all_outcomes_of_the_closed_form(name: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments_module, "MAX_ENTRIES", 0)
    for n, k in ((1, 1), (2, 1), (4, 2), (4, 3)):
        if ml.get_estimator(name).why_not(n, k) is None:
            assert assert_same_moments(name, POLICIES[where], n=n, k=k).states == 0


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("rule", BLACK_BOXES.values(), ids=BLACK_BOXES)
def test_all_outcomes_of_black_boxes(rule: Rule, policy: Policy) -> None:
    seen = assert_same_moments(rule, policy, n=4, k=2)
    assert seen.states == comb(4 + len(set(policy.rewards)) - 1, 4)  # ties by index are no obstacle


@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 1), (2, 2), (5, 3)])
def test_all_outcomes_at_other_group_sizes(n: int, k: int) -> None:
    for name in ("pkpo-s", "reinforce"):
        assert_same_moments(name, POLICIES["three levels"], n=n, k=k)


@pytest.mark.parametrize("name", OF_A_MAXIMUM)
def test_claims_of_unbiasedness_hold(name: str) -> None:
    check_unbiased_by_moments(ml.get_estimator(name), name)
    check_unbiased_by_enumeration(ml.get_estimator(name), name)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_gradient_and_mean_to_60_digits(k: int) -> None:
    logits, rewards = (0.4, -1.0, 0.2), (0.25, 1.0, 0.0)
    want = softmax_gradient(logits, rewards, k)
    for name in ("pkpo-s", "maxpo"):
        seen = ml.exact_moments(name, ml.RewardLevels.from_softmax(logits, rewards), n=6, k=k)
        # The resolution of a relative bias is what rounding may leave of one.
        tolerance = seen.bias_resolution * np.linalg.norm(want)
        assert np.linalg.norm(seen.gradient - want) <= tolerance
        assert np.linalg.norm(seen.mean - want) <= tolerance
    seen = ml.exact_moments("rloo", ml.RewardLevels.from_softmax(logits, rewards), n=6, k=k, target="mean")
    np.testing.assert_allclose(seen.gradient, softmax_gradient(logits, rewards, 1), rtol=0, atol=64 * EPS)
    assert seen.target == "mean"
    assert seen.relative_bias <= max(1e-10, seen.bias_resolution)


def bandit(arms: int, good: int, success: float, grades: tuple[float, ...] = (1.0,)) -> ml.RewardLevels:
    rewards = np.zeros(arms)
    for run, grade in zip(np.array_split(np.arange(good), len(grades)), grades, strict=True):
        rewards[run] = grade
    share = np.where(np.arange(arms) < good, success / good, (1 - success) / (arms - good))
    return ml.RewardLevels.from_softmax(np.log(share), rewards)


BANDITS = {
    "many correct": bandit(100, 10, 0.05),
    "one correct": bandit(10, 1, 0.1),
    "graded": bandit(100, 12, 0.2, (0.25, 0.5, 1.0)),
}


@pytest.mark.parametrize(
    ("name", "where"), [(x, y) for x in CLAIMING for y in BANDITS if fits(x, BANDITS[y])]
)
@pytest.mark.parametrize("n", [4, 8, 16, 32])
def test_claims_in_the_cells_of_a_study(name: str, n: int, where: str) -> None:
    rule, levels = ml.get_estimator(name), BANDITS[where]
    for k in sorted({min(valid_k(name, n), key=lambda v, w=wanted: abs(v - w)) for wanted in (1, n // 2, n)}):
        seen = ml.exact_moments(name, levels, n=n, k=k)
        if rule.claims.centered:
            assert seen.advantage_sum_max <= 1e-12 * k  # rewards have range 1
        if rule.claims.unbiased and rule.objective in OBJECTIVE_SIZE:
            # Against the rule's own objective, whose size may be another than k.
            target = ml.max_at_k_gradient(levels, objective_size(name, n, k))
            size = np.linalg.norm(target)
            resolution = seen.bias_resolution * np.linalg.norm(seen.gradient) / size
            assert np.linalg.norm(seen.mean - target) / size <= max(1e-10, resolution)


@pytest.mark.parametrize(("n", "k", "resolved"), [(8, 4, True), (8, 7, True), (8, 8, False), (32, 32, False)])
def test_resolution_is_the_formula_and_bounds_what_rounding_does(n: int, k: int, resolved: bool) -> None:
    levels = bandit(10, 1, 0.9)
    seen = ml.exact_moments("pkpo-s", levels, n=n, k=k)
    largest = np.linalg.norm(levels.mean_scores, axis=1).max()
    formula = 64 * EPS * k * 1.0 * largest / np.linalg.norm(seen.gradient)
    assert seen.bias_resolution == pytest.approx(formula, rel=1e-12)
    assert seen.relative_bias <= seen.bias_resolution
    # |grad J| / K is 0.9 0.1^(K-1) |G_1|: 64 eps over it crosses 1e-6 at K = 8.
    assert (seen.bias_resolution < 1e-6) == resolved


def test_a_bias_above_the_resolution_is_seen() -> None:
    maxpo = ml.get_estimator("maxpo")
    seen = ml.exact_moments(lambda r, k: (1 + 1e-8) * maxpo(r, k), BANDITS["graded"], n=8, k=3)
    assert abs(seen.relative_bias - 1e-8) <= seen.bias_resolution
    assert abs(seen.scale - 1 - 1e-8) <= seen.bias_resolution


def test_batch_mean_is_rloo_at_another_scale() -> None:
    for n in (2, 5, 16):
        seen, right = (
            ml.exact_moments(x, BANDITS["graded"], n=n, k=1, target="mean") for x in ("batch-mean", "rloo")
        )
        tolerance = max(1e-10, seen.bias_resolution)
        assert abs(seen.scale - (1 - 1 / n)) <= tolerance
        assert abs(seen.relative_bias - 1 / n) <= tolerance
        assert seen.direction_error <= tolerance
        # The same rule at another scale has the same efficiency, here against itself.
        assert seen.efficiency(right.trace_covariance) == pytest.approx(1, abs=tolerance)


def test_efficiency() -> None:
    seen = ml.exact_moments("maxpo", BANDITS["graded"], n=8, k=3)
    assert seen.efficiency(0.5 * seen.trace_covariance) == pytest.approx(
        0.5, rel=4 * EPS + seen.bias_resolution * 4
    )
    # Another direction has no efficiency.
    assert np.isnan(ml.exact_moments("grpo", BANDITS["graded"], n=8, k=3).efficiency(1.0))
    assert np.isnan(ml.exact_moments("maxpo", one_level(), n=4, k=2).efficiency(1.0))


@pytest.mark.parametrize("reference", [-1e-9, float("nan"), float("inf"), -float("inf")])
def test_a_reference_is_a_variance(reference: float) -> None:
    seen = ml.exact_moments("maxpo", BANDITS["graded"], n=8, k=3)
    with pytest.raises(ValueError, match=r"floor=.*reference trace covariance must be finite and at least 0"):
        seen.efficiency(reference)
    # Also where the efficiency would not be defined.
    with pytest.raises(ValueError, match="at least 0"):
        ml.exact_moments("grpo", BANDITS["graded"], n=8, k=3).efficiency(reference)


@pytest.mark.parametrize("reference", ["0.5", None, True])
def test_a_reference_is_a_number(reference: Any) -> None:
    with pytest.raises(TypeError, match=r"floor=.*VarianceFloor, or a trace covariance"):
        ml.exact_moments("maxpo", BANDITS["graded"], n=8, k=3).efficiency(reference)


def test_efficiency_of_a_rule_without_variance_is_not_defined() -> None:
    # n = 1 on a fair coin with scores -1, 1: A = 2R - 1 makes g = 1 in every group.
    coin = ml.RewardLevels([0, 1], [0.5, 0.5], [[-1.0], [1.0]], [1.0, 1.0])
    seen = ml.exact_moments(lambda r, _k: 2 * r - 1, coin, n=1, k=1)
    assert (seen.trace_covariance, seen.scale, seen.direction_error) == (0, 2, 0)
    assert np.isnan(seen.efficiency(0.0))


def one_level() -> ml.RewardLevels:
    return ml.RewardLevels.from_softmax((0.0, 1.0), (1.0, 1.0))


def test_a_policy_of_one_level() -> None:
    seen = ml.exact_moments("maxpo", one_level(), n=4, k=2)
    assert seen.bias == seen.trace_covariance == 0
    assert seen.dead_group_probability == 1
    for undefined in (seen.relative_bias, seen.scale, seen.direction_error, seen.along_gradient_variance):
        assert np.isnan(undefined)


def test_a_gradient_of_0_has_no_relative_bias() -> None:
    # E R has slope sum p r G = (0 - 1/2 + 1/2) = 0, while every G is of size 1.
    flat = ml.RewardLevels([0, 1, 2], [0.25, 0.5, 0.25], [[1.0], [-1.0], [1.0]], [2.0, 2.0, 2.0])
    seen = ml.exact_moments("batch-mean", flat, n=5, k=1, target="mean")
    assert seen.gradient.tolist() == [0]
    assert seen.bias <= 64 * EPS
    for undefined in (seen.relative_bias, seen.scale, seen.direction_error):
        assert np.isnan(undefined)


def test_dead_groups() -> None:
    p, n = 0.3, 8
    levels = bandit(50, 5, p)
    chance = [comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    for name, k, dead in [
        ("rloo", 1, lambda c: c in (0, n)),
        ("grpo", 1, lambda c: c in (0, n)),
        ("maxpo", 3, lambda c: c == 0 or n - c < 3),
        ("pkpo-loo1", 3, lambda c: c == 0 or n - c < 2),
        ("pkpo-s", 3, lambda c: c == 0),
        ("reinforce", 1, lambda c: c == 0),
    ]:
        want = sum(x for c, x in enumerate(chance) if dead(c))
        # A binomial sum of n + 1 terms.
        assert abs(ml.exact_moments(name, levels, n=n, k=k).dead_group_probability - want) <= 32 * n * EPS


@pytest.mark.parametrize("success", [1e-12, 1e-30, 0.5, 1 - 2.0**-30])
def test_reinforce_in_closed_form(success: float) -> None:
    odds = success / (1 - success)
    levels = ml.RewardLevels([0, 1], [1 - success, success], [[-odds], [1.0]], [odds**2 + 0.1, 1.5])
    n = 16
    seen = ml.exact_moments("reinforce", levels, n=n, k=1)
    # g is a mean of n i.i.d. R s: E R s = p G_1, E |R s|^2 = p S_1.
    assert seen.mean[0] == pytest.approx(success, rel=64 * n * EPS)
    variance = success * (1.5 - success) / n
    assert seen.trace_covariance == pytest.approx(variance, rel=64 * n * EPS)
    assert seen.relative_bias <= 1e-10


@pytest.mark.parametrize(
    ("arms", "good", "ratios"),
    [(1000, 100, (1.07, 1.02, 0.86, 0.56, 0.13)), (10, 1, (1.05, 1.06, 2.13, 2.86, 5.06))],
)
def test_reference_variance_ratios(arms: int, good: int, ratios: tuple[float, ...]) -> None:
    for success, want in zip((0.001, 0.05, 0.2, 0.5, 0.9), ratios, strict=True):
        levels = bandit(arms, good, success)
        maxpo, loo1 = (
            ml.exact_moments(x, levels, n=16, k=4).trace_covariance for x in ("maxpo", "pkpo-loo1")
        )
        assert round(maxpo / loo1, 2) == want


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_a_rule_that_is_not_equivariant_is_evaluated_on_all_arrangements(policy: Policy) -> None:
    seen = assert_same_moments(neighbour, policy, n=4, k=1)
    assert seen.states == len(set(policy.rewards)) ** 4
    assert seen.relative_bias <= max(1e-10, seen.bias_resolution)
    mean = ml.exact_moments(neighbour, policy.levels(), n=4, k=2, target="mean")
    assert mean.relative_bias <= max(1e-10, mean.bias_resolution)


def test_why_counts_would_not_do_for_it() -> None:
    """The sums over counts, taken on sorted groups, give this unbiased rule a bias of some ten percent."""
    levels, total = POLICIES["three levels"].levels(), 0.0
    for block in states.count_blocks(4, levels.probabilities):
        (sums,) = sums_by_level(block.level, [neighbour(levels.values[block.level], 1)], 3)
        total = total + block.probability @ sums @ levels.mean_scores / 4
    gradient = ml.max_at_k_gradient(levels, 1)
    assert np.linalg.norm(total - gradient) > 0.1 * np.linalg.norm(gradient)


def test_equivariance_is_seen_at_every_group_size() -> None:
    for n in (3, 6, 40):  # of two, each is the other's neighbour
        level = sample_groups(n, 3)
        rewards = np.array([0.0, 0.5, 1.0])[level]
        seen = rules.observe(neighbour, rewards, level, 1)
        assert not seen.equivariant
        assert seen.counterexample is not None
        a, b = seen.counterexample
        assert sorted(a) == sorted(b)
        for rule in (first_of_the_best, ml.get_estimator("grpo"), BLACK_BOXES["integers"]):
            assert rules.observe(rule, rewards, level, 1).equivariant


@pytest.mark.parametrize("name", ["maxpo", "grpo", "pkpo-s"])
@pytest.mark.parametrize("n", [4, 16])
def test_a_rule_that_computes_in_float32_is_still_equivariant(name: str, n: int) -> None:
    # Plain training code: float32 sums, whose last bits depend on the order of the rollouts.
    def in_float32(rewards: np.ndarray, k: int) -> np.ndarray:
        single = rewards.astype(np.float32)
        centered = single - single.mean(axis=1, keepdims=True)
        if name == "grpo":
            return centered / (single.std(axis=1, ddof=1, keepdims=True) + np.float32(1e-6))
        return ml.get_estimator(name)(single, k) + 0 * centered

    levels = random_policy((0.0, 0.1, 0.3, 0.7, 0.9), seed=8).levels()
    seen = ml.exact_moments(in_float32, levels, n=n, k=2)
    assert seen.states == comb(n + 4, 4)
    want = ml.exact_moments(name, levels, n=n, k=2)
    # 32 roundings of eps32, of a sum of n.
    tolerance = 32 * n * np.finfo(np.float32).eps * want.advantage_rms * 2
    np.testing.assert_allclose(seen.mean, want.mean, rtol=0, atol=tolerance)


def coupled(rewards: np.ndarray, k: int) -> np.ndarray:
    return rewards - rewards.mean()


def coupled_by_scale(rewards: np.ndarray, k: int) -> np.ndarray:
    return (rewards - rewards.mean(axis=1, keepdims=True)) / (rewards.std() + 1e-6)


def coupled_to_the_row_before(rewards: np.ndarray, k: int) -> np.ndarray:
    return rewards - np.roll(rewards, 1, axis=0)


@pytest.mark.parametrize("rule", [coupled, coupled_by_scale, coupled_to_the_row_before])
@pytest.mark.parametrize("n", [2, 4, 12])
def test_rows_that_influence_each_other_are_refused(rule: Rule, n: int) -> None:
    levels = POLICIES["three levels"].levels()
    with pytest.raises(ValueError, match=rf"{rule.__name__}.*rows of a batch influence.*per_group"):
        ml.exact_moments(rule, levels, n=n, k=1)
    # What the message advises works: each group by itself.
    seen = ml.exact_moments(ml.per_group(lambda r, _k: r - r.mean()), levels, n=n, k=1)
    want = ml.exact_moments("batch-mean", levels, n=n, k=1)
    assert seen.trace_covariance == pytest.approx(want.trace_covariance, rel=64 * n * EPS)


def test_a_random_rule_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"two answers for the same rewards.*deterministic.*seed"):
        ml.exact_moments(lambda r, _k: r + rng.normal(size=r.shape), BANDITS["graded"], n=4, k=2)


def returns_complex(rewards: np.ndarray, k: int) -> np.ndarray:
    return rewards + 0j


def returns_nan(rewards: np.ndarray, k: int) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return rewards / rewards.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("rule", "error", "message"),
    [
        (lambda r, _k: r.sum(axis=1), ValueError, r"shape \(\d+,\) for rewards of shape.*per_group"),
        (lambda _r, _k: None, ValueError, r"shape \(\)"),
        (lambda r, _k: r[:, :-1], ValueError, "shape"),
        (returns_nan, ValueError, r"returns_nan returned \[nan.*group \[0.0.*k=2.*finite"),
        (returns_complex, TypeError, "returns_complex returned dtype complex128.*real"),
        (lambda r, _k: r.astype(object), TypeError, "dtype object"),
        (lambda r, _k: np.full(r.shape, "a"), TypeError, "dtype <U1"),
    ],
)
def test_what_a_rule_may_not_return(rule: Rule, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ml.exact_moments(rule, BANDITS["graded"], n=4, k=2)


def test_a_rule_that_writes_into_its_input_harms_nobody() -> None:
    def in_place(rewards: np.ndarray, k: int) -> np.ndarray:
        rewards -= rewards.mean(axis=1, keepdims=True)
        return rewards

    levels = BANDITS["graded"]
    seen, want = (ml.exact_moments(x, levels, n=6, k=2) for x in (in_place, "batch-mean"))
    # The same rule in two ways of rounding: n + 16 roundings of rewards of at most 1.
    np.testing.assert_allclose(seen.mean, want.mean, rtol=0, atol=64 * 6 * EPS)
    assert seen.trace_covariance == pytest.approx(want.trace_covariance, rel=64 * 6 * EPS)
    assert levels.values.tolist() == [0, 0.25, 0.5, 1.0]


def test_too_many_states_are_refused_before_the_rule_is_called() -> None:
    def never(rewards: np.ndarray, k: int) -> np.ndarray:
        pytest.fail("the rule was called")

    levels = ml.RewardLevels.from_softmax(np.zeros(8), np.arange(8.0))
    with pytest.raises(
        ValueError, match=r"1,329,890,705 count states for n=64 and 8 reward levels"
    ) as raised:
        ml.exact_moments(never, levels, n=64, k=2)
    for advice in ("max_states=2,000,000", "smaller group", "merge reward levels", "sample"):
        assert advice in str(raised.value)
    assert "RankLinear" in str(raised.value)
    with pytest.raises(ValueError, match="max_states=100"):
        ml.exact_moments("grpo", levels, n=4, k=2, max_states=100)


def test_too_many_arrangements_are_refused_with_the_reason() -> None:
    levels = POLICIES["three levels"].levels()
    with pytest.raises(ValueError, match=r"neighbour is not permutation-equivariant") as raised:
        ml.exact_moments(neighbour, levels, n=16, k=1)
    for part in ("3^16 = 43,046,721", "max_states=2,000,000", "smaller group", "sample"):
        assert part in str(raised.value)


def test_covariance_needs_covariances() -> None:
    projected = POLICIES["three levels"].levels("projected")
    with pytest.raises(ValueError, match=r"covariance=True.*score_covariances.*covariances='full'"):
        ml.exact_moments("maxpo", projected, n=4, k=2, covariance=True)
    assert ml.exact_moments("maxpo", projected, n=4, k=2).covariance is None
    neither = POLICIES["three levels"].levels(None)
    assert ml.exact_moments("maxpo", neither, n=4, k=2).along_gradient_variance is None


@pytest.mark.parametrize("rule", ["maxpo", neighbour], ids=["by counts", "by arrangements"])
def test_options_change_the_form_and_not_the_numbers(rule: Any) -> None:
    policy = POLICIES["negative, tied"]
    bare, projected, full = (
        ml.exact_moments(rule, policy.levels(x), n=4, k=2) for x in (None, "projected", "full")
    )
    assert bare.trace_covariance == projected.trace_covariance == full.trace_covariance
    assert projected.along_gradient_variance == pytest.approx(full.along_gradient_variance, rel=256 * EPS)
    with_matrix = ml.exact_moments(rule, policy.levels("full"), n=4, k=2, covariance=True)
    assert np.trace(with_matrix.covariance) == pytest.approx(full.trace_covariance, rel=256 * EPS)


def test_blocks_do_not_change_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = BANDITS["graded"]
    whole = {name: ml.exact_moments(name, levels, n=12, k=3) for name in ("maxpo", "pkpo-s", "grpo")}
    monkeypatch.setattr(states, "BLOCK_ENTRIES", 200)
    for name, want in whole.items():
        got = ml.exact_moments(name, levels, n=12, k=3)
        assert got.states == want.states
        for field in ("trace_covariance", "between_trace", "dead_group_probability", "advantage_sum_rms"):
            # 455 states added in another order.
            assert getattr(got, field) == pytest.approx(getattr(want, field), rel=512 * EPS, abs=512 * EPS)


def test_success_too_rare_to_see_twice() -> None:
    # p^2 underflows: states of probability 0 must not make the split undefined.
    odds = 1e-200
    levels = ml.RewardLevels([0, 1], [1.0, odds], [[-odds], [1.0]], [odds**2, 1.0])
    for rule in ("rloo", neighbour):
        seen = ml.exact_moments(rule, levels, n=4, k=1)
        assert np.isfinite([seen.trace_covariance, seen.between_trace, seen.within_trace]).all()


def test_memory_stays_bounded() -> None:
    levels = bandit(100, 10, 0.05)
    tracemalloc.start()
    try:
        ml.exact_moments(ml.advantages, levels, n=2000, k=8)  # a callable: by states, not in closed form
        exact = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        # At n = 16384 the whole sum takes a minute: the equivariance check and a few blocks of it.
        n, rule = 16384, ml.get_estimator("maxpo")
        level = sample_groups(n, 2)
        assert rules.observe(rule, levels.values[level], level, 8).equivariant
        for block in islice(states.count_blocks(n, levels.probabilities), 4):
            rules.evaluate(rule, levels.values[block.level], 8)
        large = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert max(exact, large) < 256 * MIB


def test_names_estimators_and_callables_are_the_same() -> None:
    levels = BANDITS["one correct"]
    by_name, by_rule, by_call = (
        ml.exact_moments(x, levels, n=6, k=2) for x in ("maxpo", ml.get_estimator("maxpo"), ml.advantages)
    )
    assert by_name.trace_covariance == by_rule.trace_covariance == by_call.trace_covariance


def bits(moments: ml.Moments) -> dict[str, object]:
    """All fields, arrays as bytes."""
    found = {name: getattr(moments, name) for name in moments.__dataclass_fields__}
    return {name: x.tobytes() if isinstance(x, np.ndarray) else repr(x) for name, x in found.items()}


@pytest.mark.parametrize("rule", ["maxpo", "grpo", neighbour])
def test_policies_of_the_same_levels_share_the_calls_of_a_rule(rule: str | Rule) -> None:
    """As if each were alone, to the bit; and a user's rule is called as often as for one."""
    calls = 0

    def counted(rewards: np.ndarray, k: int) -> np.ndarray:
        nonlocal calls
        calls += 1
        return (ml.get_estimator(rule) if isinstance(rule, str) else rule)(rewards, k)

    rewards = np.array([0.0, 0.0, 0.5, 1.0, 1.0])
    policies = [
        ml.RewardLevels.from_softmax(np.array([0.0, 1.0, tilt, 0.3, -tilt]), rewards) for tilt in (0, 1, 2)
    ]
    alone = [ml.exact_moments(counted, each, n=4, k=2) for each in policies]
    once, calls = calls / 3, 0
    together = moments_under(policies, counted, n=4, k=2)
    assert calls == once
    assert [bits(each) for each in together] == [bits(each) for each in alone]
    assert bits(together[0]) != bits(together[1])


def test_policies_of_other_levels_are_not_taken_together() -> None:
    policies = [ml.RewardLevels.from_softmax(np.zeros(2), np.array([0.0, top])) for top in (1.0, 2.0)]
    with pytest.raises(
        ValueError, match=r"reward levels \[0.0, 1.0\] and \[0.0, 2.0\]: they must have the same"
    ):
        moments_under(policies, "maxpo", n=4, k=2)
