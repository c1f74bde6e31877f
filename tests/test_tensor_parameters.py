"""Parameters and rewards as tensors that require grad, or in bfloat16; settings as NumPy's integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import envs
import maxpo_lab as ml

SPECIMENS: dict[str, Callable[[Callable[[int], Any]], Any]] = {
    "SparseBandit": lambda i: envs.SparseBandit(arms=i(10), good=i(2)),
    "PromptBandit": lambda i: envs.PromptBandit(prompts=i(3)),
    "CombinationLock": lambda i: envs.CombinationLock(length=i(3), choices=i(3)),
    "Maze": lambda i: envs.Maze(size=i(3), seed=i(1), loops=i(1), horizon=i(40)),
    "ChainSum": lambda i: envs.ChainSum(base=i(3), digits=i(2)),
    "GaussianBandit": lambda i: envs.GaussianBandit(),
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
    with pytest.raises(TypeError, match="rewards have dtype complex64: they must be real numbers"):
        ml.RewardLevels.from_softmax([0.0, 1.0], torch.tensor([1j, 0]))
