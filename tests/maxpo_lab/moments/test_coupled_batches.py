"""Batches whose prompts are coupled, against all outcomes of all rollouts of all prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from brute_force import Policy, sequences, softmax_policy

import maxpo_lab as ml
from maxpo_lab.moments.batches.ways import base_rule, shared_sum
from maxpo_lab.rules.errors import CoupledRowsError, RandomRuleError, StatefulRuleError

N, K = 3, 2
#: Three prompts of three arms with 0/1 rewards, in one parameter space.
PROMPTS = (
    softmax_policy((0.4, -1.0, 0.2), (0.0, 1.0, 0.0)),
    softmax_policy((0.4, 0.5, -0.7), (1.0, 0.0, 0.0)),
    softmax_policy((-2.0, 0.1, 0.3), (1.0, 0.0, 1.0)),
)
GRADED = (
    softmax_policy((0.4, -1.0, 0.2), (0.0, 1.0, 0.5)),
    softmax_policy((0.4, 0.5, -0.7), (1.0, 0.0, 0.0)),
)
SUMS = ("trl-batch", "verl-gpg", "flash-reinforce")
SCALES = (
    "whitened:maxpo",
    "whitened:rloo",
    "whitened:scale=std1,mean=1:batch-mean",
    "whitened:eps=0.1:pkpo-loo1",
    "whitened:eps=0,add=0.3:maxpo",
    "whitened:scale=std0,eps=0:grpo",
)
OTHERS = ("jspo", "jspo-plus-plus", "whitened:scale=std1,mean=1:pkpo-loo1")


@dataclass(frozen=True, eq=False)
class Truth:
    """Moments of a batch gradient from its definition."""

    mean: np.ndarray
    trace: float
    within: float
    across: float
    each: np.ndarray
    dead: float


@cache
def outcomes(graded: bool, places: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chance (B,), rewards (B, P, n) and scores (B, P, n, d) of all outcomes of these prompts."""
    prompts = [(GRADED if graded else PROMPTS)[each] for each in places]
    found = [sequences(prompt, N) for prompt in prompts]
    picks = np.array(list(product(*(range(len(chance)) for _, chance in found))))
    chance = np.prod([found[j][1][picks[:, j]] for j in range(len(prompts))], axis=0)
    rolled = [found[j][0][picks[:, j]] for j in range(len(prompts))]
    rewards = np.stack([prompt.rewards[each] for prompt, each in zip(prompts, rolled, strict=True)], axis=1)
    scores = np.stack([prompt.scores[each] for prompt, each in zip(prompts, rolled, strict=True)], axis=1)
    return chance, rewards, scores


def brute_force(rule: Callable[[Any, int], Any], *, graded: bool = False, places: tuple[int, ...]) -> Truth:
    chance, rewards, scores = outcomes(graded, places)
    states, index = np.unique(rewards, axis=0, return_inverse=True)
    given = np.stack([np.asarray(rule(batch, K)) for batch in states])[index.ravel()]
    g = np.einsum("bpn,bpnd->bpd", given, scores) / N
    means = np.einsum("b,bpd->pd", chance, g)
    off = g - means
    size = len(places)
    whole = float(chance @ np.sum(off.sum(axis=1) ** 2, axis=1)) / size**2
    within = float(chance @ np.sum(off**2, axis=(1, 2))) / size**2
    return Truth(
        mean=means.mean(axis=0),
        trace=whole,
        within=within,
        across=whole - within,
        each=means,
        dead=float(chance @ (abs(given).max(axis=(1, 2)) == 0)),
    )


def levels(prompts: Sequence[Policy]) -> list[ml.RewardLevels]:
    return [prompt.levels() for prompt in prompts]


def check(found: ml.BatchMoments, truth: Truth, tolerance: float) -> None:
    size = max(1.0, np.abs(truth.each).max())
    np.testing.assert_allclose(found.mean, truth.mean, rtol=0, atol=tolerance * size)
    for moments, mean in zip(found.prompts, truth.each, strict=True):
        np.testing.assert_allclose(moments.mean, mean, rtol=0, atol=tolerance * size)
    assert found.trace_covariance == pytest.approx(truth.trace, rel=tolerance)
    assert found.within_prompt_trace == pytest.approx(truth.within, rel=tolerance)
    assert found.across_prompt_trace == pytest.approx(
        truth.across, rel=tolerance, abs=tolerance * truth.trace
    )
    assert found.between_prompt_trace == 0
    assert found.dead_batch_probability == pytest.approx(truth.dead, rel=1e-9, abs=1e-15)
    assert found.standard_errors is None


