"""The worlds in which variance can become speed: many correct outcomes, an optimum inside, shared parameters.

Outcomes are points of R^d. A log-linear policy is a cloud of them that its parameters move, and a prompt is
solved near a target of its own. No parameters please all prompts, so the best policy lies inside, J_K is
curved there in every direction, and as the cloud cannot shrink what is correct stays diverse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from envs.bandits.sparse_bandit import SparseBandit
from envs.networks.architectures import GRU, GRUConfig
from envs.networks.sequence import SequencePolicy
from maxpo_lab import RewardLevels
from maxpo_lab.core.arrays import Float, Int64

from ...trainer import World, world_of
from ...trainer.linear import LinearWorld

#: Names of the worlds, as cells and rows have them.
LINEAR, GRADED, NETWORK, SPARSE = "linear", "graded", "network", "sparse bandit"
#: Prompts and outcomes of the log-linear worlds, and their parameters.
PROMPTS, OUTCOMES, DIMENSIONS = 8, 400, 12
#: How far the start is from where the targets lie on average, and these from there; in units of the cloud.
DISTANCE, SPREAD = 2.5, 1.0
#: The features' scale in the direction from the start to there, where the others' is 1: most of a gradient's
#: noise lies across the way.
SLOW = 0.5
#: Shares of the outcomes that are within each reward's radius: a reward is the mean of those it meets.
SHARES = {LINEAR: (0.35,), GRADED: (0.4, 0.2, 0.1, 0.04)}
#: Noise of the distance, in units of its standard deviation over a cloud: no radius is sharp.
BLUR = 0.2
#: The network: words of two tokens, each a point, and the units of a GRU.
VOCABULARY, LENGTH, UNITS, POINTS = 20, 2, 2, 3
NETWORK_PROMPTS, NETWORK_SHARE = 8, 0.15


@dataclass(frozen=True, eq=False)
class Subject:
    """A world, and the exact levels of its policy on every prompt, at parameters (d,)."""

    world: World
    levels: Callable[[Float], list[RewardLevels]]


def subject(name: str) -> Subject:
    """The world of this name; KeyError for any other."""
    made = {LINEAR: _linear, GRADED: _linear, NETWORK: _network, SPARSE: _sparse}
    return made[name](name)


def rewards_of(points: Float, targets: Float, shares: tuple[float, ...], rng: np.random.Generator) -> Float:
    """Rewards (prompts, M) of points (prompts, M, d): the share of the radii that an outcome is within."""
    distance = np.sum((points - targets[:, None]) ** 2, axis=-1)
    distance += BLUR * np.sqrt(2 * points.shape[-1]) * rng.standard_normal(distance.shape)
    ranks = distance.argsort(axis=-1).argsort(axis=-1) / distance.shape[-1]
    return np.asarray(sum((ranks < share).astype(np.float64) for share in shares) / len(shares))


def _linear(name: str) -> Subject:
    rng = np.random.default_rng([260606080, len(name)])
    along = np.eye(DIMENSIONS)[0]
    targets = DISTANCE / 2 * along + _spread(rng, PROMPTS, DIMENSIONS)
    points = rng.standard_normal((PROMPTS, OUTCOMES, DIMENSIONS))
    rewards = rewards_of(points, targets, SHARES[name], rng)
    slow = np.where(along > 0, SLOW, 1.0)
    world = LinearWorld.of(slow * points, rewards, -DISTANCE / 2 * along / SLOW)
    return Subject(world, world.levels)


def _spread(rng: np.random.Generator, prompts: int, d: int) -> Float:
    """Targets around 0, ``SPREAD`` from it in the root of the mean square."""
    own = rng.standard_normal((prompts, d))
    own -= own.mean(axis=0)
    return np.asarray(SPREAD * own / np.sqrt(np.sum(own**2, axis=1).mean()))


class _Points:
    """Words of two tokens whose points are near a prompt's target: many, and other ones for each prompt."""

    vocabulary, length = VOCABULARY, LENGTH

    def __init__(self) -> None:
        rng = np.random.default_rng(260606081)
        self.prompt_tokens: Int64 = np.arange(NETWORK_PROMPTS)[:, None]
        every = rng.standard_normal((LENGTH, VOCABULARY, POINTS)) / np.sqrt(LENGTH)
        points = (every[0][:, None] + every[1]).reshape(-1, POINTS)
        targets = _spread(rng, NETWORK_PROMPTS, POINTS)
        self._table = rewards_of(
            np.broadcast_to(points, (NETWORK_PROMPTS, *points.shape)), targets, (NETWORK_SHARE,), rng
        )

    def verify(self, prompt: int, tokens: Int64) -> Float:
        """1 for the words that are near enough."""
        return np.asarray(self._table[prompt][tokens[:, 0] * VOCABULARY + tokens[:, 1]])


def _network(_name: str) -> Subject:
    network = GRU(GRUConfig(vocabulary=VOCABULARY, width=UNITS), torch.Generator().manual_seed(1))
    specimen = SequencePolicy(_Points(), network)

    def levels(theta: Float) -> list[RewardLevels]:
        return [specimen.levels(theta, prompt, covariances="full") for prompt in range(specimen.prompts)]

    return Subject(world_of(specimen), levels)


def _sparse(_name: str) -> Subject:
    specimen = SparseBandit(arms=100, good=10, success=1e-3)
    return Subject(world_of(specimen), lambda theta: [specimen.levels(theta, covariances="full")])
