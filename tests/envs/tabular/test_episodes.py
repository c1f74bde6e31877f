"""Sampled episodes: draws from a table, implicit scores, and agreement with the oracle."""

from __future__ import annotations

import math
from fractions import Fraction

import gymnasium
import numpy as np
import pytest
import torch
from backends import DEVICES
from episode_witness import grid, lock, process, purses, softmax
from hypothesis import given
from hypothesis import strategies as st
from specimen_witness import FALSE_ALARM, check_frequencies

import maxpo_lab as ml
from envs.tabular import episode_scores
from envs.tabular.alias_tables import AliasTable
from envs.tabular.episode_scores import EpisodeScores
from envs.tabular.mdp import TabularMDP
from envs.tabular.stepping import TabularEnv

SHARED = {
    s: {
        a: [(0.5, (s + a + 1) % 6, 0.1, False), (0.5, (s + 2) % 6, 0.3 * (a == s % 2), s > 3)] for a in (0, 1)
    }
    for s in range(6)
}


def specimen(name: str) -> TabularEnv:
    if name == "cliff":
        return process(gymnasium.make("CliffWalking-v1").unwrapped.P, [{36: 1.0}], 12)
    return {
        "lock": lambda: process(lock(3, 3, lapse=0.2), [{0: 1.0}], 12),
        "grid": lambda: process(grid(), [{0: 0.5, 2: 0.5}], 8),
        "purses": lambda: process(purses(), [{0: 0.75, 2: 0.25}], 7),
        "prompts": lambda: process(SHARED, [{0: 1.0}, {3: 0.5, 1: 0.5}, {5: 1.0}], 6, [0, 1, 1, 2, 2, 0]),
    }[name]()


NAMES = ["lock", "grid", "purses", "prompts", "cliff"]


def theta_of(env: TabularEnv) -> np.ndarray:
    return 0.7 * np.random.default_rng(5).normal(size=env.theta.shape)


def chances(table: AliasTable, row: int, outcomes: int) -> np.ndarray:
    """Probabilities of a row, exact in the numbers that the table holds, rounded once."""
    total = [Fraction(0)] * outcomes
    for column in range(row * table.width, (row + 1) * table.width):
        own = Fraction(float(table.threshold[column]))
        for chance, name in ((1 - own, table.outcome[2 * column]), (own, table.outcome[2 * column + 1])):
            total[int(name)] += chance / table.width
    return np.array([float(x) for x in total])


@pytest.mark.parametrize(
    "rows", [[[1.0]], [[0.0, 1.0]], [[0.5, 0.5], [1.0]], [[1e-9, 1 - 1e-9], [1 / 3] * 3]]
)
def test_table_of_aliases_holds_the_probabilities(rows: list[list[float]]) -> None:
    check_table(rows)


@given(
    st.lists(
        st.lists(st.one_of(st.just(0.0), st.floats(1e-12, 1.0)), min_size=1, max_size=9),
        min_size=1,
        max_size=5,
    ).filter(lambda rows: all(any(row) for row in rows))
)
def test_table_of_aliases_holds_any_probabilities(rows: list[list[float]]) -> None:
    check_table([[x / math.fsum(row) for x in row] for row in rows])


def check_table(rows: list[list[float]]) -> None:
    """To 1e-15: a subtraction a column, of numbers up to the width, over the width. 0 stays 0."""
    begin = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    flat = np.concatenate(rows)
    table = AliasTable.of(begin, np.arange(len(flat)), flat, device="cpu")
    assert table.width == max(map(len, rows))
    for row, expected in enumerate(rows):
        got = chances(table, row, len(flat))
        mine = slice(begin[row], begin[row + 1])
        np.testing.assert_allclose(got[mine], expected, rtol=0, atol=1e-15)
        assert (got[mine][np.array(expected) == 0] == 0).all()
        assert (np.delete(got, mine) == 0).all()


def test_rare_outcomes_of_a_table_keep_their_digits() -> None:
    table = AliasTable.of(np.array([0, 3]), np.arange(3), np.array([1e-12, 0.4, 0.6 - 1e-12]), device="cpu")
    np.testing.assert_allclose(chances(table, 0, 3)[0], 1e-12, rtol=1e-14)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