@pytest.mark.parametrize(
    ("name", "method", "tolerance"),
    [(name, "shared sum", 1e-12) for name in SUMS]
    + [(name, "quadrature", 1e-12) for name in SCALES]  # 1e-9 is asked for
    + [(name, "product", 1e-12) for name in (*SUMS, *SCALES[:3], *OTHERS)],
)
def test_every_outcome_of_three_prompts(name: str, method: str, tolerance: float) -> None:
    truth = brute_force(ml.get_estimator(name), places=(0, 1, 2))
    found = ml.batch_moments(name, levels(PROMPTS), n=N, k=K, batch=None, method=method)
    assert found.method == method
    check(found, truth, tolerance)
    assert ml.batch_moments(name, levels(PROMPTS), n=N, k=K, batch=None).method == (
        "product" if name in OTHERS else "shared sum" if name in SUMS else "quadrature"
    )


@pytest.mark.parametrize(("name", "method"), [("whitened:maxpo", "quadrature"), ("trl-batch", "product")])
def test_graded_rewards(name: str, method: str) -> None:
    """Other levels on each prompt: the quadrature takes any, a sum of rewards tells two levels apart."""
    truth = brute_force(ml.get_estimator(name), graded=True, places=(0, 1))
    found = ml.batch_moments(name, levels(GRADED), n=N, k=K, batch=None)
    assert found.method == method
    check(found, truth, 1e-12)


@pytest.mark.parametrize("name", ["trl-batch", "whitened:rloo", "jspo"])
def test_side_by_side_prompts_have_no_covariance_across(name: str) -> None:
    apart = ml.side_by_side(levels(PROMPTS))
    found = ml.batch_moments(name, apart, n=N, k=K, batch=None)
    together = ml.batch_moments(name, levels(PROMPTS), n=N, k=K, batch=None)
    assert abs(found.across_prompt_trace) < 1e-14 * found.trace_covariance
    assert found.within_prompt_trace == pytest.approx(together.within_prompt_trace, rel=1e-12)
    assert abs(together.across_prompt_trace) > 1e-3 * together.trace_covariance


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("trl-batch", "shared sum"),
        ("flash-reinforce", "shared sum"),
        ("whitened:maxpo", "quadrature"),
        ("jspo-plus-plus", "product"),
        ("verl-gpg", "product"),
    ],
)
def test_prompts_that_are_drawn(name: str, method: str) -> None:
    """Two places, any of three prompts at each: the mean over all nine pairs of prompts."""
    rule = ml.get_estimator(name)
    pairs = list(product(range(3), repeat=2))
    truths = [brute_force(rule, places=pair) for pair in pairs]
    mean = np.mean([truth.mean for truth in truths], axis=0)
    trace = np.mean([truth.trace + np.sum((truth.mean - mean) ** 2) for truth in truths])
    found = ml.batch_moments(name, levels(PROMPTS), n=N, k=K, batch=2, method=method)
    np.testing.assert_allclose(found.mean, mean, rtol=0, atol=1e-12)
    assert found.trace_covariance == pytest.approx(trace, rel=1e-12)
    for prompt in range(3):
        own = np.mean([t.each[0] for t, pair in zip(truths, pairs, strict=True) if pair[0] == prompt], axis=0)
        np.testing.assert_allclose(found.prompts[prompt].mean, own, rtol=0, atol=1e-12)
    assert found.between_prompt_trace > 0
    assert found.dead_batch_probability == pytest.approx(np.mean([t.dead for t in truths]), rel=1e-9)


@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("name", ["jspo-plus-plus", "trl-batch", "whitened:maxpo"])
def test_conditional_estimates_cover_the_truth(name: str, batch: int | None) -> None:
    """Scale, weights, mean and trace within 4 standard errors: false alarms once in 5,000 runs."""
    exact = ml.batch_moments(name, levels(PROMPTS), n=N, k=K, batch=batch)
    found = ml.batch_moments(
        name, levels(PROMPTS), n=N, k=K, batch=batch, method="conditional", draws=400, seed=3
    )
    errors = found.standard_errors
    assert errors is not None
    assert found.method == "conditional"
    assert abs(found.scale - exact.scale) <= 4 * errors.scale
    assert (abs(found.weights - exact.weights) <= 4 * errors.weights).all()
    assert abs(found.trace_covariance - exact.trace_covariance) <= 4 * errors.trace_covariance
    assert np.linalg.norm(found.mean - exact.mean) <= 4 * errors.mean
    assert 0 < errors.trace_covariance < 0.1 * exact.trace_covariance
    assert found.bias_resolution >= 4 * errors.mean / np.linalg.norm(exact.gradient)
    again = ml.batch_moments(
        name, levels(PROMPTS), n=N, k=K, batch=batch, method="conditional", draws=400, seed=3
    )
    assert again.trace_covariance == found.trace_covariance


