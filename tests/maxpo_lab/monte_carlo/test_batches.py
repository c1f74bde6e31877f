"""Batches follow the kind of device and the settings, and nothing else; no card is needed to see them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import maxpo_lab as ml
from envs import ChainSum, GaussianBandit, PromptBandit, SparseBandit
from envs.bandits import categorical_scores
from envs.base.one_hot import by_products
from envs.tabular.episode_scores import EpisodeScores
from maxpo_lab.core import devices
from maxpo_lab.monte_carlo import experiment, measure_shard, shard_sizes
from maxpo_lab.monte_carlo.batches import BATCHES, LOADS, batch_size

MANY = 10**9
MIB = 2**20


def test_every_kind_of_device_has_a_load() -> None:
    assert set(LOADS) == {"cpu", "cuda"}
    assert {torch.device(name).type for name in devices.present()} <= set(LOADS)


@pytest.mark.parametrize("rules", [1, 8, 100])
@pytest.mark.parametrize(("n", "groups"), [(1, 1024), (2, 1024), (8, 1024), (16, 512), (1024, 8), (5000, 8)])
def test_a_batch_on_a_cpu_fits_its_cache(n: int, groups: int, rules: int) -> None:
    assert batch_size("cpu", n, MANY, rules=rules) == groups


@pytest.mark.parametrize(
    ("n", "rules", "groups"),
    [
        (1, 8, 131_072),
        (8, 8, 131_072),
        (16, 1, 65_536),
        (16, 8, 65_536),
        (16, 16, 32_768),
        (128, 8, 8192),
        (1024, 8, 1024),
        (2**21, 8, 1),
    ],
)
def test_a_batch_on_a_gpu_fills_the_card(n: int, rules: int, groups: int) -> None:
    assert batch_size("cuda", n, MANY, rules=rules) == groups


@pytest.mark.parametrize("rules", [1, 8, 9, 40, 1000])
@pytest.mark.parametrize("n", [8, 16, 100, 1024, 10**5])
def test_a_shard_on_a_gpu_is_bounded(n: int, rules: int) -> None:
    """Its advantages, which are kept for a second look: 64 MiB a batch."""
    groups = batch_size("cuda", n, MANY, rules=rules)
    assert 8 * rules * n * groups <= 64 * MIB or groups == 1
    if rules in (8, 1000) and n <= 1024:
        assert 8 * rules * n * groups > 60 * MIB


@pytest.mark.parametrize("groups", [1, 15, 16, 300, 301, 319, 320])
def test_calls_take_whole_batches_together(groups: int) -> None:
    drawn: list[int] = []
    bandit = SparseBandit(arms=4, good=1, success=0.3)
    inner = bandit.sampler(bandit.theta)

    class Counts:
        device, parameters = inner.device, inner.parameters

        def __call__(self, groups: int, n: int, *, generator: torch.Generator) -> Any:
            drawn.append(groups)
            return inner(groups, n, generator=generator)

    settings = experiment("maxpo", Counts(), n=4, k=2, groups=320, seed=0)
    assert (settings.batch, settings.call) == (20, 160)
    measure_shard(settings, 0, groups)
    assert sum(drawn) == groups
    assert max(drawn) <= 160
    assert all(size % 20 == 0 for size in drawn if size > 20)
    assert len(drawn) <= 3


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
@pytest.mark.parametrize("groups", [2, 100, 1601, 5000])
def test_a_small_sample_is_sixteen_batches(kind: str, groups: int) -> None:
    assert batch_size(kind, 2, groups, rules=1) == -(-groups // BATCHES)


def test_shards_follow_the_batches_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    bandit = SparseBandit(arms=4, good=1, success=0.3)

    def sizes(*rules: str) -> list[int]:
        settings = experiment(rules, bandit.sampler(bandit.theta), n=8, k=3, groups=5_000_000, seed=0)
        assert settings.shard_groups == 16 * settings.batch
        return shard_sizes(settings, 5_000_000)

    assert sizes("maxpo")[0] == sizes("maxpo", "rloo")[0] == 16 * 1024
    # As on a card: a device of the CPU that counts as one of the other kind.
    monkeypatch.setitem(LOADS, "cpu", LOADS["cuda"])
    assert sizes("maxpo") == [2_097_152, 2_097_152, 805_696]
    assert sizes(*[name for name in ml.list_estimators() if usable(name)])[0] < 2_097_152


def usable(name: str) -> bool:
    rule = ml.get_estimator(name)
    return rule.why_not(8, 3) is None and rule.domain == "real"


class Waits(TorchDispatchMode):
    """Counts what makes the host wait for a GPU: numbers read, and shapes that depend on numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        self.count += name in ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal")
        return func(*args, **(kwargs or {}))


