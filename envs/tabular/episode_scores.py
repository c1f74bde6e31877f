"""Scores of tabular episodes, kept as the decisions that were taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch

from maxpo_lab.policies.samplers import batch_of

from ..base.one_hot import counts, parts

#: Numbers in a block of dense group gradients, and decisions in it: 4 MiB of float64 on a CPU, for its cache.
BLOCK = {"cpu": 1 << 19, "cuda": 1 << 26}


@dataclass(frozen=True, eq=False)
class EpisodeScores:
    """Scores of episodes, ``s_i = sum_t (e_(o_t, a_t) - pi(.|o_t))``, kept as their decisions.

    Attributes
    ----------
    decisions
        Index ``o A + a`` of every decision, or ``O A`` after the end, whole numbers, shape (T, groups, n).
    policy
        ``pi``, float64, shape (O, A); d = O A.
    """

    decisions: torch.Tensor
    policy: torch.Tensor

    def reordered(self, order: torch.Tensor) -> Self:
        """Groups of the same members: the place ``g n + i`` that each had among all, (groups, n)."""
        moved = self.decisions.flatten(1).index_select(1, order.flatten())
        return replace(self, decisions=moved.view(-1, *order.shape))

    def batched(self, prompts: int) -> Self:
        """The same episodes with every ``prompts`` consecutive groups as one."""
        return replace(self, decisions=batch_of(self.decisions, prompts, axis=1))

    def weighted_sum(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_i A_i s_i`` of each group: (..., groups, n) to (..., groups, d)."""
        rules = self._checked(advantages)
        found = torch.cat([block._group_sums(rules[:, i]) for i, block in self._blocks(len(rules))], dim=1)
        return found.reshape(*advantages.shape[:-1], -1)

    def total(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_i A_i s_i`` over all groups: (..., groups, n) to (..., d)."""
        rules = self._checked(advantages)
        if self.decisions.device.type == "cpu":
            sums = self._scattered(rules.flatten(1), self.decisions.flatten(1), 1)[:, 0]
        else:
            sums = rules.new_zeros(len(rules), self.policy.numel())
            for i, block in self._blocks(len(rules)):
                sums += block._group_sums(rules[:, i]).sum(dim=1)
        return sums.reshape(*advantages.shape[:-2], -1)

    def squared_norm(self, advantages: torch.Tensor) -> torch.Tensor:
        """``|sum_i A_i s_i|^2`` of each group: (..., groups, n) to (..., groups), in blocks of groups."""
        rules = self._checked(advantages)
        norms = [block._group_sums(rules[:, i]).square().sum(dim=-1) for i, block in self._blocks(len(rules))]
        return torch.cat(norms, dim=1).reshape(advantages.shape[:-1])

    def dot(self, advantages: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """``<sum_i A_i s_i, v>`` of each group, for v (d,) or one per rule, (..., d): to (..., groups)."""
        self._checked(advantages)
        table = direction.reshape(-1, *self.policy.shape)
        table = (table - (table * self.policy).sum(dim=-1, keepdim=True)).flatten(1).T
        table = torch.cat([table, table.new_zeros(1, table.shape[1])])
        seen = table.new_zeros(self.decisions[0].numel(), table.shape[1])
        for decision in self.decisions:
            seen += table.index_select(0, decision.flatten().to(torch.int64))
        own = seen.T.reshape(*direction.shape[:-1], *self.decisions.shape[1:])
        return torch.as_tensor(torch.linalg.vecdot(advantages, own))

    def _checked(self, advantages: torch.Tensor) -> torch.Tensor:
        """Advantages of all rules, (rules, groups, n)."""
        groups, n = self.decisions.shape[1:]
        if tuple(advantages.shape[-2:]) != (groups, n):
            shape = tuple(advantages.shape)
            raise ValueError(f"advantages have shape {shape}: expected (..., {groups}, {n})")
        if advantages.dtype != torch.float64:
            raise ValueError(f"advantages have dtype {advantages.dtype}: expected torch.float64")
        return advantages.reshape(-1, groups, n)

    def _blocks(self, rules: int) -> list[tuple[slice, Self]]:
        """Blocks of groups, and their scores."""
        steps, groups, n = self.decisions.shape
        numbers = max(self.policy.numel() * rules, steps * n)
        if self.decisions.device.type != "cpu":
            numbers = self._numbers_by_products(rules)
        size = max(1, BLOCK[self.decisions.device.type] // numbers)
        parts = [slice(start, start + size) for start in range(0, groups, size)]
        return [(part, replace(self, decisions=self.decisions[:, part])) for part in parts]

    def _group_sums(self, rules: torch.Tensor) -> torch.Tensor:
        """Sums of each group, (rules, groups, n) to (rules, groups, d)."""
        if self.decisions.device.type != "cpu":
            return self._by_products(rules)
        groups, n = rules.shape[1:]
        d = self.policy.numel()
        taken = self.decisions.flatten(1)
        place = torch.where(taken < d, taken + d * torch.arange(groups).repeat_interleave(n), groups * d)
        return self._scattered(rules.flatten(1), place, groups)

    def _scattered(self, rules: torch.Tensor, places: torch.Tensor, rows: int) -> torch.Tensor:
        """Sums (rules, rows, d) of advantages (rules, rollouts) at places (T, rollouts), d for a row.

        What is beyond all rows is not counted.
        """
        size = rows * self.policy.numel()
        sums = rules.new_zeros(len(rules), size + 1)
        for place in places:
            sums.scatter_add_(-1, place.to(torch.int64).expand(rules.shape), rules)
        return self._less_expected(sums[:, :-1].view(len(rules), rows, -1))

    def _by_products(self, rules: torch.Tensor) -> torch.Tensor:
        """``_group_sums`` from the visits of every episode: matrix products, the same bits on any device."""
        visits = counts(self.decisions.permute(1, 2, 0).to(torch.int64), self.policy.numel())
        return (rules.transpose(0, 1) @ self._less_expected(visits)).transpose(0, 1)

    def _numbers_by_products(self, rules: int) -> int:
        """Numbers that a group takes there: one-hot vectors, visits and scores of its episodes, and sums."""
        steps, _, n = self.decisions.shape
        d = self.policy.numel()
        return n * (2 * steps * sum(parts(d)) + 3 * d) + rules * d

    def _less_expected(self, sums: torch.Tensor) -> torch.Tensor:
        """Numbers (..., d) per decision, less what the policy expects of all at its observation, in place."""
        made = sums.view(*sums.shape[:-1], *self.policy.shape)
        # A product, since sums along so short an axis are slow.
        taken = made @ made.new_ones(made.shape[-1])
        made.addcmul_(taken[..., None], self.policy, value=-1)
        return sums