def test_standard_errors_fall_with_the_root_of_the_draws() -> None:
    few, many = (
        ml.batch_moments(
            "jspo-plus-plus", levels(PROMPTS), n=N, k=K, batch=None, method="conditional", draws=draws
        ).standard_errors
        for draws in (100, 1600)
    )
    assert few is not None
    assert many is not None
    assert few.trace_covariance / many.trace_covariance == pytest.approx(4, rel=0.5)
    assert few.mean / many.mean == pytest.approx(4, rel=0.5)


def test_a_rule_of_groups_is_the_sum_of_its_prompts() -> None:
    truth = brute_force(ml.get_estimator("maxpo"), places=(0, 1, 2))
    found = ml.batch_moments("maxpo", levels(PROMPTS), n=N, k=K, batch=None)
    assert found.method == "independent"
    check(found, truth, 1e-12)
    assert found.across_prompt_trace == 0


# Difficulty ----------------------------------------------------------------------------------------------


def bandits(prompts: int) -> tuple[ml.RewardLevels, ...]:
    """0/1 bandits of ten arms, success log-spaced from .003 to .9, each with parameters of its own."""
    good = np.arange(10) < 5
    rates = np.geomspace(0.003, 0.9, prompts)
    return ml.side_by_side(
        [ml.RewardLevels.from_softmax(np.where(good, np.log(p / (1 - p)), 0.0), good) for p in rates]
    )


@pytest.mark.parametrize(
    ("n", "angles"), [(8, {2: 0.27, 8: 0.096, 32: 0.014}), (16, {2: 1.16, 8: 0.040, 32: 0.008})]
)
def test_whitening_turns_small_batches(n: int, angles: dict[int, float]) -> None:
    for prompts, expected in angles.items():
        found = ml.batch_moments("whitened:maxpo", bandits(prompts), n=n, k=4, batch=None)
        digits = 0.005 if expected > 0.1 else 0.0005
        assert found.direction_error == pytest.approx(expected, abs=1.01 * digits)
        plain = ml.batch_moments("maxpo", bandits(prompts), n=n, k=4, batch=None)
        assert plain.direction_error <= 1e-10


def test_batch_deviation_of_rewards_turns_little() -> None:
    for prompts in (2, 8):
        found = ml.batch_moments("trl-batch", bandits(prompts), n=8, k=1, batch=None, target="mean")
        assert found.direction_error < 0.03


def test_jspo_is_unbiased_and_jspo_plus_plus_is_at_order_one_over_p() -> None:
    sizes = {}
    for prompts in (2, 3, 4):
        policies = bandits(prompts)
        exact = ml.batch_moments("jspo", policies, n=3, k=1, batch=None, target="mean")
        assert exact.method == "product"
        assert exact.relative_bias <= max(1e-12, exact.bias_resolution)
        biased = ml.batch_moments("jspo-plus-plus", policies, n=3, k=1, batch=None, target="mean")
        sizes[prompts] = biased.relative_bias
    assert sizes[2] > sizes[3] > sizes[4] > 0.01


def test_a_large_batch_is_exact_by_either_sum() -> None:
    """128 prompts of 16: every weight, by the quadrature, against sampled batches."""
    policies = bandits(128)
    found = ml.batch_moments("whitened:maxpo", policies, n=16, k=4, batch=None)
    rng = np.random.default_rng(1)
    rates = np.array([levels.probabilities[1] for levels in policies])
    c = rng.binomial(16, rates, (4_000, 128))
    rewards = (np.arange(16) < c[..., None]).astype(float)
    given = np.concatenate([ml.get_estimator("whitened:maxpo")(part, 4) for part in np.split(rewards, 8)])
    # f_x of E[g_x] = f_x grad p_x, from E[sum of the winners' A] - p E[sum of all A] = n p (1-p) f_x.
    winners = np.sum(given * rewards, axis=2)
    each = winners / (16 * rates * (1 - rates))
    weight = each / (4 * (1 - rates) ** 3)
    error = weight.std(axis=0) / np.sqrt(len(weight))
    assert (abs(weight.mean(axis=0) - found.weights) <= 5 * error).all()


