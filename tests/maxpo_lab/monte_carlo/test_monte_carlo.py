"""Sampled moments: they agree with the exact ones, their errors are honest, and their bits are fixed."""

from __future__ import annotations

import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import array_api_compat
import numpy as np
import pytest
import torch
from backends import DEVICES, Backend
from scipy.special import ndtri

import maxpo_lab as ml
from envs import SparseBandit
from envs.bandits.categorical_sampling import CategoricalSampler
from envs.bandits.categorical_scores import CategoricalScores
from maxpo_lab.core import devices
from maxpo_lab.kernels.engine import rank_linear
from maxpo_lab.monte_carlo import (
    Estimate,
    Experiment,
    SampledMoments,
    ShardTree,
    Until,
    batched_rules,
    experiment,
    finish,
    measure_shard,
    monte_carlo_moments,
    shard_sizes,
)

GRADED = {"arms": 30, "good": 7, "success": 0.2, "grades": (0.25, 0.5, 1.0)}
#: One false alarm in a million runs of each test that has one.
ALARM = 1e-6
#: Figures of ``RuleMoments`` that ``Moments`` has too, as functions of the mean of some number a group.
QUANTITIES = (
    "scale",
    "trace_covariance",
    "along_gradient_variance",
    "advantage_rms",
    "snr",
    "dead_group_probability",
)


def bound(comparisons: int) -> float:
    """Standard errors that one of this many normal quantities exceeds with chance ``ALARM``."""
    return float(-ndtri(ALARM / comparisons / 2))


@cache
def bandit(graded: bool = False) -> SparseBandit:
    return SparseBandit(**GRADED) if graded else SparseBandit(arms=20, good=4, success=0.2)


def sample(
    estimators: Any, *, groups: Any, seed: int, n: int = 8, k: int = 3, graded: bool = False, **more: Any
) -> SampledMoments:
    specimen = bandit(graded)
    device = more.get("device", "cpu")
    sampler = specimen.sampler(specimen.theta, device)
    gradient = ml.max_at_k_gradient(specimen.levels(specimen.theta), k)
    settings = {"gradient": gradient, **more}
    return monte_carlo_moments(estimators, sampler, n=n, k=k, groups=groups, seed=seed, **settings)


@cache
def exact(name: str, n: int = 8, k: int = 3, graded: bool = False) -> ml.Moments:
    specimen = bandit(graded)
    return ml.exact_moments(name, specimen.levels(specimen.theta), n=n, k=k)


def usable(graded: bool) -> list[str]:
    """The catalogue as far as it is defined on these rewards."""
    rules = map(ml.get_estimator, ml.list_estimators())
    rewards = np.unique(bandit(graded).rewards)[None]
    return [rule.name for rule in rules if not rule.why_not(8, 3) and not rule.why_not_rewards(rewards)]


def draws(result: SampledMoments) -> Any:
    """Everything measured, as bytes."""
    return result.total.to_bytes()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("graded", [False, True], ids=["binary", "graded"])
def test_the_catalogue_agrees_with_exact_moments(graded: bool, device: str) -> None:
    names = usable(graded)
    result = sample(names, groups=20_000, seed=2, graded=graded, device=device)
    reach = bound(len(names) * (len(QUANTITIES) + 1))
    for name in names:
        found, truth = result[name], exact(name, graded=graded)
        for quantity in QUANTITIES:
            got, expected = getattr(found, quantity), getattr(truth, quantity)
            assert abs(got.value - expected) <= reach * got.standard_error, (name, quantity, got, expected)
        error = found.bias_squared.standard_error
        # Weighted chi-squares have a heavier right tail than the normal: 1.6 times as far at this rate
        # for four and more degrees of freedom, by Laurent and Massart's bound.
        assert abs(found.bias_squared.value - truth.bias**2) <= 1.6 * reach * error, name
        sums = found.advantage_sum_rms
        # A centered rule's sums are its rounding, other in torch than in NumPy.
        rounding = 64 * 2.0**-52 * 8 * truth.advantage_rms
        assert abs(sums.value - truth.advantage_sum_rms) <= reach * sums.standard_error + rounding, name
        assert found.advantage_sum_max <= truth.advantage_sum_max * (1 + 1e-12) + 8 * rounding


