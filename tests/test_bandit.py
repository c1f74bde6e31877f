"""SparseBandit: Gymnasium's contract, the exact oracle, the sampler and its implicit scores."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import envs  # noqa: F401 - registers the ids
from envs import SparseBandit

GRADED = {"arms": 30, "good": 7, "success": 0.2, "grades": (0.25, 0.5, 1.0)}
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("settings", [{}, GRADED], ids=["default", "graded"])
def test_passes_gymnasiums_checker_with_warnings_as_errors(settings: dict) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make("maxpo/SparseBandit-v0", **settings).unwrapped)


def test_episode_through_the_public_api() -> None:
    env = gymnasium.make("maxpo/SparseBandit-v0", **GRADED)
    observation, info = env.reset(seed=1)
    assert (observation, info) == (0, {})
    assert env.step(np.int64(0))[1:4] == (0.25, True, False)
    env.reset()
    assert env.step(np.int64(29))[1] == 0.0
    with pytest.raises(RuntimeError, match="reset"):
        env.unwrapped.step(np.int64(0))


def test_vector_form_steps_every_copy() -> None:
    vector = gymnasium.make_vec("maxpo/SparseBandit-v0", num_envs=3, **GRADED)
    vector.reset(seed=0)
    _, rewards, terminated, _, _ = vector.step(np.array([0, 6, 29]))
    np.testing.assert_array_equal(rewards, [0.25, 1.0, 0.0])
    assert terminated.all()
    vector.close()


def test_initial_policy_has_the_stated_success_and_even_grades() -> None:
    bandit = SparseBandit(**GRADED)
    levels = bandit.levels(bandit.theta)
    np.testing.assert_array_equal(levels.values, [0.0, 0.25, 0.5, 1.0])
    expected = [0.8, 0.2 * 3 / 7, 0.2 * 2 / 7, 0.2 * 2 / 7]
    np.testing.assert_allclose(levels.probabilities, expected, rtol=1e-14)


def test_zipf_spreads_each_class_by_rank() -> None:
    bandit = SparseBandit(arms=7, good=3, success=0.3, within="zipf")
    probability = np.exp(bandit.theta)
    np.testing.assert_allclose(probability[:3], 0.3 * np.array([6, 3, 2]) / 11, rtol=1e-14)
    np.testing.assert_allclose(probability[3:], 0.7 * np.array([12, 6, 4, 3]) / 25, rtol=1e-14)


@pytest.mark.parametrize(
    ("settings", "fragments"),
    [
        ({"arms": 5, "good": 5}, ["good=5", "arms=5", "good < arms"]),
        ({"arms": 5, "good": 0}, ["good=0", "1 <= good"]),
        ({"success": 0.0}, ["success=0.0", "between 0 and 1"]),
        ({"success": 1.0}, ["success=1.0"]),
        ({"grades": (0.0, 1.0)}, ["grades=(0.0, 1.0)", "above 0"]),
        ({"grades": ()}, ["grades=()"]),
        ({"good": 2, "grades": (0.1, 0.2, 0.3)}, ["grades", "good=2"]),
        ({"grades": (float("inf"),)}, ["finite"]),
        ({"within": "flat"}, ["within='flat'", "zipf"]),
        ({"render_mode": "human"}, ["render_mode='human'"]),
    ],
)
def test_bad_parameters_are_refused(settings: dict, fragments: list[str]) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - fragments are matched below
        SparseBandit(**settings)
    for fragment in fragments:
        assert fragment in str(caught.value)


@pytest.mark.parametrize("device", DEVICES)
def test_implicit_scores_equal_explicit_ones(device: str) -> None:
    bandit = SparseBandit(**GRADED)
    sampler = bandit.sampler(np.random.default_rng(0).normal(size=30), device)
    generator = torch.Generator(device).manual_seed(0)
    rewards, scores = sampler(50, 12, generator=generator)
    advantages = torch.randn(50, 12, dtype=torch.float64, generator=generator, device=device)
    direction = torch.randn(30, dtype=torch.float64, generator=generator, device=device)
    explicit = torch.nn.functional.one_hot(scores.outcomes, 30) - scores.policy
    sums = (advantages[..., None] * explicit).sum(dim=1)
    # Sums of at most n = 12 terms of size |A| <= 5, of squares of those for the norm.
    assert torch.allclose(scores.weighted_sum(advantages), sums, rtol=0, atol=1e-13)
    assert torch.allclose(scores.squared_norm(advantages), (sums**2).sum(dim=1), rtol=1e-12, atol=1e-12)
    assert torch.allclose(scores.dot(advantages, direction), sums @ direction, rtol=0, atol=1e-12)
    assert rewards.device.type == device
    np.testing.assert_array_equal(rewards.cpu(), bandit.rewards[scores.outcomes.cpu()])


@pytest.mark.parametrize("device", DEVICES)
def test_sampled_levels_have_the_oracles_frequencies(device: str) -> None:
    bandit = SparseBandit(**GRADED)
    levels = bandit.levels(bandit.theta)
    draws = 400_000
    generator = torch.Generator(device).manual_seed(7)
    rewards, _ = bandit.sampler(bandit.theta, device)(draws // 8, 8, generator=generator)
    _, counts = np.unique(rewards.cpu().numpy(), return_counts=True)
    p = levels.probabilities
    # Four levels, a false alarm rate of 1e-6 for all together: 5.2 standard errors each.
    assert (abs(counts / draws - p) <= 5.2 * np.sqrt(p * (1 - p) / draws)).all()


def test_same_seed_same_draws() -> None:
    sampler = SparseBandit().sampler(SparseBandit().theta)
    first, second = (sampler(5, 4, generator=torch.Generator().manual_seed(3))[0] for _ in range(2))
    assert torch.equal(first, second)


def test_sampler_refuses_a_wrong_theta() -> None:
    with pytest.raises(ValueError, match=r"expected \(100,\)"):
        SparseBandit().sampler(np.zeros(3))
    with pytest.raises(ValueError, match="finite"):
        SparseBandit().sampler(np.full(100, np.nan))