# What is said of a rule is checked -----------------------------------------------------------------------


def rms(rewards: np.ndarray, k: int) -> np.ndarray:
    own = rewards - rewards.mean(axis=-1, keepdims=True)
    return own / np.sqrt((own**2).mean() + 1e-8)


def by_live_groups(rewards: np.ndarray, k: int) -> np.ndarray:
    own = rewards - rewards.mean(axis=-1, keepdims=True)
    return own * len(rewards) / max(1, (abs(own).max(axis=1) > 0).sum())


def in_float32(rewards: np.ndarray, k: int) -> np.ndarray:
    return np.asarray(rms(rewards.astype(np.float32), k))


def test_a_users_rule_is_what_the_catalogue_has() -> None:
    own = ml.batch_moments(
        ml.batch_rule(rms, statistic="advantage_rms"), levels(PROMPTS), n=N, k=1, batch=None
    )
    ours = ml.batch_moments("whitened:batch-mean", levels(PROMPTS), n=N, k=1, batch=None)
    assert own.method == ours.method == "quadrature"
    assert own.trace_covariance == pytest.approx(ours.trace_covariance, rel=1e-12)
    single = ml.batch_moments(
        ml.batch_rule(in_float32, statistic="advantage_rms"), levels(PROMPTS), n=N, k=1, batch=None
    )
    assert single.trace_covariance == pytest.approx(ours.trace_covariance, rel=1e-5)


@pytest.mark.parametrize(
    ("function", "statistic"),
    [
        (by_live_groups, "reward_sum"),
        (by_live_groups, "advantage_rms"),
        (rms, "reward_sum"),
        (ml.get_estimator("trl-batch"), "advantage_rms"),
        (ml.get_estimator("jspo"), "reward_sum"),
        (ml.get_estimator("jspo"), "advantage_rms"),
        (lambda rewards, k: rms(rewards, k) + 1e-4, "advantage_rms"),
    ],
)
def test_a_statistic_that_is_not_the_rules_is_refused(function: Any, statistic: Any) -> None:
    rule = ml.batch_rule(function, statistic=statistic)
    with pytest.raises(CoupledRowsError, match=f"says statistic='{statistic}'"):
        ml.batch_moments(rule, levels(PROMPTS), n=N, k=1, batch=None)
    assert (
        ml.batch_moments(ml.batch_rule(function), levels(PROMPTS), n=N, k=1, batch=None).method == "product"
    )


def clipped(at: float) -> Any:
    def rule(rewards: np.ndarray, k: int) -> np.ndarray:
        return np.clip(rms(rewards, k), -at, at)

    return rule


def two_alive(rewards: np.ndarray, k: int) -> np.ndarray:
    own = rewards - rewards.mean(axis=-1, keepdims=True)
    return own * ((abs(own).max(axis=1) > 0).sum() >= 2)


def by_arrangement_of_few(rewards: np.ndarray, k: int) -> np.ndarray:
    own = rewards - rewards.mean(axis=-1, keepdims=True)
    return own * (1 + (0 < rewards.sum() <= 4) * rewards.max(axis=1).sum())


@pytest.mark.parametrize(
    ("function", "statistic"),
    [
        (clipped(8), "advantage_rms"),
        (clipped(10), "advantage_rms"),
        (two_alive, "reward_sum"),
        (by_arrangement_of_few, "reward_sum"),
    ],
)
def test_what_shows_on_rare_batches_alone_is_seen(function: Any, statistic: Any) -> None:
    """Sixteen hard prompts, of which mostly none or one has a success."""
    policies = bandits(16)[:4] * 4
    with pytest.raises(CoupledRowsError, match=f"says statistic='{statistic}'"):
        ml.batch_moments(ml.batch_rule(function, statistic=statistic), policies, n=8, k=1, batch=None)


@pytest.mark.parametrize("options", ["add=100", "add=1e4", "add=1e8", "eps=1e4", "eps=1e12"])
def test_large_epsilons_lose_no_digit(options: str) -> None:
    name = f"whitened:{options}:rloo"
    one, two = (
        ml.batch_moments(name, levels(PROMPTS[:2]), n=N, k=K, batch=None, method=method)
        for method in ("quadrature", "product")
    )
    assert one.trace_covariance == pytest.approx(two.trace_covariance, rel=1e-9)
    np.testing.assert_allclose(one.mean, two.mean, rtol=1e-9, atol=1e-9 * abs(two.mean).max())