def test_a_biased_rule_is_seen_and_an_unbiased_one_is_not() -> None:
    result = sample(["maxpo", "rloo", "grpo", "pkpo-loo1"], groups=40_000, seed=0)
    for name in ("rloo", "grpo"):
        found, truth = result[name], exact(name)
        assert found.bias_p_value < ALARM
        low, high = found.relative_bias.interval(1 - ALARM)
        assert low <= truth.relative_bias <= high
        assert found.bias_resolution < truth.relative_bias
        # Both point along the gradient, so an angle of some standard errors is noise.
        assert abs(found.direction_error.value) <= 5 * found.direction_error.standard_error
    for name in ("maxpo", "pkpo-loo1"):
        assert result[name].bias_p_value > ALARM
        assert result[name].relative_bias.value < 3 * result[name].bias_resolution


def test_the_angle_of_a_turned_rule() -> None:
    truth = ml.exact_moments("max-minus-second", bandit(True).levels(bandit(True).theta), n=8, k=2)
    assert truth.direction_error > 0.1
    found = sample("max-minus-second", groups=40_000, seed=1, k=2, graded=True)["max-minus-second"]
    low, high = found.direction_error.interval(1 - ALARM)
    assert low <= truth.direction_error <= high
    assert found.direction_error.standard_error < 0.02


@cache
def replicates(groups: int, seeds: int) -> list[SampledMoments]:
    return [sample(["maxpo", "pkpo-loo1"], groups=groups, seed=seed) for seed in range(seeds)]


def deviations(quantity: str, groups: int, seeds: int) -> np.ndarray:
    """Errors of a quantity over its standard errors, one a seed."""
    found = [getattr(result["maxpo"], quantity) for result in replicates(groups, seeds)]
    return np.array(
        [(each.value - getattr(exact("maxpo"), quantity)) / each.standard_error for each in found]
    )


def check_standard_error(z: np.ndarray) -> None:
    """The mean square of R standard normals is 1 to ``sqrt(2/R)`` each standard deviation."""
    assert abs(np.mean(z**2) - 1) <= bound(1) * np.sqrt(2 / len(z))
    inside = np.mean(np.abs(z) <= ndtri(0.975))
    assert abs(inside - 0.95) <= bound(1) * np.sqrt(0.05 * 0.95 / len(z))


@pytest.mark.integration
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_standard_errors_are_honest(quantity: str) -> None:
    check_standard_error(deviations(quantity, 1000, 300))


@pytest.mark.integration
@pytest.mark.parametrize("factor", [2**0.5, 0.5**0.5], ids=["too small by sqrt 2", "too large by sqrt 2"])
@pytest.mark.parametrize("quantity", ["scale", "trace_covariance"])
def test_a_wrong_standard_error_is_caught(quantity: str, factor: float) -> None:
    with pytest.raises(AssertionError):
        check_standard_error(factor * deviations(quantity, 1000, 300))


@pytest.mark.parametrize("quantity", ["scale", "trace_covariance"])
def test_intervals_cover_what_they_say(quantity: str) -> None:
    truth = getattr(exact("maxpo"), quantity)
    intervals = [getattr(result["maxpo"], quantity).interval() for result in replicates(1000, 300)]
    covered = np.mean([low <= truth <= high for low, high in intervals])
    assert abs(covered - 0.95) <= bound(1) * np.sqrt(0.05 * 0.95 / 300)


def test_differences_and_ratios_are_paired() -> None:
    truth = {name: exact(name).trace_covariance for name in ("maxpo", "pkpo-loo1")}
    difference, ratio = truth["maxpo"] - truth["pkpo-loo1"], truth["maxpo"] / truth["pkpo-loo1"]
    found = [result.difference("maxpo", "pkpo-loo1") for result in replicates(1000, 300)]
    check_standard_error(np.array([(each.value - difference) / each.standard_error for each in found]))
    found = [result.ratio("maxpo", "pkpo-loo1") for result in replicates(1000, 300)]
    check_standard_error(np.array([(each.value - ratio) / each.standard_error for each in found]))
    result = replicates(1000, 300)[0]
    alone = [result[name].scale.standard_error for name in ("maxpo", "pkpo-loo1")]
    assert result.difference("maxpo", "pkpo-loo1", "scale").standard_error < 0.5 * np.hypot(*alone)
    same = result.difference("maxpo", "maxpo")
    assert (same.value, same.standard_error) == (0.0, 0.0)


def test_the_p_value_of_an_unbiased_rule_is_uniform() -> None:
    p = np.array([result["maxpo"].bias_p_value for result in replicates(1000, 300)])
    for level in (0.05, 0.5):
        assert abs(np.mean(p < level) - level) <= bound(2) * np.sqrt(level * (1 - level) / len(p))


