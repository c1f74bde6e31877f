"""Parameters and rewards as tensors that require grad, or in bfloat16; settings as NumPy's integers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import envs
import maxpo_lab as ml
from envs.networks.rollouts import RolloutSampler
from envs.tabular.stepping import TabularEnv, TabularVectorEnv
from maxpo_lab import RewardLevels

SPECIMENS: dict[str, Callable[[Callable[[int], Any]], Any]] = {
    "SparseBandit": lambda i: envs.SparseBandit(arms=i(10), good=i(2)),
    "PromptBandit": lambda i: envs.PromptBandit(prompts=i(3)),
    "CombinationLock": lambda i: envs.CombinationLock(length=i(3), choices=i(3)),
    "Maze": lambda i: envs.Maze(size=i(3), seed=i(1), loops=i(1), horizon=i(40)),
    "ChainSum": lambda i: envs.ChainSum(base=i(3), digits=i(2)),
    "GaussianBandit": lambda i: envs.GaussianBandit(mean=i(1)),
    "FrozenLake": lambda i: envs.from_gymnasium("FrozenLake-v1", horizon=i(6)),
}


@pytest.mark.parametrize("name", SPECIMENS)
@pytest.mark.parametrize("integer", [np.int64, np.uint8])
def test_numpy_integers_make_the_same_specimen(name: str, integer: Callable[[int], Any]) -> None:
    ours, theirs = (SPECIMENS[name](each) for each in (int, integer))
    assert theirs.max_at_k(theirs.theta, 2) == ours.max_at_k(ours.theta, 2)


@pytest.mark.parametrize("name", SPECIMENS)
def test_policies_in_tensors_are_the_same_policies(name: str) -> None:
    specimen = SPECIMENS[name](int)
    rng = np.random.default_rng(0)
    theta = np.round(rng.normal(size=specimen.theta.shape) * 8) / 8  # numbers of bfloat16 too
    prompt = () if specimen.prompts == 1 else (0,)
    drawn = []
    for made in (torch.tensor(theta, requires_grad=True), torch.tensor(theta).bfloat16()):
        assert specimen.max_at_k(made, 2) == specimen.max_at_k(theta, 2)
        assert np.array_equal(specimen.max_at_k_gradient(made, 2), specimen.max_at_k_gradient(theta, 2))
        if isinstance(specimen, envs.ExactSpecimen):
            levels, same = (specimen.levels(each, *prompt) for each in (made, theta))
            assert np.array_equal(levels.probabilities, same.probabilities)
        rewards, _ = specimen.sampler(made, "cpu", *prompt)(3, 4, generator=torch.Generator().manual_seed(0))
        assert not rewards.requires_grad
        drawn.append(rewards)
    assert torch.equal(*drawn)


def test_levels_from_tensors() -> None:
    logits, rewards = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.0, 1.0, 1.0])
    expected = ml.RewardLevels.from_softmax(logits.numpy(), rewards.numpy())
    for made in (logits.clone().requires_grad_(), logits.bfloat16(), list(logits.clone().requires_grad_())):
        found = ml.RewardLevels.from_softmax(made, rewards.bfloat16())
        assert np.allclose(found.probabilities, expected.probabilities, rtol=1e-15)
        assert ml.max_at_k(found, 2) == ml.max_at_k(expected, 2)
        assert np.array_equal(ml.max_at_k_gradient(found, 2), ml.max_at_k_gradient(expected, 2))
    scores = torch.eye(3, dtype=torch.float64, requires_grad=True) - 1 / 3
    outcomes = ml.RewardLevels.from_outcomes(torch.full((3,), 1 / 3, dtype=torch.float64), scores, rewards)
    assert outcomes.values.tolist() == [0.0, 1.0]


def test_what_is_no_number_is_named() -> None:
    with pytest.raises(TypeError, match="rewards: dtype complex64: must be real numbers"):
        ml.RewardLevels.from_softmax([0.0, 1.0], torch.tensor([1j, 0]))


@pytest.mark.parametrize(
    ("theta", "says"),
    [
        (torch.zeros(5, dtype=torch.complex64), "theta: dtype complex64: must be real"),
        (["a"] * 5, "theta: dtype <U1: must be real"),
        (torch.zeros(5, device="meta"), "theta cannot be read as real numbers: .*meta"),
    ],
)
def test_parameters_that_are_no_real_numbers_are_named(theta: Any, says: str) -> None:
    bandit = envs.SparseBandit(arms=5, good=1)
    calls: list[Callable[[], Any]] = [
        lambda: bandit.max_at_k(theta, 2),
        lambda: bandit.levels(theta),
        lambda: bandit.sampler(theta),
        lambda: TabularEnv(bandit.mdp, theta),
        lambda: RolloutSampler("CartPole-v1", torch.nn.Linear(4, 2), horizon=2, theta=theta),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=says):
            call()
    with pytest.raises(TypeError, match=says.replace("theta", "logits")):
        ml.RewardLevels.from_softmax(theta, np.zeros(5))


def test_rows_of_different_length_are_named() -> None:
    with pytest.raises(ValueError, match="scores must be an array of real numbers"):
        ml.RewardLevels.from_outcomes([0.5, 0.5], [[0.0], [0.0, 1.0]], [0.0, 1.0])


@pytest.mark.parametrize("made", [torch.Tensor.bfloat16, torch.Tensor.requires_grad_, torch.Tensor.to_sparse])
def test_every_way_in_takes_every_tensor(made: Callable[[torch.Tensor], torch.Tensor]) -> None:
    given = made(torch.tensor([0.0, 0.5, -1.0, 2.0, 0.25]))
    bandit = envs.SparseBandit(arms=5, good=1)
    expected = [0.0, 0.5, -1.0, 2.0, 0.25]
    assert TabularEnv(bandit.mdp, given).theta.tolist() == expected
    assert bandit.max_at_k(given, 3) == bandit.max_at_k(np.array(expected), 3)
    made_of = RewardLevels.from_softmax(np.zeros(5), given).values
    assert made_of.tolist() == sorted(expected)
    first, second = made_of[:2], given.detach().to_dense()[:2] * 0 + 0.5
    levels = RewardLevels(
        values=first,
        probabilities=made(second),
        mean_scores=made(torch.zeros(2, 1)),
        score_second_moments=made(torch.zeros(2)),
    )
    assert levels.probabilities.tolist() == [0.5, 0.5]


def _integers() -> list[tuple[str, str, Any]]:
    """Every setting of every environment that is an integer: the environment, its name, a valid value."""
    fixed = {"codes": 1, "prompts": 3, "seed": 2, "size": 4, "horizon": 40, "loops": 1}
    found = []
    for name in ("SparseBandit", "PromptBandit", "CombinationLock", "Maze", "ChainSum", "GaussianBandit"):
        for setting in inspect.signature(getattr(envs, name)).parameters.values():
            if str(setting.annotation).startswith("int"):
                default = setting.default if setting.default is not None else fixed[setting.name]
                found.append((name, setting.name, default))
    return found


@pytest.mark.parametrize(("name", "setting", "value"), _integers(), ids=str)
def test_every_integer_setting_takes_numpys_and_no_bool(name: str, setting: str, value: int) -> None:
    others: dict[str, Any] = {"Maze": {"size": 4, "seed": 2}, "ChainSum": {"prompts": 3}}.get(name, {})
    make: Any = getattr(envs, name)
    ours, theirs = (make(**{**others, setting: each}) for each in (value, np.int64(value)))
    assert theirs.max_at_k(theirs.theta, 2) == ours.max_at_k(ours.theta, 2)
    with pytest.raises(TypeError, match=f"{setting}=True is a bool"):
        make(**{**others, setting: True})


def test_the_settings_of_every_environment_are_found() -> None:
    assert {name for name, _, _ in _integers()} == {
        "SparseBandit",
        "PromptBandit",
        "CombinationLock",
        "Maze",
        "ChainSum",
    }
    assert len(_integers()) >= 15


def test_vectors_and_samplers_take_numpys_integers_and_no_bool() -> None:
    bandit = envs.SparseBandit(arms=5, good=1)
    calls: dict[str, Callable[[Any], Any]] = {
        "num_envs": lambda i: TabularVectorEnv(bandit, i),
        "horizon": lambda i: RolloutSampler("CartPole-v1", torch.nn.Linear(4, 2), horizon=i),
        "copies": lambda i: RolloutSampler("CartPole-v1", torch.nn.Linear(4, 2), horizon=2, copies=i),
        "visits": lambda i: envs.check_step(bandit, bandit.mdp, visits=i),
        "steps": lambda i: envs.check_step(bandit, bandit.mdp, steps=i),
        "seed": lambda i: envs.check_step(bandit, bandit.mdp, seed=i),
    }
    for name, call in calls.items():
        call(np.int64(2))
        with pytest.raises(TypeError, match=f"{name}=True is a bool"):
            call(True)
