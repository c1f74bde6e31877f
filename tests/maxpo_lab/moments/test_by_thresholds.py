"""Moments in closed form against the states they spare, and against other witnesses at hundreds of levels."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from math import comb, fsum
from typing import Any

import numpy as np
import pytest
from brute_force import random_policy
from checks import EPS

import maxpo_lab as ml
from maxpo_lab import rules
from maxpo_lab.core.binomial import binomial
from maxpo_lab.core.coefficients import Coefficients
from maxpo_lab.moments import DEAD, exact, states
from maxpo_lab.moments.closed_form import by_thresholds
from maxpo_lab.moments.closed_form.by_thresholds import ThresholdSums
from maxpo_lab.moments.closed_form.thresholds import BinaryTable, PairMoments, Thresholds, thinned
from maxpo_lab.moments.count_sums import CountSums

RANK_LINEAR = [name for name in ml.list_estimators() if isinstance(ml.get_estimator(name), ml.RankLinear)]
POLICIES = {
    "0/1": random_policy((1.0, 0.0, 1.0), dimension=3, seed=1),
    "three levels": random_policy((0.0, 0.4, 1.0), seed=0),
    "negative, tied": random_policy((-2.0, 0.5, 0.5, 1.0, 3.0), dimension=4, seed=2),
    "far from 0": random_policy((-1000.0, -999.0, -3.0, 0.0), seed=3),
    "five levels": random_policy((0.0, 0.1, 0.25, 0.25, 1.0, 2.0), dimension=3, seed=4),
}


def rank_linear(offset: float, above: Any, below: Any) -> ml.RankLinear:
    """A rule of these coefficients, at one group size."""
    made = Coefficients(offset, np.asarray(above, dtype=float), np.asarray(below, dtype=float))
    return replace(
        ml.get_estimator("reinforce"), name="table", objective="max@k", table=lambda n, k, exact: made
    )


def by_states(rule: ml.RankLinear, levels: ml.RewardLevels, n: int, k: int) -> tuple[CountSums, float]:
    """The witness: every group; and the largest |A| of any."""
    sums, largest = CountSums(levels, n, by_counts=False), 0.0
    for block in states.count_blocks(n, levels.probabilities):
        advantages = rules.evaluate(rule, levels.values[block.level], k)
        sums.add(block, advantages)
        largest = max(largest, float(np.abs(advantages).max()))
    return sums, largest


def check_sums(rule: ml.RankLinear, levels: ml.RewardLevels, n: int, k: int) -> None:
    """Every figure that the moments are made of, from groups and from thresholds."""
    want, largest = by_states(rule, levels, n, k)
    got = ThresholdSums(levels, rule.coefficients(n, k))
    # Roundings of the longest chain: coefficients and binomials 2n + 64 each, thinning and the multinomials
    # of the states 2n a level. An advantage is good to that share of the largest one; x sums n of them,
    # and its second moment cancels n-fold at most.
    unit = (2 * len(levels.values) + 8) * (n + 16) * EPS
    size = unit * n * largest
    score = float(np.sqrt(levels.score_second_moments.max()))

    def close(field: str, tolerance: float) -> None:
        a, b = getattr(got, field), getattr(want, field)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance, err_msg=field)

    np.testing.assert_array_equal(got.coordinates, want.coordinates)
    close("mean", size * score)
    close("comoment", n * size * largest * score**2)
    close("squares", size * largest)
    close("sum_square", n * size * largest)
    close("sum_max", size)
    between = n * size * largest * score**2 * len(want.comoment)
    assert abs(got.between_counts() - want.between_counts()) <= between
    threshold = DEAD * float(np.sqrt(want.squares.sum() / n))
    dead = got.dead_probability(threshold)
    assert np.isnan(dead) or abs(dead - want.dead_probability(threshold)) <= unit * n


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("name", RANK_LINEAR)
def test_the_catalogue(name: str, policy: Any) -> None:
    rule, levels = ml.get_estimator(name), policy.levels()
    for n in (1, 2, 3, 7):
        for k in {1, 2, n - 1, n} - {0}:
            if rule.why_not(n, k) is None and rule.why_not_rewards(levels.values) is None:
                check_sums(rule, levels, n, k)
                threshold = ThresholdSums(levels, rule.coefficients(n, k))
                assert not np.isnan(threshold.dead_probability(0.0))


@pytest.mark.parametrize("seed", range(40))
def test_random_coefficients(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, size = int(rng.integers(1, 8)), int(rng.integers(2, 6))
    above, below = rng.normal(size=(2, n - 1)) if seed % 2 else rng.integers(-1, 2, (2, n - 1))
    policy = random_policy(rng.choice(np.arange(-3, 4), size, replace=False), dimension=3, seed=seed)
    check_sums(rank_linear(float(rng.integers(-1, 2)), above, below), policy.levels(), n, 1)


def test_a_single_level() -> None:
    levels = ml.RewardLevels.from_softmax((0.0, 1.0), (-1.5, -1.5))
    for name in ("reinforce", "rloo", "pkpo-s"):
        check_sums(ml.get_estimator(name), levels, 4, 2)


RARE = {
    "rare": ((1.0, 1e-6, 1e-12), (0, 0.5, 1)),
    "underflowing squares": ((1.0, 1e-100, 1e-200), (0, 0.3, 1)),
    "converged": ((1e-12, 1e-5, 1.0), (0, 0.5, 1)),
    "converged on many": ((1e-12, 1e-12, 1e-9, 1e-9, 0.3, 0.7), (0, 0, 0.5, 0.5, 1, 1)),
    "even": ((1.0, 1.0, 1.0), (0, 0.5, 1)),
}


@pytest.mark.parametrize("where", RARE)
@pytest.mark.parametrize(("n", "k"), [(4, 2), (16, 4), (40, 39)])
def test_relative_accuracy_of_variances(where: str, n: int, k: int) -> None:
    shares, rewards = RARE[where]
    levels = ml.RewardLevels.from_softmax(np.log(shares), rewards)
    for name in ("maxpo", "pkpo-loo1", "pkpo-s", "rloo", "reinforce", "l-statistic:BotM:2"):
        rule = ml.get_estimator(name)
        want, _ = by_states(rule, levels, n, k)
        got = ThresholdSums(levels, rule.coefficients(n, k))
        # Relative now, whatever the size: the chain of roundings, and the cancellation between rollouts.
        rtol = 6 * n * (n + 16) * EPS
        np.testing.assert_allclose(got.squares, want.squares, rtol=rtol, err_msg=name)
        assert got.between_counts() == pytest.approx(want.between_counts(), rel=rtol)
        threshold = DEAD * float(np.sqrt(want.squares.sum() / n))
        assert got.dead_probability(threshold) == pytest.approx(want.dead_probability(threshold), rel=rtol)


@pytest.mark.parametrize("kept", [0.5, 1e-3, 1e-200, 1 - 2.0**-40])
def test_thinning_is_a_binomial_mean_to_its_last_digits(kept: float) -> None:
    values = np.random.default_rng(0).random((9, 2))
    values[0] = 0  # so that a rare success is all there is
    seen = thinned(values[:, :, None], np.array([kept]), np.array([1 - kept]))[:, :, 0]
    one, other = Fraction(kept), Fraction(1 - kept)
    for c, row in enumerate(seen):
        for j, got in enumerate(row):
            terms = (comb(c, x) * one**x * other ** (c - x) * Fraction(values[x, j]) for x in range(c + 1))
            want = sum(terms)
            assert abs(Fraction(float(got)) - want) <= want * Fraction(2 * 9 * EPS)


def many_levels(size: int, *, seed: int = 0, outcomes: int = 1, dimension: int = 30) -> ml.RewardLevels:
    """Levels of random rewards in [0, 1], with so many outcomes each."""
    rng = np.random.default_rng(seed)
    rewards = np.repeat(np.sort(rng.random(size)), outcomes)
    return random_policy(tuple(rewards), dimension=dimension, seed=seed).levels(None)


@pytest.mark.parametrize(
    ("name", "n"),
    [("maxpo", 64), ("pkpo-loo1", 24), ("pkpo-s", 24), ("l-statistic:Median", 24), ("predictive", 24)],
)
def test_unbiased_and_centered_with_200_levels(name: str, n: int) -> None:
    rule = ml.get_estimator(name)
    seen = ml.exact_moments(name, many_levels(200), n=n, k=4, target=rule.objective)
    assert seen.states == 0
    assert seen.relative_bias <= max(1e-10, seen.bias_resolution)
    if rule.claims.centered:
        assert seen.advantage_sum_max <= 1e-12 * 4


def test_reinforce_with_400_levels() -> None:
    levels, n = many_levels(400, outcomes=2), 10
    seen = ml.exact_moments("reinforce", levels, n=n, k=1)
    # g is a mean of n i.i.d. R s.
    p, r = levels.probabilities, levels.values
    mean = (p * r) @ levels.mean_scores
    trace = (fsum(p * r**2 * levels.score_second_moments) - mean @ mean) / n
    assert seen.trace_covariance == pytest.approx(trace, rel=500 * EPS)
    assert seen.advantage_rms == pytest.approx(np.sqrt(p @ r**2), rel=500 * EPS)
    assert seen.advantage_sum_max == pytest.approx(n * r[-1], rel=500 * EPS)
    assert seen.dead_group_probability == 0


def test_rloo_with_200_levels() -> None:
    levels, n = many_levels(200, outcomes=2), 12
    seen = ml.exact_moments("rloo", levels, n=n, k=1)
    # A U-statistic of order 2 with kernel h = (R_1 - R_2)(s_1 - s_2) / 2, by Hoeffding's variance formula.
    p, off = levels.probabilities, levels.values - levels.probabilities @ levels.values
    slope = (p * off) @ levels.mean_scores
    own = p @ (off**2 * levels.score_second_moments)
    projection = (own - slope @ slope) / 4
    kernel = (own + (p @ off**2) * (p @ levels.score_second_moments)) / 2
    trace = (4 * (n - 2) * projection + 2 * kernel) / (n * (n - 1))
    assert seen.trace_covariance == pytest.approx(trace, rel=1000 * EPS)


def test_splitting_a_level_into_fifty_changes_nothing() -> None:
    """Four levels on a grid against 200 that differ by 1e-11 inside each: states against closed form."""
    rng = np.random.default_rng(5)
    n, spread = 12, 1e-11
    rewards = np.repeat([0.0, 0.3, 0.7, 1.0], 50)
    policy = random_policy(tuple(rewards), dimension=5, seed=6)
    split = replace(policy, rewards=rewards + spread * rng.permutation(200))
    for name, k in (("maxpo", 3), ("pkpo-loo1", 5), ("pkpo-s", 2), ("l-statistic:TopM:2", 4)):
        want = ml.exact_moments(name, policy.levels("full"), n=n, k=k, covariance=True)
        seen = ml.exact_moments(name, split.levels("full"), n=n, k=k, covariance=True)
        assert want.states == comb(n + 3, 3)
        assert seen.states == 0
        # Advantages move by at most 2 k times 200 spreads: the second moments by twice that of their size.
        moved = 2 * k * 200 * spread / want.advantage_rms
        size = want.advantage_rms**2 * float(policy.levels().score_second_moments.max())
        np.testing.assert_allclose(seen.mean, want.mean, rtol=0, atol=moved * np.sqrt(size))
        np.testing.assert_allclose(seen.covariance, want.covariance, rtol=0, atol=2 * moved * size)
        assert seen.along_gradient_variance == pytest.approx(
            want.along_gradient_variance, abs=4 * moved * size
        )
        assert seen.advantage_sum_rms == pytest.approx(want.advantage_sum_rms, abs=n * moved)


@pytest.mark.parametrize("name", ["maxpo", "pkpo-s"])
def test_sampled_groups_of_100_levels(name: str) -> None:
    levels, n, k, groups = many_levels(100), 16, 4, 20_000
    want = ml.exact_moments(name, levels, n=n, k=k)
    rng = np.random.default_rng(7)
    level = rng.choice(100, p=levels.probabilities, size=(groups, n))
    advantages = ml.advantages(levels.values[level], k, estimator=name)
    # One outcome a level: the score of a rollout is the mean score of its level.
    g = np.einsum("bi,bid->bd", advantages, levels.mean_scores[level]) / n
    for sample, mean in (
        (np.sum((g - want.mean) ** 2, axis=1), want.trace_covariance),
        (np.mean(advantages**2, axis=1), want.advantage_rms**2),
        (advantages.sum(axis=1) ** 2, want.advantage_sum_rms**2),
    ):
        error = sample.std(ddof=1) / np.sqrt(groups) + 1e-20
        assert abs(sample.mean() - mean) <= 5.5 * error  # six normal tests: false alarms below 1e-6


@pytest.mark.parametrize("size", [2, 400])
def test_objectives_of_hundreds_of_levels(size: int) -> None:
    levels = many_levels(size)
    p = [Fraction(float(x)) for x in levels.probabilities]
    below = [sum(p[:level], Fraction(0)) for level in range(size + 1)]
    g = levels.mean_scores[:, 0]
    slope = np.concatenate([[0.0], np.cumsum(levels.probabilities * g)])
    for k in (1, 8, 64):
        power = [float(b**k) for b in below]
        chances = np.diff([float(b**k) for b in below])
        assert ml.max_at_k(levels, k) == pytest.approx(float(chances @ levels.values), abs=4 * size * EPS)
        steep = k * np.array([float(b ** (k - 1)) for b in below]) * slope
        want = float(np.diff(steep) @ levels.values)
        tolerance = 4 * size * k * EPS * float(levels.probabilities @ np.abs(g))
        assert abs(ml.max_at_k_gradient(levels, k)[0] - want) <= tolerance
        assert power[-1] == pytest.approx(1.0)


def test_the_closed_form_begins_where_states_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = POLICIES["five levels"].levels()
    few = ml.exact_moments("maxpo", levels, n=8, k=3, covariance=True)
    assert few.states == comb(12, 4)
    beyond = ml.exact_moments("maxpo", levels, n=8, k=3, covariance=True, max_states=100)
    monkeypatch.setattr(exact, "MAX_ENTRIES", 8 * few.states - 1)
    costly = ml.exact_moments("maxpo", levels, n=8, k=3, covariance=True)
    assert beyond.states == costly.states == 0
    assert beyond.trace_covariance == costly.trace_covariance
    np.testing.assert_allclose(costly.covariance, few.covariance, rtol=0, atol=512 * EPS)
    assert costly.along_gradient_variance == pytest.approx(few.along_gradient_variance, rel=512 * EPS)
    assert costly.within_trace == pytest.approx(few.within_trace, rel=512 * EPS)


def test_a_black_box_beyond_is_refused_and_a_domain_is_kept() -> None:
    levels = many_levels(50)
    with pytest.raises(
        ValueError, match=r"count states.*max_states=2,000,000.*RankLinear, which has no such"
    ):
        ml.exact_moments(ml.advantages, levels, n=16, k=2)
    binary = replace(ml.get_estimator("maxpo"), domain="binary")
    with pytest.raises(ValueError, match=r"defined for 0/1 rewards alone"):
        ml.exact_moments(binary, levels, n=16, k=2)
    with pytest.raises(ValueError, match=r"k <= n-1"):
        ml.exact_moments("maxpo", levels, n=16, k=16)


def test_a_large_group_of_two_levels() -> None:
    # One binomial sum in place of 16385 groups of 16384.
    levels = ml.RewardLevels.from_softmax(np.log([0.7, 0.1, 0.2]), (0, 1, 1))
    n = 16384
    seen = ml.exact_moments("rloo", levels, n=n, k=1)
    c = np.arange(n + 1)
    chance = binomial(n, 0.3, 0.7)
    power = c * ((n - c) / (n - 1)) ** 2 + (n - c) * (c / (n - 1)) ** 2
    assert seen.advantage_rms == pytest.approx(np.sqrt(chance @ power / n), rel=4 * n * EPS)
    assert seen.relative_bias <= 1e-10


@pytest.mark.integration
def test_memory_stays_bounded() -> None:
    levels = many_levels(40)
    tracemalloc.start()
    try:
        ml.exact_moments("maxpo", levels, n=150, k=4)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20  # four arrays of a block, of 1 MiB each, and what is small


class TestDeadGroups:
    """Which groups teach nothing, case by case; ``check_sums`` compares the chances with all groups."""

    LEVELS = random_policy((-1.0, 0.0, 1.0), seed=3).levels()

    def chance(self, rule: ml.RankLinear) -> float:
        return ThresholdSums(self.LEVELS, rule.coefficients(4, 2)).dead_probability(1e-12)

    @pytest.mark.parametrize(
        ("name", "dead"),
        [
            ("rloo", lambda p: (p**4).sum()),
            ("reinforce", lambda p: p[1] ** 4),  # every reward is 0
            # K q = K max: all equal to 0 iff the maximum is 0 and at most K - 1 lie below it, or all are 0.
            ("pkpo-s", lambda p: p[1] ** 4 + 4 * p[0] * p[1] ** 3),
        ],
    )
    def test_of_the_catalogue(self, name: str, dead: Callable[[np.ndarray], float]) -> None:
        want = dead(self.LEVELS.probabilities)
        assert self.chance(ml.get_estimator(name)) == pytest.approx(want, rel=64 * EPS)

    def test_of_one_sign(self) -> None:
        # All four get a gap that two of them stand above, and no other: dead are the groups without one.
        rule = rank_linear(0.0, [0.0, 1.0, 0.0], [0.0, 1.0, 0.0])
        check_sums(rule, self.LEVELS, 4, 2)
        assert 0 < self.chance(rule) < 1

    def test_hidden_by_signs(self) -> None:
        # (-1, 0, 0, 1) has gaps of 1 with 3 and with 1 above: 1 - 1 cancels.
        rule = rank_linear(0.0, [1.0, 0.0, -1.0], [1.0, 0.0, -1.0])
        assert np.isnan(self.chance(rule))
        with_offset = rank_linear(1.0, [0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
        assert np.isnan(self.chance(with_offset))


def patched(monkeypatch: pytest.MonkeyPatch, change: Callable[[PairMoments], PairMoments]) -> None:
    right = Thresholds.pairs
    monkeypatch.setattr(Thresholds, "pairs", lambda self, m: change(right(self, m)))


def off_by_one_count(monkeypatch: pytest.MonkeyPatch) -> None:
    right = BinaryTable.of

    def wrong(made: Coefficients) -> BinaryTable:
        table = right(made)
        return replace(table, failure=np.append(table.failure[1:], 0.0))

    monkeypatch.setattr(BinaryTable, "of", wrong)


def others_not_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    """n - 1 others of two rollouts in place of n - 2, the last count dropped."""
    right = Thresholds.__init__

    def wrong(self: Thresholds, probabilities: np.ndarray, table: BinaryTable) -> None:
        right(self, probabilities, table)
        self.others_of_two = self.others[:, :-1]

    monkeypatch.setattr(Thresholds, "__init__", wrong)


@dataclass(frozen=True)
class Mutant:
    """A way to get the closed form wrong."""

    what: str
    apply: Callable[[pytest.MonkeyPatch], None]


def of_pairs(what: str, change: Callable[[PairMoments], PairMoments]) -> Mutant:
    return Mutant(what, lambda monkeypatch: patched(monkeypatch, change))


MUTANTS = [
    Mutant("count off by one", off_by_one_count),
    Mutant("n-1 others of two rollouts", others_not_reduced),
    of_pairs("cross term dropped", lambda p: replace(p, high_low=0 * p.high_low)),
    of_pairs("other cross term dropped", lambda p: replace(p, low_high=0 * p.low_high)),
    of_pairs("curvature of the lower dropped", lambda p: replace(p, low_low=0 * p.low_low)),
    of_pairs("curvature of the higher dropped", lambda p: replace(p, high_high=0 * p.high_high)),
    of_pairs("middle merged with above", lambda p: replace(p, between=p.above)),
    of_pairs("middle merged with below", lambda p: replace(p, between=p.below)),
    of_pairs(
        "sums of one threshold alone", lambda p: replace(p, total=p.total * (np.arange(len(p.total)) == 0))
    ),
    Mutant(
        "kept for lost",
        lambda monkeypatch: monkeypatch.setattr(
            "maxpo_lab.moments.closed_form.thresholds.thinned",
            lambda values, kept, lost: thinned(values, lost, kept),
        ),
    ),
    Mutant(
        "constant forgotten",
        lambda monkeypatch: monkeypatch.setattr(by_thresholds.np, "fill_diagonal", lambda *_: None),
    ),
]


def check_all(levels: ml.RewardLevels) -> None:
    for name in ("maxpo", "pkpo-loo1", "pkpo-s"):
        check_sums(ml.get_estimator(name), levels, 5, 2)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.what)
def test_a_mutant_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    levels = POLICIES["five levels"].levels()
    check_all(levels)
    mutant.apply(monkeypatch)
    with pytest.raises(AssertionError):
        check_all(levels)