@pytest.mark.integration
@pytest.mark.parametrize("quantity", ["scale", "trace_covariance"])
def test_errors_fall_with_the_root_of_the_groups(quantity: str) -> None:
    sizes, seeds = np.array([128, 512, 2048, 8192]), 40
    truth = getattr(exact("maxpo"), quantity)
    errors = [
        [
            getattr(sample("maxpo", groups=int(size), seed=1000 + s)["maxpo"], quantity).value - truth
            for s in range(seeds)
        ]
        for size in sizes
    ]
    rms = np.sqrt(np.mean(np.square(errors), axis=1))
    slope = np.polyfit(np.log(sizes), np.log(rms), 1)[0]
    # The log of a root mean square of R normals varies by 1/sqrt(2R), the slope by that over the spread.
    spread = np.sqrt(np.sum((np.log(sizes) - np.log(sizes).mean()) ** 2))
    assert abs(slope + 0.5) <= bound(1) / np.sqrt(2 * seeds) / spread


@cache
def small_samples() -> np.ndarray:
    """Trace covariances estimated from 4 groups, over the exact one."""
    found = [sample("maxpo", groups=4, seed=seed)["maxpo"].trace_covariance.value for seed in range(500)]
    return np.array(found) / exact("maxpo").trace_covariance


def check_unbiased(ratios: np.ndarray) -> None:
    assert abs(ratios.mean() - 1) <= bound(1) * ratios.std(ddof=1) / np.sqrt(len(ratios))


@pytest.mark.integration
def test_variances_are_unbiased_in_small_samples_too() -> None:
    check_unbiased(small_samples())


@pytest.mark.integration
def test_a_variance_without_bessels_correction_is_caught() -> None:
    with pytest.raises(AssertionError):
        check_unbiased(small_samples() * 3 / 4)


@pytest.mark.integration
def test_squares_of_the_covariance_are_unbiased() -> None:
    specimen = bandit(True)
    levels = specimen.levels(specimen.theta, covariances="full")
    moments = ml.exact_moments("pkpo-loo1", levels, n=8, k=3, covariance=True)
    truth = float(np.sum(moments.covariance**2))
    # Samples of 160 groups: 16 batches of 10.
    found = [sample("pkpo-loo1", groups=160, seed=s, graded=True).total.spread.value[0] for s in range(250)]
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(np.mean(found) - truth) <= bound(1) * error
    assert error < 0.1 * truth


def test_intervals_by_logarithm_and_not() -> None:
    assert Estimate(2.0, 0.5).interval() == pytest.approx((2 - 0.98, 2 + 0.98), abs=1e-3)
    low, high = Estimate(2.0, 0.5, positive=True).interval()
    assert low * high == pytest.approx(4.0)
    assert high == pytest.approx(2 * np.exp(1.95996 / 4), rel=1e-5)
    assert Estimate(0.0, 0.0, positive=True).interval(0.5) == (0.0, 0.0)
    with pytest.raises(ValueError, match="level=95: must be between 0 and 1"):
        Estimate(1.0, 1.0).interval(95)


def test_rare_success_gives_dead_groups() -> None:
    rare = SparseBandit(arms=100, good=10, success=1e-6)
    result = monte_carlo_moments("maxpo", rare.sampler(rare.theta), n=8, k=3, groups=2000, seed=0)["maxpo"]
    assert result.dead_group_probability.value == 1
    assert result.dead_group_probability.interval()[0] < 1 - 8e-6
    assert result.informative_groups == 0
    assert (result.trace_covariance.value, result.advantage_rms.value) == (0, 0)
    assert np.isnan(result.snr.value)


# ---------------------------------------------------------------------------------------- bits


def several_shards(**more: Any) -> SampledMoments:
    # 3.5 shards of 16 batches of 1024 groups.
    return sample(["maxpo", "grpo"], groups=57_344, seed=5, n=2, k=1, **more)


def test_no_number_of_workers_changes_a_bit() -> None:
    expected = draws(several_shards())
    for workers in (2, 3):
        assert draws(several_shards(workers=workers)) == expected
    other = sample(["maxpo", "grpo"], groups=57_344, seed=6, n=2, k=1)
    assert draws(other) != expected


def test_threads_of_torch_change_no_bit_and_are_given_back() -> None:
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(draws(several_shards()))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


def settings_of_shards() -> Experiment:
    specimen = bandit()
    gradient = ml.max_at_k_gradient(specimen.levels(specimen.theta), 1)
    sampler = specimen.sampler(specimen.theta)
    return experiment(["maxpo", "grpo"], sampler, n=2, k=1, groups=57_344, seed=5, gradient=gradient)


