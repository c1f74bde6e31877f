"""Outcomes of specimens: their levels are the oracle's, and a network's update is autograd's."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import maxpo_lab as ml
from envs.networks.architectures import Transformer, TransformerConfig
from envs.networks.sequence import SequencePolicy

CASES: list[tuple[str, dict[str, Any]]] = [
    ("maxpo/SparseBandit-v0", {"arms": 9, "good": 4, "grades": (0.25, 0.5, 1.0), "within": "zipf"}),
    ("maxpo/PromptBandit-v0", {"prompts": 3, "arms": 8, "good": 3, "hardest": 0.02, "grades": (0.5, 1.0)}),
    ("maxpo/CombinationLock-v0", {"length": 4, "choices": 2, "codes": 2, "credit": "prefix"}),
    ("maxpo/Maze-v0", {"size": 3, "loops": 1, "horizon": 5}),
    ("maxpo/Maze-v0", {"layout": "####\n#1S#\n#.G#\n####", "slip": 0.2, "horizon": 4}),
    ("maxpo/ChainSum-v0", {"base": 2, "digits": 3, "credit": 0.3}),
]


@pytest.mark.parametrize(
    ("name", "settings"), CASES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(CASES)]
)
def test_outcomes_have_the_levels_of_the_oracle(name: str, settings: dict[str, Any]) -> None:
    specimen: Any = gymnasium.make(name, **settings).unwrapped
    theta = specimen.theta + 0.4 * np.random.default_rng(3).normal(size=specimen.theta.shape)
    for prompt in range(specimen.prompts):
        outcomes, known = specimen.outcomes(theta, prompt), specimen.levels(theta, prompt)
        found = outcomes.levels()
        assert np.array_equal(found.values, known.values)
        for field_ in ("probabilities", "mean_scores", "score_second_moments", "projected_covariances"):
            assert np.allclose(getattr(found, field_), getattr(known, field_), rtol=1e-11, atol=1e-12), field_


def test_policies_beside_are_those_of_their_parameters() -> None:
    lock: Any = gymnasium.make("maxpo/CombinationLock-v0", length=3, choices=2).unwrapped
    rng = np.random.default_rng(0)
    old, reference = (lock.theta + rng.normal(size=lock.theta.shape) for _ in range(2))
    found = lock.outcomes(lock.theta, behaviour=old, reference=reference)
    assert np.allclose(found.drawn, lock.outcomes(old).drawn, rtol=0, atol=1e-15)
    assert found.divergence > 0
    assert lock.outcomes(lock.theta, behaviour=lock.theta).divergence == pytest.approx(0, abs=1e-15)
    assert set(found.log_ratios()) == {"log_ratios", "behaviour_log_ratios", "reference_log_ratios"}


def test_too_many_episodes_are_refused() -> None:
    maze: Any = gymnasium.make("maxpo/Maze-v0", size=5).unwrapped
    with pytest.raises(ValueError, match="more than 100,000 episodes after"):
        maze.outcomes(maze.theta)


@dataclass(frozen=True)
class Rising:
    """Three of four tokens: rising pays 1, ending above the start half."""

    vocabulary: int = 4
    length: int = 3
    prompt_tokens: np.ndarray = field(default_factory=lambda: np.zeros((1, 0), dtype=np.int64))

    def verify(self, prompt: int, tokens: np.ndarray) -> np.ndarray:
        rising = (np.diff(tokens, axis=1) > 0).all(axis=1)
        return np.where(rising, 1.0, 0.5 * (tokens[:, 0] < tokens[:, -1]))


@pytest.mark.parametrize("loss", ["ppo:over=group-token-mean", "gspo:low=0.1,high=0.1", "kl"])
def test_the_update_of_a_transformer_is_autograd_through_the_enumerated_loss(loss: str) -> None:
    """A clipped surrogate, written here, of all 4,096 groups of two of its 64 outputs."""
    task = Rising()
    network = Transformer(
        TransformerConfig(vocabulary=4, positions=3, width=4, heads=2), torch.Generator().manual_seed(0)
    )
    specimen = SequencePolicy(task, network)
    rng = np.random.default_rng(1)
    old, reference = (specimen.theta + 0.2 * rng.normal(size=specimen.theta.shape) for _ in range(2))
    policy = specimen.outcomes(specimen.theta, behaviour=old, reference=reference)
    found = ml.update_moments("maxpo", loss, policy, n=2, k=1)

    leaf = torch.tensor(specimen.theta, requires_grad=True)
    tokens = torch.tensor(specimen.outputs())
    context = specimen.policy.contexts.expand(len(tokens), -1)

    def logs(theta: torch.Tensor) -> torch.Tensor:
        return specimen.policy.token_log_probabilities(theta, context, tokens)

    with torch.no_grad():
        before, beside = logs(torch.tensor(old)), logs(torch.tensor(reference))
    now = logs(leaf)
    groups = torch.tensor(list(product(range(64), repeat=2)))
    chance = before.sum(dim=1).exp()[groups].prod(dim=1)
    rewards = torch.tensor(specimen.rewards())[groups]
    advantages = (rewards - rewards.mean(dim=1, keepdim=True)) * 2  # maxpo at K = 1 is RLOO
    ratio = (now - before).exp()
    low = high = 0.2
    if loss.startswith("gspo"):
        ratio, low, high = (now - before).mean(dim=1, keepdim=True).exp().expand(-1, 3), 0.1, 0.1
    if loss == "kl":
        apart = now - beside
        surrogate = advantages[..., None] * now[groups] - 0.001 * ((-apart).exp() - 1 + apart)[groups]
    else:
        own = ratio[groups]
        surrogate = torch.minimum(
            own * advantages[..., None], own.clamp(1 - low, 1 + high) * advantages[..., None]
        )
    total = {"kl": 1.0}.get(loss, 3.0)  # tokens of a rollout, all three
    expected = (chance * surrogate.sum(dim=(1, 2)) / (2 * total)).sum()
    (gradient,) = torch.autograd.grad(expected, leaf)
    assert np.allclose(found.mean, gradient.numpy(), rtol=0, atol=1e-10 * np.abs(gradient.numpy()).max())
