"""Rules of batches, sampled: batches of a stated number of prompts, against exact moments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab import rules
from maxpo_lab.rules.errors import CoupledRowsError

torch = pytest.importorskip("torch")

from envs import PromptBandit, SparseBandit  # noqa: E402
from maxpo_lab.monte_carlo import batches, experiment, measure_shard  # noqa: E402

N, K, P = 4, 2, 3
PROMPTS = PromptBandit(4, 6, 2, 0.1, 0.8)
LEVELS = [PROMPTS.levels(PROMPTS.theta, prompt) for prompt in range(PROMPTS.prompts)]
BANDIT = SparseBandit(arms=6, good=2, success=0.3)


def by_deviation(rewards: Any, k: int) -> Any:
    return (rewards - rewards.mean()) / (rewards.std() + 0.1)


NAMES = ("maxpo", "whitened:maxpo", "trl-batch", "jspo-plus-plus")


@pytest.mark.parametrize("world", ["drawn prompts", "one prompt"])
def test_sampled_batches_agree_with_exact_ones(world: str) -> None:
    """Mean, trace, scale and advantages within 4.5 standard errors: false alarms once in 5,000 runs."""
    if world == "drawn prompts":
        levels, sampler = LEVELS, PROMPTS.sampler(PROMPTS.theta)
    else:
        levels, sampler = [BANDIT.levels(BANDIT.theta)], BANDIT.sampler(BANDIT.theta)
    gradient = ml.batch_moments("maxpo", levels, n=N, k=K, batch=P).gradient
    found = ml.monte_carlo_moments(
        list(NAMES), sampler, n=N, k=K, groups=40_000, seed=1, batch=P, gradient=gradient
    )
    assert found.batch == P
    assert found.groups == 40_000
    for name in NAMES:
        exact = ml.batch_moments(name, levels, n=N, k=K, batch=P)
        sampled = found[name]
        trace = sampled.trace_covariance
        assert abs(trace.value - exact.trace_covariance) <= 4.5 * trace.standard_error
        assert sampled.scale is not None
        assert abs(sampled.scale.value - exact.scale) <= 4.5 * sampled.scale.standard_error
        off = np.linalg.norm(sampled.mean - exact.mean)
        assert off <= 4.5 * np.sqrt(exact.trace_covariance / 40_000)
        members = np.mean([moments.advantage_rms**2 for moments in exact.prompts])
        rms = sampled.advantage_rms
        assert abs(rms.value - np.sqrt(members)) <= 4.5 * rms.standard_error


def test_a_users_rule_is_called_batch_by_batch() -> None:
    seen = set()

    def watched(rewards: Any, k: int) -> Any:
        seen.add(tuple(rewards.shape))
        return by_deviation(rewards, k)

    mine = ml.batch_rule(watched)
    sampler = BANDIT.sampler(BANDIT.theta)
    found = ml.monte_carlo_moments(mine, sampler, n=N, k=K, groups=2_000, seed=1, batch=P)
    assert seen == {(P, N)} | {shape for shape in seen if shape[0] > P}  # the latter while it is looked at
    assert (P, N) in seen
    exact = ml.batch_moments(ml.batch_rule(by_deviation), [BANDIT.levels(BANDIT.theta)], n=N, k=K, batch=P)
    trace = found["watched"].trace_covariance
    assert abs(trace.value - exact.trace_covariance) <= 4.5 * trace.standard_error


def test_no_batch_is_chosen_for_a_rule() -> None:
    sampler = BANDIT.sampler(BANDIT.theta)
    with pytest.raises(ValueError, match=r"whitened:maxpo couples .* say how many"):
        ml.monte_carlo_moments(["maxpo", "whitened:maxpo"], sampler, n=N, k=K, groups=100, seed=0)
    with pytest.raises(ValueError, match="batch=0"):
        ml.monte_carlo_moments("maxpo", sampler, n=N, k=K, groups=100, seed=0, batch=0)
    with pytest.raises(ValueError, match="jspo needs a batch of at least 2"):
        ml.monte_carlo_moments("jspo", sampler, n=N, k=K, groups=100, seed=0, batch=1)
    with pytest.raises(CoupledRowsError, match="batch_rule"):
        ml.monte_carlo_moments(by_deviation, sampler, n=N, k=K, groups=100, seed=0, batch=P)
    with pytest.raises(rules.StatefulRuleError, match="memory"):
        ml.monte_carlo_moments("rae", sampler, n=N, k=K, groups=100, seed=0, batch=P)


def test_what_a_batch_gets_does_not_depend_on_how_many_are_drawn_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three sizes of a call: the same bits of every batch's advantages, and no batch is cut."""
    rewards = torch.tensor(np.random.default_rng(0).integers(0, 2, (24 * P, N)).astype(float))
    made = experiment(
        {
            "scale": "whitened:maxpo",
            "sum": "trl-batch",
            "mine": ml.batch_rule(by_deviation),
            "plain": "maxpo",
        },
        BANDIT.sampler(BANDIT.theta),
        n=N,
        k=K,
        groups=64,
        seed=0,
        batch=P,
    )
    whole, ranked, order = made.rules(rewards)
    for size in (1, 4, 24):
        parts = [made.rules(part)[0] for part in rewards.split(size * P)]
        assert torch.equal(torch.cat(parts, dim=1), whole)
    assert order is not None
    assert torch.equal(rewards.flatten()[order].reshape(ranked.shape), ranked)
    # Nor does it matter in how many calls a shard is drawn.
    measured = []
    for together in (1, 2, 8):
        load = batches.LOADS["cpu"]
        monkeypatch.setitem(batches.LOADS, "cpu", batches.Load(1 << 9, 2, 1 << 10, together, load.bounded))
        sampler = BANDIT.sampler(BANDIT.theta)
        settings = experiment(["whitened:maxpo"], sampler, n=N, k=K, groups=640, seed=3, batch=P)
        assert settings.call == together * settings.batch
        measured.append(measure_shard(settings, 0, 640))
    for other in measured[1:]:
        assert np.array_equal(other.estimates.mean, measured[0].estimates.mean)
        assert np.array_equal(other.scalars.mean, measured[0].scalars.mean)


def test_workers_change_no_bit() -> None:
    sampler = PROMPTS.sampler(PROMPTS.theta)
    settings: dict[str, Any] = {"n": N, "k": K, "groups": 30_000, "seed": 5, "batch": P}
    one, two = (ml.monte_carlo_moments("whitened:maxpo", sampler, **settings, workers=w) for w in (1, 2))
    a, b = one["whitened:maxpo"], two["whitened:maxpo"]
    assert a.trace_covariance == b.trace_covariance
    assert np.array_equal(a.mean, b.mean)


def test_groups_without_reward_stay_in_their_batch() -> None:
    """Alone they are left out, as they get nothing; left out of a batch they would move the others."""
    levels, sampler = [BANDIT.levels(BANDIT.theta)], BANDIT.sampler(BANDIT.theta)
    exact = ml.batch_moments("maxpo", levels, n=N, k=K, batch=P).trace_covariance
    found = ml.monte_carlo_moments("maxpo", sampler, n=N, k=K, groups=20_000, seed=2, batch=P)["maxpo"]
    assert abs(found.trace_covariance.value - exact) <= 4.5 * found.trace_covariance.standard_error
