"""SparseBandit: Gymnasium's contract, the exact oracle, the sampler and its implicit scores."""

from __future__ import annotations

import tracemalloc
import warnings

import gymnasium
import numpy as np
import pytest
import torch
from backends import DEVICES
from gymnasium.utils.env_checker import check_env

import envs  # noqa: F401 - registers the ids
import maxpo_lab as ml
from envs import SparseBandit
from envs.tabular.oracle import first_moments, second_moments
from envs.tabular.stepping import TabularVectorEnv
from envs.tabular.unrolling import unroll

GRADED = {"arms": 30, "good": 7, "success": 0.2, "grades": (0.25, 0.5, 1.0)}


@pytest.mark.parametrize("settings", [{}, GRADED], ids=["default", "graded"])
def test_passes_gymnasiums_checker_with_warnings_as_errors(settings: dict) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make("maxpo/SparseBandit-v0", **settings).unwrapped)


def test_episode_through_the_public_api() -> None:
    env = gymnasium.make("maxpo/SparseBandit-v0", **GRADED)
    observation, info = env.reset(seed=1)
    assert (observation, info) == (0, {"prompt": 0})
    assert env.step(np.int64(0))[1:4] == (0.25, True, False)
    env.reset()
    assert env.step(np.int64(29))[1] == 0.0
    with pytest.raises(RuntimeError, match="reset"):
        env.unwrapped.step(np.int64(0))


def test_vector_form_steps_every_copy() -> None:
    vector = gymnasium.make_vec("maxpo/SparseBandit-v0", num_envs=3, **GRADED)
    assert isinstance(vector, TabularVectorEnv)
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


def test_levels_equal_the_recursion_over_the_table() -> None:
    bandit = SparseBandit(**GRADED)
    theta = np.random.default_rng(2).normal(size=30)
    levels = bandit.levels(theta, covariances="full")
    policy = np.exp(theta - theta.max())[None]
    policy /= policy.sum()
    unrolled = unroll(bandit.mdp, 0)
    mass, scores, norms = first_moments(unrolled, policy)
    # All are sums of 30 terms of size at most 1, in another order.
    np.testing.assert_array_equal(levels.values, unrolled.returns)
    np.testing.assert_allclose(levels.probabilities, mass, rtol=1e-14)
    np.testing.assert_allclose(levels.mean_scores, scores / mass[:, None], rtol=0, atol=1e-14)
    np.testing.assert_allclose(levels.score_second_moments, norms / mass, rtol=1e-13)
    second = second_moments(unrolled, policy, np.eye(30)) / mass[:, None, None]
    outer = levels.mean_scores[:, :, None] * levels.mean_scores[:, None, :]
    np.testing.assert_allclose(levels.score_covariances, second - outer, rtol=0, atol=1e-14)


@pytest.mark.parametrize("grades", [(1.0,), (0.25, 0.5, 1.0)])
def test_a_hundred_thousand_arms_need_no_matrix_of_arms(grades: tuple[float, ...]) -> None:
    settings = {"arms": 10**5, "good": 300, "success": 1e-3, "grades": grades, "within": "zipf"}
    tracemalloc.start()
    bandit = SparseBandit(**settings)
    levels = bandit.levels(bandit.theta)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Some tens of arrays of one number an arm and pair of levels; a row a thousand arms would be more.
    assert peak < 8 * 10**5 * 100
    assert ml.max_at_k(levels, 1) == pytest.approx(bandit.rewards @ np.exp(bandit.theta), rel=1e-12)
    assert ml.exact_moments("maxpo", levels, n=4, k=2).relative_bias < 1e-9
    bandit.reset(seed=0)
    assert bandit.step(np.int64(299))[1] == grades[-1]


def test_a_million_arms() -> None:
    bandit = SparseBandit(arms=10**6, good=300, success=1e-3, grades=(0.25, 1.0), within="zipf")
    levels = bandit.levels(bandit.theta)
    # Sums of 10^6 numbers, in pairs: 20 roundings, and some of each exponential.
    assert levels.probabilities.sum() == pytest.approx(1, rel=1e-13)
    assert 1 - levels.probabilities[0] == pytest.approx(1e-3, rel=1e-10)
    rewards, scores = bandit.sampler(bandit.theta)(500, 8, generator=torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(rewards, bandit.rewards[scores.outcomes])
    bandit.reset(seed=0)
    assert bandit.step(np.int64(299))[1] == 1.0


def test_an_episode_is_one_pull() -> None:
    bandit = SparseBandit(**GRADED)
    np.testing.assert_array_equal(bandit.occupancy(bandit.theta), [1.0])
    with pytest.raises(ValueError, match=r"expected \(30,\)"):
        bandit.occupancy(np.zeros(3))


@pytest.mark.parametrize(("name", "value"), [("arms", 5.0), ("good", True)])
def test_counts_are_whole_numbers(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"{name}={value}"):
        SparseBandit(**{name: value})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"success": "a"}, "success='a' is a str: it must be a real number"),
        ({"success": True}, "success=True is a bool"),
        ({"grades": 0.5}, "grades=0.5 is a float: it must be a sequence of real numbers"),
        ({"grades": (0.5, "a")}, r"grades\[1\]='a' is a str"),
    ],
)
def test_wrong_types_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        SparseBandit(**settings)


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
@pytest.mark.parametrize("leading", [(), (3,), (2, 3)], ids=str)
def test_implicit_scores_equal_explicit_ones(device: str, leading: tuple[int, ...]) -> None:
    bandit = SparseBandit(**GRADED)
    sampler = bandit.sampler(np.random.default_rng(0).normal(size=30), device)
    generator = torch.Generator(device).manual_seed(0)
    rewards, scores = sampler(50, 12, generator=generator)
    advantages = torch.randn(*leading, 50, 12, dtype=torch.float64, generator=generator, device=device)
    direction = torch.randn(30, dtype=torch.float64, generator=generator, device=device)
    explicit = torch.nn.functional.one_hot(scores.outcomes, 30) - scores.policy
    sums = (advantages[..., None] * explicit).sum(dim=-2)
    assert sums.shape == (*leading, 50, 30)
    # Sums of at most n = 12 terms of size |A| <= 5, of squares of those for the norm, of 600 for the total.
    assert torch.allclose(scores.weighted_sum(advantages), sums, rtol=0, atol=1e-13)
    assert torch.allclose(scores.squared_norm(advantages), (sums**2).sum(dim=-1), rtol=1e-12, atol=1e-12)
    assert torch.allclose(scores.dot(advantages, direction), sums @ direction, rtol=0, atol=1e-12)
    assert torch.allclose(scores.total(advantages), sums.sum(dim=-2), rtol=0, atol=1e-12)
    assert rewards.device.type == sampler.device.type == device
    assert sampler.parameters == 30
    np.testing.assert_array_equal(rewards.cpu(), bandit.rewards[scores.outcomes.cpu()])


@pytest.mark.parametrize("device", DEVICES)
def test_a_norm_is_never_negative(device: str) -> None:
    sampler = SparseBandit(**GRADED).sampler(np.zeros(30), device)
    _, scores = sampler(200, 6, generator=torch.Generator(device).manual_seed(1))
    advantages = torch.where(scores.outcomes == scores.outcomes[:, :1], 1 / 3, 0.0).to(torch.float64)
    assert (scores.squared_norm(advantages - advantages) == 0).all()
    assert (scores.squared_norm(1e8 * advantages) >= 0).all()


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
