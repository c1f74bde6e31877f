"""Training with a loss: the plain path, batches that are old or used again, and the update's exact mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import maxpo_lab as ml
from analysis.trainer import SGD, Arm, train, world_of
from analysis.trainer.ascent import Ascent, Batches
from analysis.trainer.protocol import Uniforms
from envs import CombinationLock, SparseBandit
from envs.networks.architectures import Transformer, TransformerConfig
from envs.networks.sequence import SequencePolicy
from maxpo_lab.integrations.schedules import KSteps

BANDIT = SparseBandit(arms=6, good=2, success=0.3)
LOCK = CombinationLock(length=3, choices=2)


class Longest:
    """Two tokens of three: equal ones pay 1."""

    vocabulary, length = 3, 2
    prompt_tokens = np.zeros((1, 0), dtype=np.int64)

    def verify(self, prompt: int, tokens: np.ndarray) -> np.ndarray:
        return (tokens[:, 0] == tokens[:, 1]).astype(np.float64)


def network() -> SequencePolicy:
    config = TransformerConfig(vocabulary=3, positions=2, width=4, heads=2)
    return SequencePolicy(Longest(), Transformer(config, torch.Generator().manual_seed(0)))


def arm(loss: Any, rule: str = "maxpo", size: float = 0.5) -> Arm:
    return Arm(rule=rule, step_size=size, schedule=KSteps({0: 2}), loss=loss)


def traced(specimen: Any, arms: list[Arm], **settings: Any) -> np.ndarray:
    every = {"n": 4, "groups": 3, "steps": 6, "seeds": [0, 1], "optimiser": SGD(), "evaluate_k": 2}
    return train(world_of(specimen), arms, points=range(7), **{**every, **settings}).objective


@pytest.mark.parametrize(
    ("specimen", "length"), [(BANDIT, 1), (LOCK, 3), (network(), 2)], ids=["bandit", "lock", "network"]
)
def test_losses_that_change_nothing_train_as_the_identity(specimen: Any, length: int) -> None:
    """On fresh rollouts no ratio differs from 1, and all have one length."""
    plain = traced(specimen, [arm("identity")])[0]
    for loss in ("ppo", "importance", "tis", "decoupled"):
        assert np.allclose(traced(specimen, [arm(loss)])[0], plain, rtol=0, atol=1e-12), loss
    for loss in (f"constant:length={length}", "sequence-mean", "group-token-mean", "token-mean"):
        found = traced(specimen, [arm(loss, size=0.5 * length)])[0]
        assert np.allclose(found, plain, rtol=0, atol=1e-12), loss


def test_arms_of_different_losses_train_as_alone() -> None:
    losses = ("identity", "ppo:high=0.05,low=0.05,over=token-mean", "kl:beta=0.3")
    settings = {"epochs": 2, "lag": 1}
    together = traced(LOCK, [arm(loss, size=3.0) for loss in losses], **settings)
    for i, loss in enumerate(losses):
        assert np.array_equal(together[i], traced(LOCK, [arm(loss, size=3.0)], **settings)[0])
    assert len({each.tobytes() for each in together}) == 3


@pytest.mark.parametrize("specimen", [LOCK, network()], ids=["lock", "network"])
@pytest.mark.parametrize("loss", ["ppo:high=0.05,low=0.05", "sequence-mean", "kl:beta=0.3", "identity"])
def test_a_step_with_old_rollouts_has_the_mean_of_update_moments(specimen: Any, loss: str) -> None:
    """One step of lag: 20,000 groups against the exact mean, within five standard errors of each entry."""
    groups, n, k = 20_000, 4, 2
    world = world_of(specimen)
    ascent = Ascent(world, (arm(loss),), Uniforms([3]), n=n, groups=groups, batches=Batches(epochs=1, lag=1))
    shift = 0.3 * torch.randn(
        world.start.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    old = world.start.expand(1, 1, -1).clone()
    ascent.gradient(old, 0)
    found = ascent.gradient(old + shift, 1)[0, 0].numpy()
    start = specimen.theta
    now = start + shift.numpy().reshape(start.shape)
    known = ml.update_moments(
        "maxpo", loss, specimen.outcomes(now, behaviour=start, reference=start), n=n, k=k
    )
    assert np.linalg.norm(found - known.mean) < 5 * np.sqrt(known.trace_covariance / groups)
    assert np.linalg.norm(known.mean) > 10 * np.sqrt(
        known.trace_covariance / groups
    )  # it could have been seen


@pytest.mark.parametrize(
    ("settings", "message"), [({"epochs": 0}, "epochs=0"), ({"lag": -1}, "lag=-1"), ({"lag": 0.5}, "lag=0.5")]
)
def test_batches_out_of_range_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        traced(BANDIT, [arm("ppo")], **settings)


def test_an_unknown_loss_is_named() -> None:
    with pytest.raises(ValueError, match="loss 'pop'"):
        arm("pop")
