"""Batched episodes of a tabular process in torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from maxpo_lab.core.arrays import Float
from maxpo_lab.core.devices import as_device, check_generator

from .alias_tables import AliasTable
from .episode_scores import EpisodeScores
from .mdp import TabularMDP

#: Steps between two looks at whether every episode has ended: a GPU has to finish before it can be asked.
_CHECK = {"cpu": 8, "cuda": 64}


@dataclass(frozen=True, eq=False)
class EpisodeSampler:
    """Groups of i.i.d. episodes of a tabular process under a softmax policy.

    Called as ``sampler(groups, n, generator=...)``; returns returns, float64 (groups, n), and their
    ``EpisodeScores``. The generator must live on the sampler's device. Memory: 2 bytes per step, or 4 where
    there are 2^15 logits or more.

    Attributes
    ----------
    policy
        ``pi``, float64, shape (O, A).
    starts
        First states of the ``prompts``, a row each.
    steps
        Edges (transitions with their actions) that leave a state, a row each, and a last row of one edge for
        episodes that have ended.
    target, decision, amount
        Where each edge leads, its ``o A + a``, in the narrowest type that holds it, and its reward in units.
    scale, singles, rewards
        As in ``Units``.
    horizon
        Steps at most.
    """

    policy: torch.Tensor
    starts: AliasTable
    prompts: int
    steps: AliasTable
    target: torch.Tensor
    decision: torch.Tensor
    amount: torch.Tensor
    scale: torch.Tensor
    singles: torch.Tensor
    rewards: torch.Tensor
    horizon: int

    @property
    def device(self) -> torch.device:
        """Where the groups are drawn."""
        return self.policy.device

    @property
    def parameters(self) -> int:
        """d, the number of logits."""
        return self.policy.numel()

    @classmethod
    def of(
        cls, mdp: TabularMDP, policy: Float, prompts: Iterable[int], *, device: torch.device | str
    ) -> Self:
        """Sampler of a process under action probabilities ``policy`` (O, A), on some of its prompts."""
        device = as_device(device)
        order, begin = mdp.edges
        decision = mdp.observation[mdp.source[order]] * mdp.actions + mdp.action[order]
        chance = policy.ravel()[decision] * mdp.probability[order]
        # States without transitions, and one row more for episodes that have ended, stay where they are.
        still = np.append(np.diff(begin) == 0, True)
        sizes = np.append(np.diff(begin), 0)
        edges = len(order)
        sizes[still] = 1
        rows = np.concatenate([[0], np.cumsum(sizes)])
        outcome, weight = np.full(rows[-1], edges), np.ones(rows[-1])
        moving = np.repeat(~still, sizes)
        outcome[moving], weight[moving] = np.arange(edges), chance
        ended = len(mdp.observation)
        target = np.where(mdp.terminated[order], ended, mdp.target[order])
        starts = [mdp.starts[prompt] for prompt in prompts]
        units = mdp.units
        return cls(
            policy=torch.tensor(policy, device=device),
            starts=AliasTable.of(
                np.concatenate([[0], np.cumsum([len(start) for start in starts])]),
                np.array([state for start in starts for state in start], dtype=np.intp),
                np.array([share for start in starts for share in start.values()]),
                device=device,
            ),
            prompts=len(starts),
            steps=AliasTable.of(rows, outcome, weight, device=device),
            target=torch.tensor(np.append(target, ended), device=device),
            decision=torch.tensor(np.append(decision, policy.size), dtype=_whole(policy.size), device=device),
            amount=torch.tensor(np.append(units.amounts[order], 0), device=device),
            scale=torch.tensor(units.scale, dtype=torch.float64, device=device),
            singles=torch.tensor(units.singles, device=device),
            rewards=torch.tensor(units.rewards, device=device),
            horizon=mdp.horizon,
        )

    def __call__(
        self, groups: int, n: int, *, generator: torch.Generator
    ) -> tuple[torch.Tensor, EpisodeScores]:
        """Draw ``groups`` groups of n episodes."""
        check_generator(generator, self.device)
        row = self.starts.draw(self._prompts(groups, generator).expand(groups, n).reshape(-1), generator)
        ended = len(self.steps.threshold) // self.steps.width - 1
        decisions = self.decision.new_empty(self.horizon, groups * n)
        sums = torch.zeros_like(row)
        steps, look = 0, _CHECK[self.device.type]
        while steps < self.horizon:
            edge = self.steps.draw(row, generator)
            torch.index_select(self.decision, 0, edge, out=decisions[steps])
            sums += self.amount.index_select(0, edge)
            row = self.target.index_select(0, edge)
            steps += 1
            if steps % look == 0 and bool((row == ended).all()):
                break
        # A copy, so that steps nobody took are not kept.
        taken = decisions[:steps].clone() if steps < self.horizon else decisions
        scores = EpisodeScores(taken.reshape(steps, groups, n), self.policy)
        return self._returns(sums).reshape(groups, n), scores

    def _prompts(self, groups: int, generator: torch.Generator) -> torch.Tensor:
        """A prompt for each group, (groups, 1)."""
        if self.prompts == 1:
            return torch.zeros((groups, 1), dtype=torch.int64, device=self.device)
        return torch.randint(self.prompts, (groups, 1), generator=generator, device=self.device)

    def _returns(self, sums: torch.Tensor) -> torch.Tensor:
        """As ``Units.value``, to the bit: on a GPU too, as the divisor is not a Python number there."""
        place = torch.searchsorted(self.singles, sums).clamp_(max=len(self.singles) - 1)
        own = self.singles.take(place) == sums
        return torch.where(own, self.rewards.take(place), sums.double() / self.scale)


def _whole(largest: int) -> torch.dtype:
    """The narrowest type of whole numbers up to this one, of two."""
    return torch.int16 if largest < 1 << 15 else torch.int32