def test_returns_are_the_oracles_levels_to_the_bit(name: str, device: str) -> None:
    env = specimen(name)
    theta = theta_of(env)
    generator = torch.Generator(device).manual_seed(1)
    returns, scores = env.sampler(theta, device)(2000, 4, generator=generator)
    assert returns.dtype == torch.float64
    assert returns.shape == scores.decisions.shape[1:] == (2000, 4)
    assert returns.device.type == scores.decisions.device.type == device
    levels = set().union(*(env.levels(theta, p, covariances=None).values for p in range(env.prompts)))
    assert set(returns.unique().tolist()) <= levels


def test_a_reward_of_a_third_is_a_third() -> None:
    table = {0: {0: [(0.5, 0, 1 / 3, True), (0.5, 0, 0.1, True)]}}
    env = TabularEnv(TabularMDP.from_table(table, [1.0], horizon=1), np.zeros((1, 1)))
    returns, _ = env.sampler(env.theta)(20, 4, generator=torch.Generator().manual_seed(0))
    assert returns.unique().tolist() == env.levels(env.theta).values.tolist() == [0.1, 1 / 3]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
def test_levels_have_the_oracles_frequencies(name: str, device: str) -> None:
    env = specimen(name)
    theta, draws = theta_of(env), 200_000
    for prompt in range(env.prompts):
        generator = torch.Generator(device).manual_seed(2 + prompt)
        returns, _ = env.sampler(theta, device, prompt)(draws // 8, 8, generator=generator)
        levels = env.levels(theta, prompt, covariances=None)
        check_frequencies(returns.cpu().numpy(), levels, env.prompts * len(levels.values))


def test_frequencies_of_another_policy_are_caught() -> None:
    env = specimen("grid")
    theta = theta_of(env)
    returns, _ = env.sampler(theta)(25_000, 8, generator=torch.Generator().manual_seed(2))
    levels = env.levels(0.9 * theta, covariances=None)
    with pytest.raises(AssertionError, match="expected"):
        check_frequencies(returns.numpy(), levels, len(levels.values))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
def test_implicit_scores_equal_explicit_ones(name: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    env = specimen(name)
    theta, groups, n = theta_of(env), 23, 5
    sampler = env.sampler(theta, device)
    assert (sampler.device.type, sampler.parameters) == (device, theta.size)
    generator = torch.Generator(device).manual_seed(3)
    _, scores = sampler(groups, n, generator=generator)
    policy, d = softmax(theta), theta.size
    explicit = np.zeros((groups, n, *theta.shape))
    for group in range(groups):
        for i in range(n):
            for decision in scores.decisions[:, group, i].tolist():
                if decision < d:
                    observation, action = divmod(decision, theta.shape[1])
                    explicit[group, i, observation, action] += 1
                    explicit[group, i, observation] -= policy[observation]
    stacked = torch.tensor(explicit.reshape(groups, n, d), device=device)
    put = {"dtype": torch.float64, "generator": generator, "device": device}
    direction = torch.randn(d, **put)
    # Blocks of 7 groups, so that there are several, and one that is not full.
    monkeypatch.setattr(episode_scores, "BLOCK", dict.fromkeys(episode_scores.BLOCK, 7 * d))
    for lead in ((), (3,), (2, 2)):
        advantages = torch.randn(*lead, groups, n, **put)
        sums = torch.einsum("...gi,gid->...gd", advantages, stacked)
        # Sums of n T <= 60 terms of size |A| <= 5: 60 x 5 x eps = 7e-14; d of them, or of their squares.
        assert scores.weighted_sum(advantages).shape == (*lead, groups, d)
        close(scores.weighted_sum(advantages), sums, 1e-13)
        close(scores.squared_norm(advantages), (sums**2).sum(dim=-1), 1e-11)
        close(scores.dot(advantages, direction), sums @ direction, 1e-12)
        close(scores.total(advantages), sums.sum(dim=-2), 1e-12)
        directions = torch.randn(*lead, d, **put)
        own = torch.einsum("...gd,...d->...g", sums, directions)
        close(scores.dot(advantages, directions), own, 1e-12)
        rules = advantages.reshape(-1, groups, n)
        close(scores._by_products(rules), sums.reshape(-1, groups, d), 1e-13)


def close(got: torch.Tensor, want: torch.Tensor, tolerance: float) -> None:
    assert got.shape == want.shape
    assert torch.allclose(got, want, rtol=0, atol=tolerance)


def test_scores_refuse_other_advantages() -> None:
    scores = EpisodeScores(torch.zeros(2, 3, 4, dtype=torch.int64), torch.full((1, 2), 0.5).double())
    for method in (
        scores.weighted_sum,
        scores.squared_norm,
        scores.total,
        lambda a: scores.dot(a, torch.zeros(2)),
    ):
        with pytest.raises(ValueError, match=r"shape \(1, 4\): expected \(\.\.\., 3, 4\)"):
            method(torch.zeros(1, 4, dtype=torch.float64))
        with pytest.raises(ValueError, match=r"float32: expected torch\.float64"):
            method(torch.zeros(3, 4))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
def test_mean_of_the_estimates_is_the_oracles_gradient(name: str, device: str) -> None:
    """Along 3 directions, within the standard errors that one in a million runs would exceed."""
    env = specimen(name)
    theta, n, k, groups = theta_of(env), 6, 3, 20_000
    generator = torch.Generator(device).manual_seed(4)
    returns, scores = env.sampler(theta, device)(groups, n, generator=generator)
    advantages = ml.advantages(returns, estimator="maxpo", k=k) / n
    gradient = torch.tensor(env.max_at_k_gradient(theta, k).ravel(), device=device)
    random = torch.randn(2, theta.size, dtype=torch.float64, generator=generator, device=device)
    deviations = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(1 - FALSE_ALARM / 60).double()).item()
    for direction in (gradient, *random):
        along = scores.dot(advantages, direction)
        error = abs(along.mean() - gradient @ direction) / (along.std() / math.sqrt(groups))
        assert error <= deviations
    total = scores.total(advantages) / groups
    assert torch.allclose(total @ gradient, scores.dot(advantages, gradient).mean(), rtol=1e-10, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_squared_norms_of_scores_are_the_oracles(name: str) -> None:
    """``E|s|^2`` of each level: within 6 standard errors, on the levels with 1000 episodes and more."""
    env = specimen(name)
    theta = theta_of(env)
    generator = torch.Generator().manual_seed(6)
    returns, scores = env.sampler(theta, prompt=0)(40_000, 1, generator=generator)
    norms = scores.squared_norm(torch.ones(40_000, 1, dtype=torch.float64))
    levels = env.levels(theta, 0, covariances=None)
    for value, expected in zip(levels.values, levels.score_second_moments, strict=True):
        mine = norms[returns[:, 0] == value]
        if len(mine) >= 1000:
            assert abs(mine.mean() - expected) <= 6 * mine.std() / math.sqrt(len(mine)) + 1e-12


def test_groups_are_of_one_prompt_and_prompts_are_even() -> None:
    table = {p: {0: [(1.0, p, float(p), True)]} for p in range(3)}
    env = process(table, [{p: 1.0} for p in range(3)], 1)
    returns, _ = env.sampler(env.theta)(30_000, 4, generator=torch.Generator().manual_seed(0))
    assert (returns == returns[:, :1]).all()
    levels = ml.RewardLevels(np.arange(3.0), np.full(3, 1 / 3), np.zeros((3, 1)), np.zeros(3))
    check_frequencies(returns[:, 0].numpy(), levels, figures=3)
    for prompt in range(3):
        returns, _ = env.sampler(env.theta, prompt=prompt)(5, 2, generator=torch.Generator())
        assert (returns == prompt).all()


def test_steps_stop_where_all_has_ended() -> None:
    env = process(lock(2, 1), [{0: 1.0}], 100_000)
    returns, scores = env.sampler(env.theta)(10, 2, generator=torch.Generator().manual_seed(0))
    assert (returns == 1).all()
    assert len(scores.decisions) == 8
    assert (scores.decisions[2:] == 3).all()
    assert scores.decisions.untyped_storage().nbytes() == 8 * 10 * 2 * 2


@pytest.mark.parametrize("device", DEVICES)
def test_same_seed_same_episodes(device: str) -> None:
    env = specimen("prompts")
    sampler = env.sampler(theta_of(env), device)
    draws = [sampler(50, 4, generator=torch.Generator(device).manual_seed(seed)) for seed in (3, 3, 4)]
    assert torch.equal(draws[0][0], draws[1][0])
    assert torch.equal(draws[0][1].decisions, draws[1][1].decisions)
    assert not torch.equal(draws[0][0], draws[2][0])


def test_sampler_refuses_a_wrong_theta_or_prompt() -> None:
    env = specimen("prompts")
    with pytest.raises(ValueError, match=r"expected \(3, 2\)"):
        env.sampler(np.zeros(3))
    with pytest.raises(ValueError, match="finite"):
        env.sampler(np.full((3, 2), np.inf))
    with pytest.raises(ValueError, match="prompts 0 to 2"):
        env.sampler(env.theta, prompt=3)