def test_shards_may_be_measured_anywhere_in_any_order() -> None:
    settings = settings_of_shards()
    sizes = shard_sizes(settings, 57_344)
    assert sizes == [16_384, 16_384, 16_384, 8192]
    tree = ShardTree()
    for shard in (2, 3, 0, 1):
        tree.add(measure_shard(settings, shard, sizes[shard]))
    result = finish(tree.total(), settings.gradient)
    assert draws(result) == draws(several_shards())
    assert result["maxpo"].scale == several_shards()["maxpo"].scale


def test_more_groups_begin_with_the_same_shards() -> None:
    settings = settings_of_shards()
    longer = experiment(
        ["maxpo", "grpo"], settings.sampler, n=2, k=1, groups=10**6, seed=5, gradient=settings.gradient
    )
    assert measure_shard(longer, 1).to_bytes() == measure_shard(settings, 1).to_bytes()


def test_a_rule_does_not_see_its_company() -> None:
    together, alone = several_shards(), sample("grpo", groups=57_344, seed=5, n=2, k=1)
    assert together["grpo"].trace_covariance.value == pytest.approx(
        alone["grpo"].trace_covariance.value, rel=1e-13
    )
    assert together["grpo"].scale.value == pytest.approx(alone["grpo"].scale.value, rel=1e-13)


def test_a_worker_that_fails_ends_the_run() -> None:
    def fails(rewards: torch.Tensor, k: int) -> torch.Tensor:
        if threading.current_thread() is not threading.main_thread():  # where it is admitted
            raise RuntimeError("on purpose")
        return rewards

    running = threading.active_count()
    with pytest.raises(RuntimeError, match="on purpose"):
        sample(fails, groups=57_344, seed=5, n=2, k=1, workers=2)
    assert threading.active_count() == running


def test_streams_are_numpys_mersenne_twister() -> None:
    drawn = torch.rand(500, dtype=torch.float64, generator=devices.stream(5, 3, torch.device("cpu")))
    witness = np.random.MT19937()
    key = np.random.SeedSequence(5, spawn_key=(3,)).generate_state(624, np.uint32)
    witness.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": 624}}
    words = witness.random_raw(1000).astype(np.uint64)
    # Two words of 32 bits a number, of which the lower 53 count.
    joined = (words[::2] << np.uint64(32) | words[1::2]) & np.uint64(2**53 - 1)
    np.testing.assert_array_equal(drawn.numpy(), joined.astype(float) * 2.0**-53)


@pytest.mark.parametrize("device", DEVICES)
def test_every_shard_and_seed_has_a_stream_of_its_own(device: str) -> None:
    where = devices.as_device(device)
    pairs = [(seed, shard) for seed in (0, 1, 2**32, 2**70) for shard in range(5)]
    firsts = {
        torch.rand(4, dtype=torch.float64, device=where, generator=devices.stream(*pair, where))
        .cpu()
        .numpy()
        .tobytes()
        for pair in pairs
    }
    assert len(firsts) == len(pairs)


def test_operations_that_depend_on_timing_are_errors_on_a_gpu() -> None:
    """The settings are the process's, so no GPU is needed to see them; put_ is such an operation anywhere."""
    before = torch.are_deterministic_algorithms_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    there = torch.zeros(5)
    with devices.reproducible(torch.device("cuda")):
        with pytest.raises(UserWarning, match="put_ does not have a deterministic implementation"):
            there.put_(torch.tensor([1, 2]), torch.ones(2))
        with pytest.raises(UserWarning, match="CuBLAS"):
            warnings.warn("Deterministic behavior was enabled with x, but CuBLAS", stacklevel=1)
        warnings.warn("cumsum_cuda_kernel does not have a deterministic implementation", stacklevel=1)
        assert not torch.utils.deterministic.fill_uninitialized_memory
    assert torch.are_deterministic_algorithms_enabled() == before
    assert torch.utils.deterministic.fill_uninitialized_memory == filled


def test_the_edges_of_a_sampler_do_not_depend_on_its_device() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 10_000))
    rewards = np.zeros(10_000)
    first, *others = [CategoricalSampler.of(logits, rewards, range(3), device=device) for device in DEVICES]
    assert (first.edges.diff() >= 0).all()
    for other in others:
        assert torch.equal(first.edges, other.edges.cpu())


