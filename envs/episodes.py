"""Batched episodes of a tabular process in torch, with scores kept as the decisions that were taken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from maxpo_lab.devices import as_device, check_generator

from .mdp import TabularMDP

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.intp]

#: Numbers in a block of dense group gradients, and decisions in it: 32 MiB of float64.
BLOCK = 1 << 22
#: Steps between two looks at whether every episode has ended.
_CHECK = 8


@dataclass(frozen=True, eq=False)
class AliasTable:
    """Draws from many discrete distributions by two look-ups each (Walker's alias method).

    Attributes
    ----------
    threshold
        Chance that a column of a row stands for its own outcome, float64, shape (rows * width,).
    outcome
        What each column draws otherwise, and its own outcome, int64, shape (rows * width * 2,).
    width
        Columns of a row.
    """

    threshold: torch.Tensor
    outcome: torch.Tensor
    width: int

    @classmethod
    def of(cls, begin: Int, outcome: Int, chance: Float, *, device: torch.device | str) -> Self:
        """A table of distributions: row i is ``outcome`` with ``chance`` from ``begin[i]`` to ``begin[i+1]``.

        Cost O(rows width^2).
        """
        sizes = np.diff(begin)
        width = int(sizes.max())
        column = np.arange(width)
        place = begin[:-1, None] + np.minimum(column, sizes[:, None] - 1)
        share = np.where(column < sizes[:, None], chance[place], 0.0)
        share *= width / share.sum(axis=1, keepdims=True)
        threshold, other = _robin_hood(share)
        names = outcome[place]
        pairs = np.stack([np.take_along_axis(names, other, axis=1), names], axis=-1)
        return cls(
            torch.tensor(threshold.ravel(), device=device), torch.tensor(pairs.ravel(), device=device), width
        )

    def draw(self, row: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """One outcome of each of these rows."""
        place = torch.rand(row.shape, dtype=torch.float64, device=row.device, generator=generator)
        place *= self.width
        column = place.long()
        place -= column
        cell = column.add_(row, alpha=self.width)
        own = place < self.threshold.take(cell)
        return self.outcome.take(cell.mul_(2).add_(own))


def _robin_hood(share: Float) -> tuple[Float, Int]:
    """Thresholds and aliases of rows whose shares sum to their width: the richest fills the poorest."""
    rows, width = share.shape
    threshold, alias = np.ones(share.shape), np.tile(np.arange(width), (rows, 1))
    every, left = np.arange(rows), share.copy()
    open_ = np.ones(share.shape, dtype=bool)
    for _ in range(width - 1):
        poor = np.where(open_, left, np.inf).argmin(axis=1)
        rich = np.where(open_, left, -np.inf).argmax(axis=1)
        kept = np.minimum(left[every, poor], 1.0)
        threshold[every, poor] = kept
        alias[every, poor] = rich
        left[every, rich] -= 1.0 - kept
        open_[every, poor] = False
    return threshold, alias


@dataclass(frozen=True, eq=False)
class EpisodeScores:
    """Scores of episodes, ``s_i = sum_t (e_(o_t, a_t) - pi(.|o_t))``, kept as their decisions.

    Attributes
    ----------
    decisions
        Index ``o A + a`` of every decision, or ``O A`` after the end, int64, shape (T, groups, n).
    policy
        ``pi``, float64, shape (O, A); d = O A.
    """

    decisions: torch.Tensor
    policy: torch.Tensor

    def weighted_sum(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_i A_i s_i`` of each group: (..., groups, n) to (..., groups, d)."""
        return self._each(advantages, per_group=True).reshape(*advantages.shape[:-1], -1)

    def total(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_i A_i s_i`` over all groups: (..., groups, n) to (..., d)."""
        return self._each(advantages, per_group=False).reshape(*advantages.shape[:-2], -1)

    def squared_norm(self, advantages: torch.Tensor) -> torch.Tensor:
        """``|sum_i A_i s_i|^2`` of each group: (..., groups, n) to (..., groups), in blocks of groups."""
        self._check(advantages)
        steps, _, n = self.decisions.shape
        size = max(1, BLOCK // max(self.policy.numel() * prod(advantages.shape[:-2]), steps * n))
        norms = [
            EpisodeScores(self.decisions[:, i : i + size], self.policy)
            .weighted_sum(advantages[..., i : i + size, :])
            .square()
            .sum(dim=-1)
            for i in range(0, advantages.shape[-2], size)
        ]
        return torch.cat(norms, dim=-1)

    def dot(self, advantages: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """``<sum_i A_i s_i, v>`` of each group, for v (d,): (..., groups, n) to (..., groups)."""
        self._check(advantages)
        table = direction.reshape(self.policy.shape)
        table = table - (table * self.policy).sum(dim=1, keepdim=True)
        table = torch.cat([table.reshape(-1), table.new_zeros(1)])
        seen = torch.zeros_like(self.decisions[0], dtype=torch.float64)
        for decision in self.decisions:
            seen += table.take(decision)
        return (advantages * seen).sum(dim=-1)

    def _each(self, advantages: torch.Tensor, *, per_group: bool) -> torch.Tensor:
        """Sums of scores for one rule after the other, (rules, rows, d)."""
        self._check(advantages)
        rules = advantages.reshape(-1, *advantages.shape[-2:])
        return torch.stack([self._visits(rule, per_group=per_group) for rule in rules])

    def _check(self, advantages: torch.Tensor) -> None:
        groups, n = self.decisions.shape[1:]
        if tuple(advantages.shape[-2:]) != (groups, n):
            shape = tuple(advantages.shape)
            raise ValueError(f"advantages have shape {shape}: expected (..., {groups}, {n})")
        if advantages.dtype != torch.float64:
            raise ValueError(f"advantages have dtype {advantages.dtype}: expected torch.float64")

    def _visits(self, advantages: torch.Tensor, *, per_group: bool) -> torch.Tensor:
        """Sums of one rule's advantages (groups, n) over decisions, less their expectation."""
        index, rows, d = self.decisions, 1, self.policy.numel()
        if per_group:
            rows = len(advantages)
            index = index + (d + 1) * torch.arange(rows, device=index.device)[:, None]
        sums = advantages.new_zeros(rows * (d + 1))
        sums.scatter_add_(0, index.reshape(-1), advantages.expand(index.shape).reshape(-1))
        made = sums.reshape(rows, d + 1)[:, :d].reshape(rows, *self.policy.shape)
        return (made - made.sum(dim=2, keepdim=True) * self.policy).reshape(rows, d)


@dataclass(frozen=True, eq=False)
class EpisodeSampler:
    """Groups of i.i.d. episodes of a tabular process under a softmax policy.

    Called as ``sampler(groups, n, generator=...)``; returns returns, float64 (groups, n), and their
    ``EpisodeScores``. The generator must live on the sampler's device. Memory: 8 bytes a step.

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
        Where each edge leads, its ``o A + a`` and its reward in units, int64.
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
            decision=torch.tensor(np.append(decision, policy.size), device=device),
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
        decisions = torch.empty((self.horizon, groups * n), dtype=torch.int64, device=self.device)
        sums = torch.zeros_like(row)
        steps = 0
        while steps < self.horizon:
            edge = self.steps.draw(row, generator)
            torch.take(self.decision, edge, out=decisions[steps])
            sums += self.amount.take(edge)
            row = self.target.take(edge)
            steps += 1
            if steps % _CHECK == 0 and bool((row == ended).all()):
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
