"""Prompts that share all parameters: a small transformer on its way up pass@1, every gradient exact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import maxpo_lab as ml
from envs import ChainSum
from maxpo_lab import RewardLevels
from maxpo_lab.core.arrays import Float

#: Prompts of the task, and the length of a step along the exact gradient of mean pass@1.
PROMPTS, STEP = 8, 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """A policy on the path.

    Attributes
    ----------
    step
        Steps taken so far.
    prompts
        Reward levels on each prompt.
    similarity
        Mean cosine of the gradients of two prompts' success rates.
    opposed
        Prompts whose gradient points against that of the mean.
    """

    step: int
    prompts: tuple[RewardLevels, ...]
    similarity: float
    opposed: int


def path(seed: int, steps: int) -> Iterator[Stage]:
    """Policies from the initial one of this seed on, ``steps`` of them.

    The task: 8 prompts of two digits of base 4, whose running sums are right or not as a whole.
    """
    import torch  # noqa: PLC0415 - torch is heavy to import

    from envs.networks import Transformer, TransformerConfig  # noqa: PLC0415
    from envs.networks.sequence import SequencePolicy  # noqa: PLC0415

    task = ChainSum(base=4, digits=2, prompts=PROMPTS, verifier="chain")
    config = TransformerConfig(
        vocabulary=task.vocabulary,
        positions=task.prompt_tokens.shape[1] + task.length,
        width=16,
        heads=2,
        layers=1,
    )
    policy = SequencePolicy(task, Transformer(config, torch.Generator().manual_seed(seed)))
    theta = policy.theta
    for step in range(steps):
        prompts = tuple(policy.levels(theta, prompt, covariances=None) for prompt in range(PROMPTS))
        own = np.stack([ml.max_at_k_gradient(levels, 1) for levels in prompts])
        mean = own.mean(axis=0)
        yield Stage(
            step=step, prompts=prompts, similarity=_similarity(own), opposed=int(np.sum(own @ mean < 0))
        )
        theta = theta + STEP * mean / np.linalg.norm(mean)


def _similarity(gradients: Float) -> float:
    unit = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
    return float((unit @ unit.T)[np.triu_indices(len(unit), 1)].mean())