def test_a_generator_of_another_device_is_refused() -> None:
    with pytest.raises(ValueError, match="generator lives on cpu, the sampler on cuda:0: pass"):
        devices.check_generator(torch.Generator(), torch.device("cuda", 0))
    with pytest.raises(TypeError, match="generator=3 is a int"):
        devices.check_generator(3, torch.device("cpu"))


# --------------------------------------------------------------------------------- when to stop


def test_until_stops_at_the_first_look_that_suffices() -> None:
    until = Until(relative_error=0.004, at_most=2_000_000)
    result = sample("maxpo", groups=until, seed=3, n=2, k=1)
    found = result["maxpo"].trace_covariance
    assert found.standard_error <= 0.004 * found.value
    # Looks are after 4, 5, 7, 9, 12, ... shards of 16384 groups.
    shards = result.groups // 16_384
    assert shards in (5, 7, 9, 12, 15, 19, 24)
    before = sample(
        "maxpo", groups=16_384 * {5: 4, 7: 5, 9: 7, 12: 9, 15: 12, 19: 15, 24: 19}[shards], seed=3, n=2, k=1
    )
    found = before["maxpo"].trace_covariance
    assert found.standard_error > 0.004 * found.value
    assert draws(sample("maxpo", groups=until, seed=3, n=2, k=1, workers=2)) == draws(result)


def test_until_does_not_take_silence_for_knowledge() -> None:
    rare = SparseBandit(arms=100, good=10, success=1e-6)
    until = Until(relative_error=0.5, at_most=20_000)
    result = monte_carlo_moments("maxpo", rare.sampler(rare.theta), n=2, k=1, groups=until, seed=0)
    # No group succeeds: the quantity is 0 +- 0.
    assert result["maxpo"].trace_covariance == Estimate(0.0, 0.0, positive=True)
    assert result.groups == 20_000


def test_until_ends_at_its_cap() -> None:
    until = Until(quantity="scale", relative_error=1e-6, at_most=70_001)
    assert sample("maxpo", groups=until, seed=0, n=2, k=1).groups == 70_001