def test_both_epsilons_at_once_are_no_single_scale() -> None:
    assert ml.get_estimator("whitened:eps=1e-8,add=1e-4:rloo").statistic is None
    assert ml.get_estimator("whitened:add=1e-4:rloo").name == "whitened:eps=0,add=0.0001:rloo"
    assert (
        ml.batch_moments("whitened:add=1e-4:rloo", bandits(16), n=8, k=1, batch=None).method == "quadrature"
    )


def by_place(rewards: np.ndarray, k: int) -> np.ndarray:
    return rewards - rewards[0].mean()


def by_order(rewards: np.ndarray, k: int) -> np.ndarray:
    return rewards - rewards.mean() + 0.1 * (np.arange(rewards.shape[1]) == 0)


def test_misbehaved_rules_are_refused() -> None:
    rng, calls = np.random.default_rng(0), [0]

    def noisy(rewards: np.ndarray, k: int) -> np.ndarray:
        return rewards - rewards.mean() + rng.normal(size=rewards.shape)

    def counting(rewards: np.ndarray, k: int) -> np.ndarray:
        calls[0] += 1
        return rewards - rewards.mean() * calls[0]

    for function, error, text in (
        (noisy, RandomRuleError, "deterministic"),
        (counting, StatefulRuleError, "memory_rule"),
        (by_place, CoupledRowsError, "order of the prompts"),
        (by_order, CoupledRowsError, "order of the rollouts"),
    ):
        with pytest.raises(error, match=text):
            ml.batch_moments(ml.batch_rule(function), levels(PROMPTS), n=N, k=1, batch=None)


def test_a_rule_that_breaks_ties_by_index_passes() -> None:
    """Correct and foreign-looking: the winner that comes first gets it all, which changes no sum by level."""

    def first_winner(rewards: np.ndarray, k: int) -> np.ndarray:
        found = np.zeros_like(rewards)
        found[np.arange(len(rewards)), rewards.argmax(axis=1)] = rewards.max(axis=1) / (1 + rewards.sum())
        return found

    rule = ml.batch_rule(first_winner, statistic="reward_sum")
    found = ml.batch_moments(rule, levels(PROMPTS), n=N, k=1, batch=None)
    check(found, brute_force(first_winner, places=(0, 1, 2)), 1e-12)


def test_bad_arguments_are_named() -> None:
    given = levels(PROMPTS)
    for settings, fragment in (
        ({"estimator": "jspo", "prompts": given[:1], "batch": None}, "at least 2 prompts"),
        ({"estimator": "jspo", "batch": 1}, "at least 2 prompts"),
        ({"estimator": "trl-batch", "method": "quadrature"}, "statistic='advantage_rms'"),
        ({"estimator": "trl-batch", "method": "exact"}, "method='exact'"),
        ({"estimator": "maxpo", "method": "product"}, "rule of groups"),
        ({"estimator": "trl-batch", "method": "conditional", "draws": 1}, "draws=1"),
        ({"estimator": "trl-batch", "method": "product", "max_states": 10}, "64 states, more than 10"),
        ({"estimator": "trl-batch", "state": 1}, "rules with memory"),
        ({"estimator": "whitened:maxpo", "k": 3}, "k=3"),
    ):
        arguments = {"prompts": given, "n": N, "k": K, "batch": None} | settings
        with pytest.raises(ValueError, match=fragment):
            ml.batch_moments(**arguments)
    with pytest.raises(ValueError, match="3 reward levels"):
        ml.batch_moments("trl-batch", levels(GRADED), n=N, k=K, batch=None, method="shared sum")


# Mutants that must be caught -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "name", "broken"),
    [
        (shared_sum, "all_but_each", lambda laws, *_, alike: [np.convolve(laws[0], laws[1])] * 3),
        (base_rule.Scale, "__call__", lambda self, total: np.ones_like(total)),
    ],
    ids=["the others of the third for all", "no scale"],
)
def test_mutants_are_caught(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, broken: Callable[..., Any]
) -> None:
    monkeypatch.setattr(module, name, broken)
    rule = "flash-reinforce" if module is shared_sum else "whitened:maxpo"
    try:
        found = ml.batch_moments(rule, levels(PROMPTS), n=N, k=K, batch=None)
    except CoupledRowsError:
        return
    with pytest.raises(AssertionError):
        check(found, brute_force(ml.get_estimator(rule), places=(0, 1, 2)), 1e-9)