def mine(rewards: torch.Tensor, k: int) -> torch.Tensor:
    return rewards - rewards.mean(dim=-1, keepdim=True)


@pytest.fixture
def as_on_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU takes batches one by one and has no list of equal outcomes, as a GPU."""
    monkeypatch.setitem(LOADS, "cpu", replace(LOADS["cpu"], together=1))
    monkeypatch.setitem(categorical_scores.LISTED, "cpu", False)


def waits_for(specimen: Any, rule: Any, n: int) -> list[int]:
    """Waits of a shard of 2 and of 16 batches."""
    gradient = np.ones(specimen.theta.size)
    sampler, counted = specimen.sampler(specimen.theta), []
    settings = experiment(
        ["maxpo", "grpo", "pkpo-s", rule], sampler, n=n, k=2, groups=320, seed=0, gradient=gradient
    )
    for batches in (2, 16):
        with Waits() as waits:
            measure_shard(settings, 0, batches * settings.batch)
        counted.append(waits.count)
    return counted


@pytest.mark.integration
@pytest.mark.parametrize("specimen", [SparseBandit(), PromptBandit(), GaussianBandit()], ids=type)
@pytest.mark.parametrize("n", [4, 40])
@pytest.mark.usefixtures("as_on_a_card")
def test_the_host_does_not_wait_for_a_batch(specimen: Any, n: int) -> None:
    few, many = waits_for(specimen, mine, n)
    assert 0 < few == many


@pytest.mark.usefixtures("as_on_a_card")
def test_a_rule_that_waits_is_caught() -> None:
    def reads(rewards: torch.Tensor, k: int) -> torch.Tensor:
        assert torch.isfinite(rewards).all()
        return rewards

    few, many = waits_for(SparseBandit(), reads, 4)
    assert many == few + 14


@pytest.mark.parametrize("specimen", [SparseBandit(), PromptBandit(prompts=3), ChainSum()], ids=type)
def test_products_give_the_moments_that_scatters_give(specimen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the same draws: a GPU multiplies where a CPU adds up by index or sorts."""

    def measured() -> Any:
        sampler = specimen.sampler(specimen.theta)
        return ml.monte_carlo_moments(["maxpo", "grpo"], sampler, n=8, k=3, groups=320, seed=1)

    monkeypatch.setitem(LOADS, "cpu", replace(LOADS["cpu"], together=1))
    here = measured()
    monkeypatch.setitem(categorical_scores.LISTED, "cpu", False)
    monkeypatch.setattr(categorical_scores, "sums_by", by_products)
    monkeypatch.setattr(EpisodeScores, "_group_sums", EpisodeScores._by_products)
    there = measured()
    for name in here:
        # Sums of 320 groups of 8, in another order.
        close = {"rtol": 1e-12, "atol": 1e-12 * float(np.abs(here[name].mean).max())}
        np.testing.assert_allclose(there[name].mean, here[name].mean, **close)
        assert there[name].trace_covariance.value == pytest.approx(
            here[name].trace_covariance.value, rel=1e-12
        )
