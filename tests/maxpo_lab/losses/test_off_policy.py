"""max@K from an older policy's rollouts: unbiased by enumeration, and MaxPO on-policy."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import prod

import numpy as np
import pytest
import torch

import maxpo_lab as ml
from maxpo_lab.losses import definitions, off_policy_advantages


@pytest.mark.parametrize("n", [2, 5, 8])
def test_it_is_its_definition(n: int) -> None:
    rng = np.random.default_rng(n)
    rewards = rng.integers(-2, 4, size=(6, n)).astype(float)
    logs = rng.normal(size=(6, n))
    for k in range(1, n):
        found = off_policy_advantages(rewards, k, log_ratios=logs)
        expected = [definitions.off_policy(r, np.exp(x), k) for r, x in zip(rewards, logs, strict=True)]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())
        tensors = off_policy_advantages(torch.tensor(rewards), k, log_ratios=torch.tensor(logs))
        np.testing.assert_allclose(tensors.numpy(), found, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("k", [1, 3, 6])
def test_on_policy_it_is_maxpo(k: int) -> None:
    rewards = np.random.default_rng(2).normal(size=(20, 8))
    found = off_policy_advantages(rewards, k, log_ratios=np.zeros_like(rewards))
    np.testing.assert_allclose(found, ml.advantages(rewards, k), rtol=1e-12, atol=1e-12)
    bare = off_policy_advantages(rewards, k, log_ratios=np.zeros_like(rewards), baseline="none")
    np.testing.assert_allclose(bare, ml.advantages(rewards, k, estimator="pkpo-s"), rtol=1e-12, atol=1e-12)


def test_it_is_unbiased_exactly() -> None:
    """Three answers, four rollouts of an older policy: all 81 groups, in rationals."""
    rewards = [Fraction(0), Fraction(1, 3), Fraction(1)]
    old = [Fraction(1, 2), Fraction(3, 10), Fraction(1, 5)]
    new = [Fraction(1, 4), Fraction(1, 4), Fraction(1, 2)]
    ratio = [p / q for p, q in zip(new, old, strict=True)]
    n = 4
    for k in (1, 2, 3):
        mean = [Fraction(0)] * 3
        for group in product(range(3), repeat=n):
            advantages = definitions.off_policy([rewards[a] for a in group], [ratio[a] for a in group], k)
            chance = prod(old[a] for a in group)
            for a, advantage in zip(group, advantages, strict=True):
                for b in range(3):  # the score of softmax logits
                    mean[b] += chance * ratio[a] * advantage * ((a == b) - new[b]) / n
        value = [
            sum(
                prod(new[a] for a in draws)
                * max(rewards[a] for a in draws)
                * sum((a == b) - new[b] for a in draws)
                for draws in product(range(3), repeat=k)
            )
            for b in range(3)
        ]
        assert mean == value


def test_the_loss_weighs_them_by_whole_rollouts() -> None:
    rng = np.random.default_rng(4)
    rewards, tokens = rng.normal(size=(3, 5)), rng.normal(size=(3, 5, 4)) / 4
    advantages = off_policy_advantages(rewards, 2, log_ratios=tokens.sum(-1))
    weights = ml.get_loss("off-policy").weights(advantages, log_ratios=tokens)
    expected = (advantages * np.exp(tokens.sum(-1)))[..., None]
    np.testing.assert_allclose(weights, np.broadcast_to(expected, tokens.shape), rtol=1e-13)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 4}, "k=4: the leave-one-out baseline needs k <= n-1 = 3"),
        ({"k": 5}, "1 <= k <= n = 4"),
        ({"baseline": "mean"}, "baseline='mean': must be"),
        ({"log_ratios": np.array([[0.0, -np.inf, 0, 0]])}, "current policy gives probability 0"),
        ({"log_ratios": np.zeros((1, 3))}, "they must|expected"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, object], message: str) -> None:
    call = {"k": 2, "log_ratios": np.zeros((1, 4))} | arguments
    with pytest.raises(ValueError, match=message):
        off_policy_advantages(np.eye(4)[:1], call.pop("k"), **call)  # type: ignore[arg-type]
