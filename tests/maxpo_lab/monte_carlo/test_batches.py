"""Batches follow the kind of device and the settings, and nothing else; no card is needed to see them."""

from __future__ import annotations

import pytest
import torch

import maxpo_lab as ml
from envs import SparseBandit
from maxpo_lab.core import devices
from maxpo_lab.monte_carlo import experiment, shard_sizes
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
