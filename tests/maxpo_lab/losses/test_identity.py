"""The identity loss is today's g, to the byte, wherever a g is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import maxpo_lab as ml
from analysis.trainer.protocol import Uniforms
from analysis.trainer.worlds import world_of
from envs import ChainSum, CombinationLock, GaussianBandit, PromptBandit, SparseBandit
from envs.base.specimen import ExactSpecimen

IDENTITY = ml.get_loss("identity")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [3, 7, 8])
def test_weights_are_the_advantages(dtype: type, n: int) -> None:
    rng = np.random.default_rng(0)
    rewards = rng.normal(size=(50, n)).astype(dtype)
    advantages = ml.advantages(rewards, 2)
    mask = rng.random((50, n, 5)) < 0.6
    mask[..., 0] = True
    weights = IDENTITY.weights(advantages, mask=mask)
    spread = np.broadcast_to(advantages[..., None], mask.shape)
    assert weights.dtype == dtype
    assert weights[mask].tobytes() == spread[mask].tobytes()
    assert not weights[~mask].any()
    assert IDENTITY.weights(advantages).tobytes() == advantages.tobytes()


SPECIMENS: dict[str, Callable[[], ExactSpecimen]] = {
    "bandit": lambda: SparseBandit(arms=7, good=3, success=0.2),
    "prompts": lambda: PromptBandit(prompts=3, arms=5, good=2, hardest=0.1, easiest=0.4),
    "lock": lambda: CombinationLock(length=3, choices=3, codes=2),
    "chain": lambda: ChainSum(base=3, digits=2, prompts=4, credit=0.25),
}


@pytest.mark.parametrize("name", SPECIMENS)
def test_a_trainers_gradient_is_todays(name: str) -> None:
    specimen = SPECIMENS[name]()
    world = world_of(specimen)
    rollouts = world.rollouts(world.start.expand(1, 2, -1), 5, 6, Uniforms([1, 2]))
    advantages = ml.advantages(rollouts.rewards, 3)
    weights = IDENTITY.weights(advantages)[..., 0]
    expected = rollouts.gradient(advantages)
    assert expected.any()
    assert rollouts.gradient(weights).numpy().tobytes() == expected.numpy().tobytes()


@pytest.mark.parametrize("rule", ["maxpo", "grpo", "pkpo-loo1"])
def test_exact_moments_are_todays(rule: str) -> None:
    def through_it(rewards: Any, k: int) -> Any:
        return IDENTITY.weights(ml.advantages(rewards, k, estimator=rule))[..., 0]

    bandit = SparseBandit(arms=7, good=3, success=0.2, grades=(0.5, 1.0))
    levels = bandit.levels(bandit.theta)
    expected = ml.exact_moments(
        lambda rewards, k: ml.advantages(rewards, k, estimator=rule), levels, n=5, k=3
    )
    found = ml.exact_moments(through_it, levels, n=5, k=3)
    assert found.mean.tobytes() == expected.mean.tobytes()
    assert found.trace_covariance == expected.trace_covariance


def test_sampled_moments_are_todays() -> None:
    def through_it(rewards: Any, k: int) -> Any:
        return IDENTITY.weights(ml.advantages(rewards, k))[..., 0]

    def without_it(rewards: Any, k: int) -> Any:
        return ml.advantages(rewards, k)

    bandit = GaussianBandit()
    settings: dict[str, Any] = {"n": 6, "k": 3, "groups": 400, "seed": 3}
    found, expected = (
        ml.monte_carlo_moments({"it": rule}, bandit.sampler(bandit.theta), **settings)
        for rule in (through_it, without_it)
    )
    assert repr(found) == repr(expected)


def test_a_division_inside_would_not_be() -> None:
    """Why the mean over rollouts stays outside of the weights: n = 7 rounds twice."""
    rng = np.random.default_rng(0)
    advantages, scores = rng.normal(size=(50, 7)), rng.normal(size=(50, 7, 3))
    outside = np.einsum("bi,bid->bd", advantages, scores) / 7
    inside = np.einsum("bi,bid->bd", advantages / 7, scores)
    assert outside.tobytes() != inside.tobytes()
    weights = IDENTITY.weights(torch.tensor(advantages)).numpy()[..., 0]
    assert (np.einsum("bi,bid->bd", weights, scores) / 7).tobytes() == outside.tobytes()
