"""Scores of tabular episodes, kept as the decisions that were taken."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch

#: Numbers in a block of dense group gradients, and decisions in it: 32 MiB of float64.
BLOCK = 1 << 22


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
