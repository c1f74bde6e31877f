"""Who meets whom in a batch: its places, and the states that a group at each of them can be in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...core.arrays import Float, Int
from ...policies.levels import RewardLevels
from ..states import count_blocks


@dataclass(frozen=True, eq=False)
class Place:
    """A place of the batch: one prompt, or any of those that are drawn.

    Attributes
    ----------
    rewards, level
        The groups (S, n) of every state of every prompt that may be here, sorted, and the levels of their
        rollouts among those of the prompt.
    chance, owner
        Of each state, and whose it is, (S,).
    """

    rewards: Float
    level: Int
    chance: Float
    owner: Int

    def drawn(self, rng: np.random.Generator, size: int) -> Int:
        """States (size,) as they come."""
        return rng.choice(len(self.chance), size, p=self.chance / self.chance.sum())


@dataclass(frozen=True, eq=False)
class Meeting:
    """A batch of P places; ``drawn``: their prompts are drawn alike, so that one place stands for all."""

    prompts: tuple[RewardLevels, ...]
    places: tuple[Place, ...]
    n: int
    drawn: bool

    @property
    def asked(self) -> tuple[tuple[int, int], ...]:
        """Where each prompt is looked at: its number and its place."""
        return tuple((prompt, 0 if self.drawn else prompt) for prompt in range(len(self.prompts)))

    @cached_property
    def coordinates(self) -> Float:
        """Mean scores (prompts, L, r) in one orthonormal basis of the span of all; 0 beyond a prompt's L."""
        sizes = [len(levels.values) for levels in self.prompts]
        stacked = np.concatenate([levels.mean_scores for levels in self.prompts])
        triangle = np.asarray(np.linalg.qr(stacked.T)[1]).T
        found = np.zeros((len(sizes), max(sizes), triangle.shape[1]))
        for prompt, (start, size) in enumerate(zip(np.cumsum(sizes) - sizes, sizes, strict=True)):
            found[prompt, :size] = triangle[start : start + size]
        return found

    @cached_property
    def dimension(self) -> int:
        """r: numbers in a vector of that basis."""
        return int(self.coordinates.shape[2])

    @cached_property
    def apart(self) -> bool:
        """Whether no parameter moves two of the prompts, so that their gradients are orthogonal."""
        moves = np.stack([levels.mean_scores.any(axis=0) for levels in self.prompts])
        return not self.drawn and int(moves.sum(axis=0).max()) <= 1

    def pairs_of_means(self, means: Float) -> float:
        """``sum over places j != j' of <E x_j, E x_j'>``, of the means at each place, or of all alike."""
        if self.drawn:
            size = len(self.places)
            return float(size * (size - 1) * (means[0] @ means[0]))
        total = means.sum(axis=0)
        return float(total @ total - np.sum(means**2))

    def level_sums(self, level: Int, given: Float) -> Float:
        """Sums (..., L) by level of what rollouts of these levels, both (..., n), get."""
        inside = level[..., None] == np.arange(self.coordinates.shape[1])
        return np.asarray(np.einsum("...n,...nl->...l", given, inside.astype(np.float64)))

    def vectors(self, owner: Int, sums: Float) -> Float:
        """``x = sum_l T_l G_l`` (..., r) of groups of these prompts (...) with sums T (..., L) by level."""
        found = np.empty((*sums.shape[:-1], self.coordinates.shape[2]))
        for prompt in np.unique(owner):
            own = owner == prompt
            found[own] = sums[own] @ self.coordinates[prompt]
        return found


def each_once(prompts: Sequence[RewardLevels], n: int) -> Meeting:
    """The listed prompts, each at a place of its own."""
    prompts = tuple(prompts)
    return Meeting(prompts, tuple(_place([(i, each, 1.0)], n) for i, each in enumerate(prompts)), n, False)


def drawn(prompts: Sequence[RewardLevels], n: int, batch: int) -> Meeting:
    """``batch`` places, at each of them any of the prompts, drawn uniformly with replacement."""
    prompts = tuple(prompts)
    share = 1 / len(prompts)
    place = _place([(index, each, share) for index, each in enumerate(prompts)], n)
    return Meeting(prompts, (place,) * batch, n, True)


def _place(members: Sequence[tuple[int, RewardLevels, float]], n: int) -> Place:
    rewards, level, chance, owner = [], [], [], []
    for index, levels, share in members:
        for block in count_blocks(n, levels.probabilities):
            rewards.append(levels.values[block.level])
            level.append(block.level)
            chance.append(share * block.probability)
            owner.append(np.full(len(block.level), index))
    return Place(
        np.concatenate(rewards), np.concatenate(level), np.concatenate(chance), np.concatenate(owner)
    )
