"""Batched sampling in torch, with scores kept implicit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch


@dataclass(frozen=True, eq=False)
class CategoricalScores:
    """Scores of the outcomes of a softmax policy, ``s_i = e_(a_i) - pi``, never formed.

    Attributes
    ----------
    outcomes
        Sampled outcomes ``a_i``, int64, shape (groups, n).
    policy
        ``pi``, float64, shape (M,).
    """

    outcomes: torch.Tensor
    policy: torch.Tensor

    def weighted_sum(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_i A_i s_i`` of each group: (groups, n) to (groups, M). Cost O(groups (n + M))."""
        sums = advantages.new_zeros(len(advantages), len(self.policy))
        sums.scatter_add_(1, self.outcomes, advantages)
        return sums - advantages.sum(dim=1, keepdim=True) * self.policy

    def squared_norm(self, advantages: torch.Tensor) -> torch.Tensor:
        """``|sum_i A_i s_i|^2`` of each group: (groups, n) to (groups,). Cost O(groups n log n).

        Advantages of equal outcomes are added up inside the group, so nothing of size M is made.
        """
        outcomes, order = self.outcomes.sort(dim=1)
        weights = advantages.gather(1, order)
        changes = torch.zeros_like(outcomes)
        changes[:, 1:] = outcomes[:, 1:] != outcomes[:, :-1]
        per_outcome = torch.zeros_like(weights).scatter_add_(1, changes.cumsum(dim=1), weights)
        total = weights.sum(dim=1)
        cross = (weights * self.policy[outcomes]).sum(dim=1)
        norm = (per_outcome**2).sum(dim=1) - 2 * total * cross + total**2 * (self.policy @ self.policy)
        return norm.clamp(min=0.0)

    def dot(self, advantages: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """``<sum_i A_i s_i, v>`` of each group, for a direction v (M,): (groups, n) to (groups,)."""
        return (advantages * (direction[self.outcomes] - self.policy @ direction)).sum(dim=1)


@dataclass(frozen=True, eq=False)
class CategoricalSampler:
    """Groups of i.i.d. outcomes of a softmax policy.

    Called as ``sampler(groups, n, generator=...)``; returns rewards, float64 (groups, n), and their
    ``CategoricalScores``. The generator must live on the sampler's device.
    """

    policy: torch.Tensor
    rewards: torch.Tensor

    @classmethod
    def from_logits(
        cls, logits: npt.ArrayLike, rewards: npt.ArrayLike, *, device: torch.device | str
    ) -> Self:
        """Sampler of the policy ``softmax(logits)``, (M,), with one reward an outcome, (M,)."""
        theta = torch.tensor(np.asarray(logits), dtype=torch.float64, device=device)
        values = torch.tensor(np.asarray(rewards), dtype=torch.float64, device=device)
        if theta.ndim != 1 or theta.shape != values.shape:
            raise ValueError(
                f"logits have shape {tuple(theta.shape)}: expected {tuple(values.shape)}, one an outcome"
            )
        if not torch.isfinite(theta).all():
            raise ValueError("logits must be finite")
        return cls(torch.softmax(theta, dim=0), values)

    def __call__(
        self, groups: int, n: int, *, generator: torch.Generator
    ) -> tuple[torch.Tensor, CategoricalScores]:
        """Draw ``groups`` groups of n rollouts by inversion of the cumulative probabilities."""
        edges = self.policy.cumsum(dim=0)[:-1]
        uniform = torch.rand(groups, n, dtype=torch.float64, device=self.policy.device, generator=generator)
        outcomes = torch.searchsorted(edges, uniform, right=True)
        return self.rewards[outcomes], CategoricalScores(outcomes, self.policy)
