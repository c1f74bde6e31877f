r"""A log-linear policy as a world: outcomes with features, and prompts that share the parameters.

.. math:: \pi_\theta(a \mid x) \propto \exp \langle \phi(x, a), \theta \rangle, \qquad
          \nabla \log \pi_\theta(a \mid x) = \phi(x, a) - E_{\pi_\theta(\cdot \mid x)} \phi .

With fewer parameters than outcomes no policy can put all its mass on one outcome of each prompt, so that what
is correct stays diverse.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from maxpo_lab import RewardLevels
from maxpo_lab.core.arrays import Float, Int

from .episodes import bisected
from .protocol import Spread, Uniforms

#: Probabilities of policies that are in the cache together: 2 MiB.
_BLOCK = 1 << 18


@dataclass(frozen=True, eq=False)
class LinearWorld:
    """A ``World`` of log-linear policies over M outcomes of each prompt.

    Attributes
    ----------
    values, optimum, start
        As in ``World``.
    features
        phi, (prompts, M, d).
    level
        Place in ``values`` of every outcome's reward, (prompts, M).
    """

    values: torch.Tensor
    optimum: float
    start: torch.Tensor
    features: torch.Tensor
    level: torch.Tensor

    @classmethod
    def of(cls, features: npt.ArrayLike, rewards: npt.ArrayLike, start: npt.ArrayLike) -> Self:
        """The world of features (prompts, M, d) and rewards (prompts, M), from parameters (d,)."""
        phi, given = (np.array(each, dtype=np.float64) for each in (features, rewards))
        theta = np.array(start, dtype=np.float64)
        if phi.ndim != 3 or given.shape != phi.shape[:2] or theta.shape != phi.shape[2:]:
            raise ValueError(
                f"features, rewards and start have shapes {phi.shape}, {given.shape} and {theta.shape}: "
                f"expected (prompts, M, d), (prompts, M) and (d,)"
            )
        if not given.size:
            raise ValueError(f"rewards have shape {given.shape}: give at least one outcome of one prompt")
        for name, each in (("features", phi), ("rewards", given), ("start", theta)):
            if not np.isfinite(each).all():
                raise ValueError(f"{name} hold {each[~np.isfinite(each)][0]}: every number must be finite")
        values, level = np.unique(given, return_inverse=True)
        return cls(
            values=torch.tensor(values),
            optimum=float(given.max(axis=1).mean()),
            start=torch.tensor(theta),
            features=torch.tensor(phi),
            level=torch.tensor(level.reshape(given.shape)),
        )

    @property
    def prompts(self) -> int:
        """How many prompts there are."""
        return len(self.level)

    def masses(self, theta: torch.Tensor) -> torch.Tensor:
        """Probabilities of the rewards, (arms, seeds, prompts, L). Cost O(prompts M d) per policy."""
        found = self._by_reward(self._logs(theta).exp())
        return found.reshape(*theta.shape[:2], *found.shape[1:])

    def measured(self, theta: torch.Tensor) -> tuple[torch.Tensor, Spread]:
        """The masses, and how the outcomes spread. Cost: as ``masses``."""
        found = [self._measured(each) for each in self._blocks(theta)]
        masses, entropy, among = (torch.cat(each) for each in zip(*found, strict=True))
        entropy, among = (each.reshape(theta.shape[:2]) for each in (entropy, among))
        return masses.reshape(*theta.shape[:2], *masses.shape[1:]), Spread(entropy, among)

    def rollouts(self, theta: torch.Tensor, groups: int, n: int, uniforms: Uniforms) -> Chosen:
        """Groups of outcomes: a number for the prompt of each group, then one per rollout."""
        arms, seeds = theta.shape[:2]
        drawn = (uniforms(groups) * self.prompts).long()
        prompt = drawn.repeat_interleave(n, dim=1).numpy()
        numbers = uniforms(groups * n).numpy()
        chosen, means, first = [], [], 0
        for block in self._blocks(theta):
            policy = torch.softmax(self._logits(block), dim=-1)
            seed = np.arange(first, first + len(block)) % seeds
            chosen.append(_drawn(policy, prompt[seed], numbers[seed]))
            means.append(torch.einsum("bxm,xmd->bxd", policy, self.features))
            first += len(block)
        place = torch.from_numpy(np.concatenate(chosen)).reshape(arms, seeds, groups, n)
        mean = torch.cat(means).reshape(arms, seeds, self.prompts, -1)
        return Chosen(self.values[self.level.flatten()[place]], drawn, place, mean, self)

    def levels(self, theta: npt.ArrayLike) -> list[RewardLevels]:
        """The exact oracle of every prompt at one policy (d,), with covariances. Cost O(prompts M d^2)."""
        point = torch.as_tensor(np.asarray(theta, dtype=np.float64))[None]
        policy = self._logs(point)[0].exp().numpy()
        phi = self.features.numpy()
        rewards = self.values[self.level].numpy()
        return [
            RewardLevels.from_outcomes(chance, own - chance @ own, reward, covariances="full")
            for chance, own, reward in zip(policy, phi, rewards, strict=True)
        ]

    def means(self, theta: torch.Tensor) -> torch.Tensor:
        """Mean features of every prompt, (arms, seeds, prompts, d)."""
        found = [
            torch.einsum("bxm,xmd->bxd", self._logs(each).exp(), self.features)
            for each in self._blocks(theta)
        ]
        return torch.cat(found).reshape(*theta.shape[:2], self.prompts, -1)

    def log_probabilities(self, theta: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
        """Those of outcomes (arms, seeds, ...), numbers over all prompts' outcomes, under theta."""
        rows, first = place.flatten(0, 1).flatten(1), 0
        found = []
        for block in self._blocks(theta):
            found.append(self._logs(block).flatten(1).gather(1, rows[first : first + len(block)]))
            first += len(block)
        return torch.cat(found).reshape(place.shape)

    def _blocks(self, theta: torch.Tensor) -> Iterator[torch.Tensor]:
        stack, size = theta.reshape(-1, theta.shape[-1]), max(1, _BLOCK // self.level.numel())
        yield from (stack[first : first + size] for first in range(0, len(stack), size))

    def _logs(self, theta: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of all outcomes, (policies, prompts, M)."""
        return torch.log_softmax(self._logits(theta), dim=-1)

    def _logits(self, theta: torch.Tensor) -> torch.Tensor:
        phi = self.features
        logits = theta.reshape(-1, theta.shape[-1]) @ phi.flatten(0, 1).T
        return logits.reshape(len(logits), *phi.shape[:2])

    def _measured(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        logs = self._logs(theta)
        chance = logs.exp()
        correct = chance * (self.level == self.level.amax(dim=1, keepdim=True))
        mass = correct.sum(dim=-1)
        # No correct outcome has any probability left: 0/0, a NaN.
        among = (mass.log() - (correct * logs).sum(dim=-1) / mass).exp().mean(dim=-1)
        return self._by_reward(chance), -(chance * logs).sum(dim=-1).mean(dim=-1), among

    def _by_reward(self, chance: torch.Tensor) -> torch.Tensor:
        """Probabilities (policies, prompts, M) added up by reward."""
        own = torch.nn.functional.one_hot(self.level, len(self.values)).to(chance.dtype)
        return torch.einsum("bxm,xml->bxl", chance, own)


def _drawn(policy: torch.Tensor, prompt: Int, numbers: Float) -> Int:
    """Outcomes by inversion, numbers over all prompts': policy (B, prompts, M), the others (B, rollouts)."""
    policies, prompts, outcomes = policy.shape
    width = 1 << (outcomes - 1).bit_length()
    edges = policy.new_full((policies, prompts, width), float("inf"))
    torch.cumsum(policy[..., :-1], dim=-1, out=edges[..., : outcomes - 1])
    # Rows of `bisected` go from o to o + 1; all of these go from 0 to 1.
    own = (np.arange(policies)[:, None] * prompts + prompt) * width
    found = bisected(edges.numpy().ravel(), np.zeros_like(own), own, numbers, width)
    return np.asarray(prompt * outcomes + found)


@dataclass(frozen=True, eq=False)
class Chosen:
    """Groups of outcomes of every policy.

    ``prompts``, as in ``Rollouts``, are numbers of the world's, ``place`` (arms, seeds, groups, n) those of
    outcomes over all prompts, ``mean`` (arms, seeds, prompts, d) the mean features of the policy that drew.
    """

    rewards: torch.Tensor
    prompts: torch.Tensor
    place: torch.Tensor
    mean: torch.Tensor
    world: LinearWorld

    def replaced(self, others: Self, arms: Sequence[int], where: torch.Tensor) -> Self:
        """With the groups of these arms that are so marked, (arms, seeds, groups), those of the others."""
        rewards, place = self.rewards.clone(), self.place.clone()
        prompts = self.prompts.expand(rewards.shape[:-1]).clone()
        rewards[arms] = torch.where(where[..., None], others.rewards, rewards[arms])
        place[arms] = torch.where(where[..., None], others.place, place[arms])
        prompts[arms] = torch.where(where, others.prompts, prompts[arms])
        return replace(self, rewards=rewards, prompts=prompts, place=place)

    def gradient(self, advantages: torch.Tensor) -> torch.Tensor:
        """Advantages times features, less the mean features of their prompts."""
        return self.scores(advantages / advantages[0, 0].numel(), self.mean)

    def scores(self, weights: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        """``sum w_i (phi_i - mean)``: weights (arms, seeds, groups, n) to (arms, seeds, d)."""
        features = self.world.features.flatten(0, 1)
        made = torch.einsum("asr,asrd->asd", weights.flatten(2), features[self.place.flatten(2)])
        of_prompt = self.prompts.expand(weights.shape[:-1])[..., None]
        own = mean.gather(2, of_prompt.expand(*of_prompt.shape[:-1], mean.shape[-1]))
        return made - torch.einsum("asg,asgd->asd", weights.sum(dim=-1), own)

    @property
    def mask(self) -> torch.Tensor:
        """An outcome is one token, (arms, seeds, groups, n, 1)."""
        return torch.ones(*self.rewards.shape, 1, dtype=torch.bool)

    def tokens(self, theta: torch.Tensor) -> ChosenAt:
        """The same outcomes under parameters theta (arms, seeds, d)."""
        logs = self.world.log_probabilities(theta, self.place)
        return ChosenAt(logs[..., None], self.world.means(theta), self)


@dataclass(frozen=True, eq=False)
class ChosenAt:
    """Outcomes under a stack of policies with these mean features."""

    logs: torch.Tensor
    mean: torch.Tensor
    rollouts: Chosen

    def gradient(self, weights: torch.Tensor) -> torch.Tensor:
        """Weights times features, less the mean features of their prompts."""
        return self.rollouts.scores(weights.squeeze(-1), self.mean)
