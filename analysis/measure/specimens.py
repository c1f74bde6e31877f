"""The specimens that the studies measure: one or two of every kind, at policies of a stated success."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from envs import ChainSum, CombinationLock, Maze, PromptBandit, SparseBandit, from_gymnasium
from envs.base.paths import TrainingPath
from envs.base.specimen import ExactSpecimen
from maxpo_lab import RewardLevels
from maxpo_lab.core.arrays import Float
from maxpo_lab.core.registry import Registry

#: Root of the random policies.
SEED = 260606080


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A specimen as the studies know it.

    Attributes
    ----------
    make
        The specimen.
    prompt
        The prompt that is measured, where there are several.
    noise
        Standard deviation of the Gaussian logits added to the initial parameters, so that no two outcomes
        are alike.
    reach
        The largest success on its training path that the studies ask for: a slippery lake cannot be crossed
        for certain.
    """

    make: Callable[[], ExactSpecimen]
    prompt: int | None = None
    noise: float = 1.0
    reach: float = 0.99


def _transformer() -> ExactSpecimen:
    from envs.networks.sequence import SequencePolicy  # noqa: PLC0415 - torch is heavy to import

    return SequencePolicy(ChainSum(base=4, digits=2, prompts=1, verifier="chain"), "transformer")


def _gru() -> ExactSpecimen:
    from envs.networks.sequence import SequencePolicy  # noqa: PLC0415

    return SequencePolicy(CombinationLock(length=4, choices=4, credit="prefix"), "gru")


SUBJECTS: Registry[Subject] = Registry(
    "specimen",
    {
        "bandit, many correct": Subject(make=lambda: SparseBandit(arms=100, good=10)),
        "bandit, one correct": Subject(make=lambda: SparseBandit(arms=10, good=1)),
        "bandit, graded": Subject(
            make=lambda: SparseBandit(arms=100, good=12, grades=(0.25, 0.5, 0.75, 1.0))
        ),
        "prompt of a batch": Subject(make=PromptBandit, prompt=16),
        "lock": Subject(make=lambda: CombinationLock(length=4, choices=4), noise=0.5),
        "maze": Subject(make=lambda: Maze(goals=(1.0,)), noise=0.5),
        "maze, graded": Subject(make=lambda: Maze("cross"), noise=0.5),
        "chain": Subject(make=lambda: ChainSum(base=5, digits=3, verifier="chain"), prompt=7, noise=0.5),
        "chain, credit": Subject(make=lambda: ChainSum(base=5, digits=3, credit=0.2), prompt=7, noise=0.5),
        "lake": Subject(make=lambda: from_gymnasium("FrozenLake-v1", horizon=100), noise=0.5, reach=0.5),
        "cliff": Subject(make=lambda: from_gymnasium("CliffWalking-v1", horizon=20), noise=0.5),
        "transformer": Subject(make=_transformer, noise=0.0),
        "gru, credit": Subject(make=_gru, noise=0.0),
    },
)


@cache
def path(name: str) -> TrainingPath:
    """The training path of a subject, from its noisy initial parameters."""
    subject = SUBJECTS[name]
    specimen = subject.make()
    theta = noisy_start(specimen, subject.noise, list(SUBJECTS).index(name))
    return TrainingPath(specimen, theta, subject.prompt)


def noisy_start(specimen: ExactSpecimen, noise: float, place: int) -> Float:
    """Initial parameters plus Gaussian logits of this deviation, from the random stream of this place."""
    stream = np.random.SeedSequence(SEED, spawn_key=(place,))
    drawn = np.random.default_rng(stream).normal(scale=noise, size=specimen.theta.shape)
    return np.asarray(specimen.theta + drawn)


@cache
def levels(name: str, success: float) -> RewardLevels:
    """Reward levels of a subject's policy of this success."""
    return path(name).levels(success)
