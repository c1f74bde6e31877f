"""Gymnasium's own tabular worlds: their steps, ours, the sampler and the oracle tell the same story."""

from __future__ import annotations

import math

import gymnasium
import numpy as np
import pytest
import torch
from specimen_witness import check_frequencies
from toy_text_steps import near_optimal, stepped_by_gymnasium

from envs import from_gymnasium
from envs.tabular.mdp import TabularMDP
from envs.tabular.specimen import softmax
from envs.tabular.stepping import TabularEnv, TabularVectorEnv
from envs.tabular.toy_text import GymnasiumWorld

WORLDS = {
    "FrozenLake 4x4": ("FrozenLake-v1", 20, {}),
    "FrozenLake 4x4, not slippery": ("FrozenLake-v1", 8, {"is_slippery": False}),
    "FrozenLake 8x8": ("FrozenLake-v1", 30, {"map_name": "8x8"}),
    "CliffWalking": ("CliffWalking-v1", 15, {}),
    "CliffWalking, slippery": ("CliffWalkingSlippery-v1", 15, {}),
    "Taxi": ("Taxi-v4", 4, {}),
}


def stepped_here(world: GymnasiumWorld, theta: np.ndarray, episodes: int, seed: int) -> np.ndarray:
    """The same through ``TabularVectorEnv``."""
    vector, rng = TabularVectorEnv(TabularEnv(world.mdp, theta), episodes), np.random.default_rng([seed, 1])
    upto = np.cumsum(softmax(theta), axis=1)[:, :-1]
    state, _ = vector.reset(seed=seed)
    total, over = np.zeros(episodes), np.zeros(episodes, dtype=bool)
    while not over.all():
        action = (upto[state] <= rng.random((episodes, 1))).sum(axis=1)
        state, reward, terminated, truncated, _ = vector.step(action)
        total += np.where(over, 0.0, reward)
        over |= terminated | truncated
    return total


@pytest.mark.parametrize("name", WORLDS)
def test_the_worlds_own_steps_ours_and_the_sampler_agree_with_the_oracle(name: str) -> None:
    """On the law of the return, all levels of it, under a random policy."""
    id_, horizon, settings = WORLDS[name]
    world = from_gymnasium(id_, horizon=horizon, **settings)
    theta = np.random.default_rng(0).normal(size=world.theta.shape)
    levels = world.levels(theta, covariances=None)
    figures = 3 * len(levels.values)
    check_frequencies(stepped_by_gymnasium(world, theta, 2000, seed=1), levels, figures)
    check_frequencies(stepped_here(world, theta, 20_000, seed=2), levels, figures)
    returns, _ = world.sampler(theta)(12_500, 8, generator=torch.Generator().manual_seed(3))
    check_frequencies(returns.numpy(), levels, figures)


def success_of_frozen_lake(episodes: int) -> None:
    """A near-optimal policy on the large lake succeeds as often as the oracle says: 4 standard errors."""
    world = from_gymnasium("FrozenLake-v1", horizon=100, map_name="8x8", is_slippery=True)
    theta = near_optimal(world)
    levels = world.levels(theta, covariances=None)
    p = levels.probabilities[1]
    assert levels.values.tolist() == [0.0, 1.0]
    assert 0.5 < p < 1  # near-optimal in 100 steps
    allowed = 4 * math.sqrt(p * (1 - p) / episodes)
    assert abs(stepped_by_gymnasium(world, theta, episodes, seed=0).mean() - p) <= allowed
    assert abs(stepped_here(world, theta, episodes, seed=1).mean() - p) <= allowed
    returns, _ = world.sampler(theta)(episodes // 8, 8, generator=torch.Generator().manual_seed(2))
    assert abs(returns.mean().item() - p) <= allowed


def test_success_on_the_large_frozen_lake() -> None:
    success_of_frozen_lake(1_000)


@pytest.mark.integration
def test_success_on_the_large_frozen_lake_in_200_000_episodes() -> None:
    success_of_frozen_lake(200_000)


def test_near_optimal_lake_without_slip_is_solved_in_six_steps() -> None:
    world = from_gymnasium("FrozenLake-v1", horizon=6, is_slippery=False)
    levels = world.levels(near_optimal(world), covariances=None)
    assert levels.probabilities[-1] > 0.9
    assert world.max_at_k(near_optimal(world), 8) > 0.999


def test_the_horizon_replaces_the_worlds_own_limit() -> None:
    world = from_gymnasium("CliffWalking-v1", horizon=3)
    assert world.horizon == 3
    world.env.reset(seed=0)
    assert [world.env.step(0)[3] for _ in range(3)] == [False, False, True]
    assert world.theta.shape == (48, 4)
    assert not world.theta.flags.writeable
    assert world.levels(world.theta).values.tolist() == [-300.0, -201.0, -102.0, -3.0]


def test_many_returns_keep_an_exact_gradient() -> None:
    """CliffWalking for 60 steps: the gradient along itself against a central difference."""
    world = from_gymnasium("CliffWalkingSlippery-v1", horizon=60)
    theta = np.random.default_rng(1).normal(size=world.theta.shape)
    gradient = world.max_at_k_gradient(theta, 4)
    size = np.linalg.norm(gradient)
    step = 1e-4 * gradient / size
    ends = [world.max_at_k(theta + sign * step, 4) for sign in (1, -1)]
    assert (ends[0] - ends[1]) / 2e-4 == pytest.approx(size, rel=1e-6)


@pytest.mark.parametrize("name", ["Blackjack-v1", "CartPole-v1"])
def test_worlds_without_a_table_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} has no P and initial_state_distrib.*FrozenLake-v1"):
        from_gymnasium(name, horizon=5)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="horizon=0"):
        from_gymnasium("FrozenLake-v1", horizon=0)
    with pytest.raises(TypeError, match="horizon"):
        from_gymnasium("FrozenLake-v1", horizon=5.0)
    with pytest.raises(gymnasium.error.Error, match="FrozenLak"):
        from_gymnasium("FrozenLak-v1", horizon=5)
    with pytest.raises(TypeError, match="slippery"):
        from_gymnasium("FrozenLake-v1", horizon=5, slippery=True)


def test_the_table_is_taken_over_whole() -> None:
    world = from_gymnasium("Taxi-v4", horizon=2)
    table, mdp = world.env.unwrapped.P, world.mdp
    assert isinstance(mdp, TabularMDP)
    rows = zip(mdp.source, mdp.action, mdp.probability, mdp.target, mdp.reward, mdp.terminated, strict=True)
    got = sorted((int(s), int(a), float(p), int(t), float(r), bool(end)) for s, a, p, t, r, end in rows)
    want = sorted(
        (s, a, float(p), int(t), float(r), bool(end))
        for s, actions in table.items()
        for a, outcomes in actions.items()
        for p, t, r, end in outcomes
    )
    assert got == want
    assert sum(mdp.starts[0].values()) == pytest.approx(1, rel=1e-14)