# ------------------------------------------------------------------------------ rules together


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n", [1, 2, 5, 16])
def test_rules_together_equal_each_alone(n: int, device: str) -> None:
    rng = np.random.default_rng(n)
    rewards = torch.tensor(rng.integers(0, 3, (200, n)) / 2.0, device=device)
    k = max(1, n // 2)
    rules = [ml.get_estimator(name) for name in ml.list_estimators()]
    names = [rule.name for rule in rules if not rule.why_not(n, k) and not rule.why_not_rewards(rewards)]
    made = batched_rules.admit(names, n, k, device=rewards.device, batch=200, draw=lambda: rewards)
    together, ranked, order = made(rewards)
    assert torch.equal(ranked, rewards.flatten()[order])
    groups = order[:, 0] // n
    assert torch.equal(order.sort(dim=-1).values, n * groups[:, None] + torch.arange(n, device=device))
    assert len(set(groups.tolist())) == len(groups)
    assert rewards.any(dim=-1).sum() == ranked.any(dim=-1).sum()  # at most zeros are left out
    assert (ranked.diff(dim=-1) >= 0).all()
    for name, found in zip(names, together, strict=True):
        # Rewards of size 1, n of them.
        close = {"rtol": 0, "atol": 8 * n * 2.0**-52}
        rule = ml.get_estimator(name)
        # A rule that depends on the order has seen the group as it came.
        want = rule(ranked, k) if rule.claims.equivariant else rule(rewards, k).flatten()[order]
        close["atol"] *= 1 if rule.claims.equivariant else 16  # of advantages up to 16
        torch.testing.assert_close(found, want, **close, msg=name)


def test_the_engine_takes_several_rules_from_one_sort(backend: Backend) -> None:
    rewards = backend.array(np.random.default_rng(0).integers(0, 4, (2, 30, 6)) / 3)
    rules = [ml.get_estimator(name) for name in ("pkpo-s", "maxpo", "reinforce", "pkpo-loo")]
    xp = array_api_compat.array_namespace(rewards)
    together = rank_linear(xp, rewards, tuple((rule, 2) for rule in rules))
    assert backend.made(together, "float64")
    for rule, found in zip(rules, backend.numpy(together), strict=True):
        np.testing.assert_array_equal(found, backend.numpy(rule(rewards, 2)))


def test_names_come_from_the_rules_or_the_caller() -> None:
    mine = ml.on_numpy(lambda rewards, k: rewards - 1)
    result = sample({"mine": mine, "theirs": "maxpo"}, groups=50, seed=0)
    assert tuple(result) == result.names == ("mine", "theirs")
    assert (len(result), result.n, result.k, result.groups, result.seed) == (2, 8, 3, 50, 0)


def halved(rewards: torch.Tensor, k: int) -> torch.Tensor:
    return ml.advantages(rewards, k) / 2


def test_a_callable_is_just_called() -> None:
    result = sample(
        ["maxpo", halved, ml.on_numpy(ml.per_group(ml.get_estimator("rloo")))], groups=500, seed=0
    )
    assert result.names[1] == "halved"
    assert result["halved"].scale.value == pytest.approx(result["maxpo"].scale.value / 2, rel=1e-14)
    assert result.ratio("halved", "maxpo").value == pytest.approx(0.25, rel=1e-14)
    # A constant multiple: nothing is left of the pair to vary.
    assert result.ratio("halved", "maxpo").standard_error < 1e-12


@pytest.mark.parametrize("groups", [999, 20_001])
def test_groups_without_reward_count_where_nobody_looks_at_them(
    groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    norms = CategoricalScores.squared_norm

    def counted(self: CategoricalScores, advantages: torch.Tensor) -> torch.Tensor:
        seen.append(advantages.shape[1])
        return norms(self, advantages)

    monkeypatch.setattr(CategoricalScores, "squared_norm", counted)
    rare = SparseBandit(arms=20, good=4, success=0.02)
    sampler, settings = rare.sampler(rare.theta), {"n": 8, "k": 3, "groups": groups, "seed": 1}
    gradient = ml.max_at_k_gradient(rare.levels(rare.theta), 3)
    left_out = monte_carlo_moments(["maxpo", "pkpo-s"], sampler, gradient=gradient, **settings)
    # Of 0.15 of the groups, and no more of one batch in a call than of the one that has most of them.
    assert 0.1 * groups < sum(seen) < 0.35 * groups
    seen.clear()
    # A stranger's rule might answer to them.
    kept = monte_carlo_moments(["maxpo", "pkpo-s", halved], sampler, gradient=gradient, **settings)
    assert sum(seen) == groups
    np.testing.assert_array_equal(left_out.total.sizes, kept.total.sizes[:2])
    for name in left_out:
        for quantity in (*QUANTITIES, "bias_squared", "advantage_sum_rms"):
            found, other = getattr(left_out[name], quantity), getattr(kept[name], quantity)
            # Sums of at most 20,001 terms, in another order.
            assert found.value == pytest.approx(other.value, rel=1e-10), (name, quantity)
            assert found.standard_error == pytest.approx(other.standard_error, rel=1e-10)


def test_a_rule_that_writes_into_its_input_harms_nobody() -> None:
    def spoils(rewards: torch.Tensor, k: int) -> torch.Tensor:
        return rewards.zero_()

    result = sample([spoils, "maxpo"], groups=200, seed=0)
    assert result["maxpo"].scale == sample(["maxpo", "rloo"], groups=200, seed=0)["maxpo"].scale


# ------------------------------------------------------------------------- gradient and device


def test_without_a_gradient_nothing_is_made_up() -> None:
    result = sample("maxpo", groups=500, seed=0, gradient=None)
    found, other = result["maxpo"], sample("maxpo", groups=500, seed=0)["maxpo"]
    against = ("bias_squared", "bias", "relative_bias", "bias_p_value", "bias_resolution", "scale",
               "direction_error", "along_gradient_variance")  # fmt: skip
    assert all(getattr(found, name) is None for name in against)
    assert found.trace_covariance == other.trace_covariance
    with pytest.raises(ValueError, match=r"quantity='scale' cannot be compared here: .*need a gradient"):
        result.difference("maxpo", "maxpo", "scale")


def test_a_gradient_of_zero_has_no_direction() -> None:
    found = sample("maxpo", groups=500, seed=0, gradient=np.zeros(20))["maxpo"]
    for name in ("scale", "direction_error", "relative_bias", "along_gradient_variance"):
        assert np.isnan(getattr(found, name).value), name
    assert found.bias_squared.value > 0


def test_a_gradient_may_have_the_shape_of_theta() -> None:
    specimen = bandit()
    gradient = ml.max_at_k_gradient(specimen.levels(specimen.theta), 3)
    flat, square = (
        sample("maxpo", groups=500, seed=0, gradient=g) for g in (gradient, gradient.reshape(4, 5))
    )
    assert flat["maxpo"].scale == square["maxpo"].scale


class Alters:
    """A sampler that gives what another one does, altered."""

    def __init__(self, change: Callable[[torch.Tensor], Any], scores: Any = None) -> None:
        self.inner, self.change, self.scores = bandit().sampler(bandit().theta), change, scores
        self.device, self.parameters = self.inner.device, self.inner.parameters

    def __call__(self, groups: int, n: int, *, generator: torch.Generator) -> tuple[Any, Any]:
        rewards, scores = self.inner(groups, n, generator=generator)
        return self.change(rewards), scores if self.scores is None else self.scores(scores)


class Lone(Alters):
    """Rewards alone."""

    def __call__(self, groups: int, n: int, *, generator: torch.Generator) -> Any:
        return super().__call__(groups, n, generator=generator)[0]


def scores_with(**changed: Any) -> Any:
    """Makes a sampler whose scores have these methods in the place of the right ones; None leaves one out."""

    def changes(scores: Any) -> Any:
        methods = {name: getattr(scores, name) for name in ("weighted_sum", "squared_norm", "dot", "total")}
        methods["batched"] = lambda prompts: changes(scores.batched(prompts))
        methods |= {name: make(scores) for name, make in changed.items() if make}
        methods["reordered"] = lambda order: changes(scores.reordered(order))
        return SimpleNamespace(**{k: v for k, v in methods.items() if changed.get(k, True)})

    return Alters(lambda rewards: rewards, changes)


def with_nan(rewards: torch.Tensor) -> torch.Tensor:
    rewards[0, 1] = float("nan")
    return rewards


BAD_SAMPLERS = [
    (Alters(with_nan), ValueError, "Alters returned the rewards .*nan.*every reward must be finite"),
    (Alters(lambda r: r.float()), TypeError, "Alters returned rewards of type torch.float32.*float64"),
    (Alters(lambda r: r.numpy()), TypeError, "Alters returned rewards of type float64.*torch tensor"),
    (Alters(lambda r: r[:, 1:]), ValueError, r"rewards of shape \(.*, 7\): expected \(.*, 8\)"),
    (
        Alters(lambda r: r, lambda s: replace(s, policy=s.policy * torch.nan)),
        ValueError,
        "maxpo are not finite",
    ),
    (Lone(lambda r: r), TypeError, "Lone returned a Tensor: expected a pair, the rewards and scores"),
    (
        Alters(lambda r: r, lambda s: None),
        TypeError,
        "Alters returned scores of type NoneType without weighted_sum, squared_norm, dot, total, reordered, "
        "batched: expected",
    ),
    (scores_with(dot=None), TypeError, "scores of type SimpleNamespace without dot: expected"),
    (
        Alters(lambda r: r, lambda s: replace(s, policy=torch.full((1, 21), 1 / 21).double())),
        ValueError,
        r"CategoricalScores.weighted_sum gave shape \(1, 8, 21\): expected \(1, 8, 20\).*'s parameters",
    ),
    (
        scores_with(weighted_sum=lambda s: lambda a: s.weighted_sum(a).float()),
        TypeError,
        "SimpleNamespace.weighted_sum gave type torch.float32: it must be a float64",
    ),
    (
        scores_with(squared_norm=lambda s: lambda a: s.squared_norm(a)[0]),
        ValueError,
        r"squared_norm gave shape \((\d+),\): expected \(1, \1\), the last axis being the groups",
    ),
    (
        scores_with(dot=lambda s: lambda a, v: s.dot(a, v)[..., None]),
        ValueError,
        r"dot gave shape \(1, (\d+), 1\): expected \(1, \1\)",
    ),
    (scores_with(dot=lambda s: lambda a, v: 0.5), TypeError, "dot gave type float: it must be"),
    (bandit(), TypeError, "has no __call__: it must be a Sampler, such as specimen.sampler"),
    (lambda groups, n, generator: None, TypeError, "has no device: it must be a Sampler"),
]


@pytest.mark.parametrize(("sampler", "error", "message"), BAD_SAMPLERS)
def test_a_sampler_that_breaks_its_contract_is_named(
    sampler: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        monte_carlo_moments("maxpo", sampler, n=8, k=3, groups=100, seed=0)


def as_numpy(rewards: Any, k: int) -> Any:
    return np.asarray(rewards)


def needs_numpy(rewards: Any, k: int) -> Any:
    raise TypeError("expected np.ndarray")


def infinite(rewards: torch.Tensor, k: int) -> torch.Tensor:
    return rewards / 0.0


BAD_ARGUMENTS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"groups": 1}, ValueError, "groups=1: a variance needs at least 2"),
    ({"groups": 10.0}, TypeError, "groups=10.0 is a float"),
    ({"groups": "many"}, TypeError, r"groups='many' is a str.*groups=10_000, or .*Until\("),
    ({"groups": True}, TypeError, r"groups=True is a bool.*groups=10_000, or .*Until\("),
    ({"seed": 1.5}, TypeError, "seed=1.5 is a float"),
    ({"seed": None}, TypeError, "seed=None is a NoneType"),
    ({"seed": -1}, ValueError, "seed=-1: must be 0 or more"),
    ({"device": "cuda:77"}, ValueError, "device='cuda:77': this machine has cpu"),
    ({"device": "gpu"}, ValueError, "device='gpu': this machine has cpu"),
    ({"device": "meta"}, ValueError, "device='meta': this machine has cpu"),
    ({"device": 0}, TypeError, "device=0 is a int"),
    ({"workers": 0}, ValueError, "workers=0: at least one"),
    ({"workers": 1.0}, TypeError, "workers=1.0 is a float"),
    ({"n": 3}, ValueError, "maxpo needs k <= n-1"),
    ({"n": 0}, ValueError, "n=0: a group needs"),
    ({"k": 9}, ValueError, "k=9: max@k needs 1 <= k <= n = 8"),
    ({"gradient": np.zeros(3)}, ValueError, "gradient has 3 entries: expected 20"),
    ({"gradient": np.full(20, np.nan)}, ValueError, "gradient must be finite"),
    ({"estimators": "maxop"}, ValueError, "did you mean maxpo"),
    ({"estimators": []}, ValueError, "estimators is empty"),
    ({"estimators": ["maxpo", "rloo", "maxpo"]}, ValueError, "estimators holds 'maxpo' twice"),
    ({"estimators": 3}, TypeError, "estimator=3 is a int"),
    ({"estimators": as_numpy}, TypeError, "as_numpy returned a ndarray, not a torch tensor.*on_numpy"),
    ({"estimators": needs_numpy}, TypeError, r"needs_numpy failed on a torch tensor \(expected np.*on_numpy"),
    ({"estimators": infinite}, ValueError, "infinite returned .*advantages must be finite"),
    ({"estimators": lambda r, k: r[0]}, ValueError, r"returned shape \(8,\)"),
    ({"estimators": lambda r, k: r * 1j}, TypeError, "must be real numbers"),
    ({"groups": Until(quantity="scale")}, ValueError, "is measured against a gradient: pass gradient="),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD_ARGUMENTS)
