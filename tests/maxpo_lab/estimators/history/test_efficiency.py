"""How near the variance floor the rules come: exact moments for every history, averaged over fair ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import combinations_with_replacement
from math import comb, factorial, prod
from typing import Any

import array_api_compat
import numpy as np
import pytest
from scipy.special import logit

import maxpo_lab as ml
from maxpo_lab.core.binomial import binomial
from maxpo_lab.estimators.history.centered import centered_replay
from maxpo_lab.estimators.history.plug_in_floor import baseline, plug_in_floor
from maxpo_lab.estimators.history.pooled import pooled
from maxpo_lab.estimators.history.replay import replay

NUMPY = array_api_compat.array_namespace(np.empty(0))
Rule = Callable[..., Any]


@cache
def bandit(p: float, arms: int = 1000, good: int = 100) -> ml.RewardLevels:
    """Arms of which the first are correct, equal chances inside each class."""
    correct = np.arange(arms) < good
    return ml.RewardLevels.from_softmax(
        np.where(correct, logit(p) + np.log((arms - good) / good), 0.0), correct
    )


def after(rule: Rule, y: np.ndarray) -> Callable[[np.ndarray, int], np.ndarray]:
    """The rule of a group that one history makes."""
    return lambda rewards, k: rule(
        NUMPY, rewards, k, *np.ones((2, len(rewards), 1)) * [[y], [np.ones_like(y)]]
    )


def one_by_one(rule: Rule, levels: ml.RewardLevels, *, n: int, k: int, m: int, q: float) -> float:
    """``E|g|^2`` less the gradient's, the mean over histories of rate q of the library's own moments."""
    total = 0.0
    for successes, chance in enumerate(binomial(m, q, 1 - q)):
        seen = ml.exact_moments(after(rule, np.arange(m) < successes), levels, n=n, k=k)
        total += chance * (seen.trace_covariance + seen.mean @ seen.mean)
    gradient = ml.max_at_k_gradient(levels, k)
    return total - float(gradient @ gradient)


def at_once(rule: Rule, levels: ml.RewardLevels, *, n: int, k: int, m: int, q: float) -> float:
    """The same, all histories and counts in one call of the rule."""
    c = np.arange(n + 1)
    group = np.broadcast_to(np.arange(n) < c[:, None], (m + 1, n + 1, n)).astype(float)
    counts = np.stack([m - np.arange(m + 1), np.arange(m + 1)], axis=-1).astype(float)
    counts = np.broadcast_to(counts[:, None], (m + 1, n + 1, 2))  # tied rewards as one of their weight
    advantages = rule(NUMPY, group, k, np.broadcast_to([0.0, 1.0], counts.shape), counts)
    won, lost = c * advantages[..., 0], (n - c) * advantages[..., -1]  # sums over the successes, the failures
    gram, spread = levels.mean_scores @ levels.mean_scores.T, levels.score_variances
    along = won**2 * gram[1, 1] + 2 * won * lost * gram[0, 1] + lost**2 * gram[0, 0]
    second = (won * advantages[..., 0] * spread[1] + lost * advantages[..., -1] * spread[0] + along) / n**2
    gradient = ml.max_at_k_gradient(levels, k)
    of_counts = binomial(n, *levels.probabilities[::-1])
    return float(binomial(m, q, 1 - q) @ second @ of_counts - gradient @ gradient)


def efficiency(rule: Rule, levels: ml.RewardLevels, n: int, k: int, m: int) -> float:
    floor = ml.variance_floor(levels, n=n, k=k).trace_covariance
    return floor / at_once(rule, levels, n=n, k=k, m=m, q=levels.probabilities[1])


@pytest.mark.parametrize("rule", [replay, centered_replay, plug_in_floor])
def test_two_ways_to_the_variance(rule: Rule) -> None:
    for p, q in ((0.05, 0.05), (0.5, 0.3)):
        one, other = (each(rule, bandit(p), n=8, k=4, m=8, q=q) for each in (one_by_one, at_once))
        assert one == pytest.approx(other, rel=1e-12)


#: Least efficiency over p with fair histories of n, 4n and 16n, and the p where it is.
LEAST = [
    (8, 1, ((0.937, 0.326), (0.975, 0.404), (0.993, 0.5))),
    (8, 4, ((0.893, 0.9), (0.971, 0.9), (0.992, 0.263))),
    (8, 8, ((0.888, 0.263), (0.969, 0.404), (0.992, 0.74))),
    (16, 4, ((0.952, 0.9), (0.986, 0.9), (0.996, 0.263))),
    (16, 8, ((0.929, 0.9), (0.985, 0.9), (0.996, 0.171))),
    (16, 15, ((0.943, 0.9), (0.985, 0.404), (0.995, 0.78))),  # the last in rationals: 0.99487
    (64, 8, ((0.988, 0.9), (0.997, 0.138), (0.999, 0.68))),
]


@pytest.mark.parametrize(("n", "k", "cells"), LEAST)
def test_least_efficiency_with_a_fair_history(n: int, k: int, cells: tuple[tuple[float, float], ...]) -> None:
    for times, (want, where) in zip((1, 4, 16), cells, strict=True):
        rates = (0.001, 0.03, 0.3, 0.9, where) if times * n < 300 else (0.03, where)
        found = {p: efficiency(replay, bandit(p), n, k, times * n) for p in rates}
        assert min(found.values()) == pytest.approx(want, abs=6e-4)
        assert min(found, key=found.__getitem__) == where or min(found.values()) > found[where] - 5e-4


@pytest.mark.parametrize("n", [8, 16, 64])
def test_up_to_half_of_the_group_at_four_times_its_history(n: int) -> None:
    for k in (1, 2, n // 4, n // 2):
        assert min(efficiency(replay, bandit(p), n, k, 4 * n) for p in (0.001, 0.05, 0.4, 0.9)) >= 0.97


def test_three_graded_levels_over_all_561_histories() -> None:
    n, m, k = 8, 32, 4
    values = np.array([0.0, 0.5, 1.0])
    rewards = np.repeat(values, (600, 300, 100))
    groups, pasts = (np.array(list(combinations_with_replacement(values, size))) for size in (n, m))
    assert len(pasts) == 561
    shape = (len(pasts), len(groups))
    of_groups, of_pasts = ((rows[..., None] == values).sum(axis=1) for rows in (groups, pasts))
    weights = np.broadcast_to(of_pasts[:, None].astype(float), (*shape, 3))
    advantages = replay(
        NUMPY,
        np.broadcast_to(groups, (*shape, n)),
        k,
        np.broadcast_to(values, weights.shape),
        weights,
    )
    level = groups[..., None] == values
    total, squares = (np.einsum("hgi,gil->hgl", advantages**power, level.astype(float)) for power in (1, 2))

    def chances(counts: np.ndarray, p: np.ndarray) -> np.ndarray:
        ways = [factorial(sum(row)) / prod(map(factorial, row)) for row in counts.tolist()]
        return np.array(ways) * np.prod(p**counts, axis=1)

    for half, full in ((0.2, 0.05), (0.05, 0.9), (0.4, 0.2), (0.001, 0.001)):
        chance = np.repeat([(1 - half - full) / 600, half / 300, full / 100], (600, 300, 100))
        levels = ml.RewardLevels.from_softmax(np.log(chance), rewards)
        gram = levels.mean_scores @ levels.mean_scores.T
        second = squares @ levels.score_variances + np.einsum("hgi,ij,hgj->hg", total, gram, total)
        gradient = ml.max_at_k_gradient(levels, k)
        seen = (
            chances(of_pasts, levels.probabilities) @ second @ chances(of_groups, levels.probabilities) / n**2
        )
        floor = ml.variance_floor(levels, n=n, k=k).trace_covariance
        assert 0.965 <= floor / (seen - gradient @ gradient) <= 0.98


def test_centered_replay_over_the_floor_of_rules_without_history() -> None:
    rates = (0.001, 0.1, 0.5, 0.9)
    for k, wanted in ((4, (0.938, 0.941, 0.970, 1.06)), (16, (0.938, 1.03, 1.79, 6.7))):
        for p, want in zip(rates, wanted, strict=True):
            found = efficiency(centered_replay, bandit(p), 16, k, 16)
            assert found == pytest.approx(want, abs=0.51 * 10.0 ** -len(str(want).partition(".")[2]))


ONE_ANSWER = {
    0.05: (0.937, 0.965, 0.988),
    0.2: (0.695, 0.951, 0.983),
    0.5: (0.607, 0.972, 0.985),
    0.7: (0.512, 0.910, 0.962),
    0.9: (0.378, 0.327, 0.734),
}


@pytest.mark.parametrize("p", ONE_ANSWER)
def test_plug_in_floor_where_one_of_ten_answers_is_correct(p: float) -> None:
    levels = bandit(p, 10, 1)
    floor = ml.variance_floor(levels, n=16, k=4).trace_covariance
    found = (
        floor / ml.exact_moments("pkpo-loo1", levels, n=16, k=4).trace_covariance,
        *(efficiency(plug_in_floor, levels, 16, 4, m) for m in (16, 64)),
    )
    assert found == pytest.approx(ONE_ANSWER[p], abs=6e-4)


def test_replay_is_the_wrong_rule_there() -> None:
    for p, want in ((0.2, 0.43), (0.5, 0.20)):
        assert efficiency(replay, bandit(p, 10, 1), 16, 4, 64) == pytest.approx(want, abs=6e-3)


@pytest.mark.parametrize(("n", "k"), [(1, 1), (3, 1), (4, 2), (16, 4), (6, 6)])
def test_the_plug_in_baseline_is_that_of_the_floor(n: int, k: int) -> None:
    """Of a policy with the geometry that the rule assumes; the floor solves its own equations."""
    gain = k * np.array([comb(n - 1 - c, k - 1) for c in range(n)]) / comb(n - 1, k - 1)
    for p in (0.001, 0.2, 0.5, 0.97):
        levels = ml.RewardLevels(
            values=[0.0, 1.0],
            probabilities=[1 - p, p],
            mean_scores=[[-p], [1 - p]],
            score_second_moments=[p**2 + 1, (1 - p) ** 2],
        )
        floor = ml.variance_floor(levels, n=n, k=k)
        # The floor's baseline is of K q, the rule's of K h: K v(K-1) is between them.
        reference = k - gain if k > 1 else 0 * gain
        want = (floor.baseline - reference[floor.others[:, 1]])[np.argsort(floor.others[:, 1])]
        np.testing.assert_allclose(baseline(NUMPY, np.array(p), gain), want, rtol=0, atol=1e-13 * k)


def test_the_baseline_of_ten_arms_in_four_digits() -> None:
    floor = ml.variance_floor(bandit(0.5, 10, 1), n=16, k=4)
    c = floor.others[:, 1]
    gain = 4 * np.array([comb(15 - each, 3) for each in range(16)]) / 455
    beta = (floor.baseline - (4 - gain[c]))[np.argsort(c)]
    want = [0.3124, 0.1540, 0.0284, -0.0675, -0.1368, -0.1827, -0.2083, -0.2168]
    np.testing.assert_allclose(beta[:8], want, rtol=0, atol=5.1e-5)


def test_a_wrong_history_at_n_costs_eighty_times_the_variance_where_nothing_is_learned() -> None:
    levels = bandit(0.01)
    plain = ml.exact_moments("pkpo-loo1", levels, n=8, k=8).trace_covariance
    assert at_once(replay, levels, n=8, k=8, m=32, q=0.9) / plain == pytest.approx(80, abs=1)


def test_dropping_dead_groups_biases_replay() -> None:
    """What an all-fail group pays is part of its prompt's weight; n = 8, K = 4, 32 fair earlier rewards."""
    n, k, m = 8, 4, 32
    counts = np.stack([m - np.arange(m + 1.0), np.arange(m + 1.0)], axis=-1)
    paid = replay(NUMPY, np.zeros((m + 1, n)), k, np.broadcast_to([0.0, 1.0], counts.shape), counts)[:, 0]
    for p, want in ((0.05, -0.036), (0.1, -0.058), (0.2, -0.073), (0.3, -0.064)):
        lost = (1 - p) ** (n - 1) * binomial(m, p, 1 - p) @ paid / (k * (1 - p) ** (k - 1))
        assert lost == pytest.approx(want, abs=6e-4)


@pytest.mark.parametrize(
    ("p", "stale", "want"), [(0.005, 0.7, 1.08), (0.02, 0.7, 1.37), (0.005, 2.0, 0.77), (0.02, 2.0, 0.35)]
)
def test_weight_of_pooled_with_a_stale_history(p: float, stale: float, want: float) -> None:
    """n = 16, K = 64, 64 earlier rewards: from the advantages on every count, by two binomials."""
    n, k, m = 16, 64, 64
    others, past = np.arange(n), np.arange(m + 1)
    shape = (n, m + 1)
    y = np.broadcast_to((np.arange(m) < past[:, None]).astype(float), (*shape, m))
    group = np.broadcast_to((np.arange(n - 1) < others[:, None])[:, None], (*shape, n - 1)).astype(float)
    won, lost = (
        pooled(NUMPY, np.concatenate([np.full((*shape, 1), own), group], -1), k, y, np.ones_like(y))[..., 0]
        for own in (1.0, 0.0)
    )
    found = binomial(n - 1, p, 1 - p) @ (won - lost) @ binomial(m, stale * p, 1 - stale * p)
    assert found / (k * (1 - p) ** (k - 1)) == pytest.approx(want, abs=6e-3)