def test_bad_arguments_are_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    settings: dict[str, Any] = {"estimators": "maxpo", "n": 8, "k": 3, "groups": 100, "seed": 0, **change}
    sampler = bandit().sampler(bandit().theta)
    with pytest.raises(error, match=message):
        monte_carlo_moments(settings.pop("estimators"), sampler, **settings)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"quantity": "trace"}, ValueError, "quantity='trace': must be one of trace_covariance"),
        ({"relative_error": 0.0}, ValueError, "relative_error=0.0: must be between 0 and 1"),
        ({"relative_error": "a"}, TypeError, "relative_error='a' is a str: it must be a real number"),
        ({"at_most": 1}, ValueError, "at_most=1"),
        ({"at_most": 1e7}, TypeError, "at_most=10000000.0 is a float"),
    ],
)
def test_until_checks_itself(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Until(**settings)


def test_results_go_by_name() -> None:
    result = sample(["maxpo", "rloo"], groups=100, seed=0)
    with pytest.raises(KeyError, match="'grpo' was not measured: choose from maxpo, rloo"):
        result["grpo"]
    with pytest.raises(ValueError, match="quantity='bias' cannot be compared here: choose from trace_cov"):
        result.ratio("maxpo", "rloo", "bias")
    with pytest.raises(ValueError, match="the shards were measured with one"):
        finish(result.total)


def test_torch_is_imported_when_it_is_asked_for() -> None:
    code = """
import sys
import maxpo_lab as ml
assert "torch" not in sys.modules
assert "monte_carlo_moments" in dir(ml)
assert not hasattr(ml, "monte_carlo_moment")
sys.modules["torch"] = None
try:
    ml.monte_carlo_moments
except ImportError as error:
    assert "pip install 'maxpo-lab[torch]'" in str(error), error
else:
    raise AssertionError
del sys.modules["torch"]
assert ml.monte_carlo_moments.__module__ == "maxpo_lab.monte_carlo.sampled"
"""
    subprocess.run([sys.executable, "-c", code], check=True)
