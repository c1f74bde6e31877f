"""Scores of one-step softmax policies, one or many prompts, kept as the outcomes that were drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch

from maxpo_lab.policies.samplers import batch_of

from ..base.one_hot import sums_by
from .categorical_host import equal_pairs, inner_of_rules, squared_sums

#: Members of a sample up to which equal outcomes are found by comparing all pairs: a matrix product, which a
#: GPU is made for, while a CPU sorts.
PAIRS = {"cpu": 32, "cuda": 1024}
#: Whether a device lists equal outcomes first, where they are few: a GPU would be waited for.
LISTED = {"cpu": True, "cuda": False}
#: Pairs in a block: half a MiB of float64 on a CPU, for its cache, and 128 on a GPU.
BLOCK = {"cpu": 1 << 16, "cuda": 1 << 24}


@dataclass(frozen=True, eq=False)
class CategoricalScores:
    """Scores of a softmax policy per prompt: ``e_a - pi(.|x)`` in the parameters of prompt x, 0 elsewhere.

    Advantages A may have leading axes, one per rule: shape (..., groups, n). What depends on the outcomes
    alone is done once for all of them.

    Attributes
    ----------
    outcomes
        Index ``x M + a_i`` of every rollout, int64, shape (groups, n).
    policy
        ``pi``, float64, shape (P, M); d = P M.
    """

    outcomes: torch.Tensor
    policy: torch.Tensor

    @property
    def prompts(self) -> torch.Tensor:
        """The prompt x of every rollout, int64, shape (groups, n)."""
        return self.outcomes.div(self.policy.shape[1], rounding_mode="floor")

    def reordered(self, order: torch.Tensor) -> Self:
        """Groups of the same members: the place ``g n + i`` that each had among all, (groups, n)."""
        return replace(self, outcomes=taken(self.outcomes.flatten(), order))

    def batched(self, prompts: int) -> Self:
        """The same rollouts with every ``prompts`` consecutive groups as one."""
        return replace(self, outcomes=batch_of(self.outcomes, prompts))

    def weighted_sum(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_i A_i s_i`` of each group, (..., groups, d). Cost O(groups (n + d))."""
        sums = advantages.new_zeros(*advantages.shape[:-1], self.policy.numel())
        sums.scatter_add_(-1, self.outcomes.expand(advantages.shape), advantages)
        return self._less_expected(sums)

    def total(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_i A_i s_i`` over all groups, (..., d). Cost O(groups n + d) per rule on a CPU."""
        sums = sums_by(self.outcomes.flatten(), advantages.flatten(-2), self.policy.numel())
        return self._less_expected(sums)

    def squared_norm(self, advantages: torch.Tensor) -> torch.Tensor:
        """``|sum_i A_i s_i|^2`` of each group, (..., groups).

        Nothing of size M is made. Cost O(groups n^2) for few rollouts, per rule where many outcomes are
        equal, else O(groups n), and one sort for all.
        """
        if self.outcomes.shape[1] > PAIRS[self.outcomes.device.type]:
            norm = self._by_sorting(advantages)
        else:
            listed = self._by_list(advantages)
            norm = self._by_pairs(advantages) if listed is None else listed
        return norm.clamp_(min=0.0)  # rounding, where the terms cancel

    def dot(self, advantages: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """``<sum_i A_i s_i, v>`` of each group, for v (d,) or one per rule, (..., d): (..., groups)."""
        table = direction.reshape(*direction.shape[:-1], *self.policy.shape)
        table = (table - (table * self.policy).sum(dim=-1, keepdim=True)).flatten(-2)
        if direction.ndim == 1:
            return _inner(advantages, taken(table, self.outcomes))
        if self._on_host(advantages, direction):
            rows = advantages.expand(*direction.shape[:-1], *advantages.shape[-2:])
            found = inner_of_rules(
                rows.reshape(-1, *rows.shape[-2:]).numpy(),
                table.reshape(-1, table.shape[-1]).numpy(),
                self.outcomes.numpy(),
            )
            return torch.from_numpy(found).reshape(rows.shape[:-1])
        # A row per rollout with a number for each rule; of the products of all rules those with their own.
        numbers = taken(table.flatten(0, -2).T.contiguous(), self.outcomes)
        rows = advantages.expand(*direction.shape[:-1], *advantages.shape[-2:])
        rules = rows.reshape(-1, *advantages.shape[-2:]).transpose(0, 1)
        return torch.bmm(rules, numbers).diagonal(dim1=1, dim2=2).T.reshape(rows.shape[:-1])

    def _less_expected(self, sums: torch.Tensor) -> torch.Tensor:
        """Advantages (..., d) per outcome, less what the policy gives to it of all those of its prompt."""
        made = sums.reshape(*sums.shape[:-1], *self.policy.shape)
        return (made - made.sum(dim=-1, keepdim=True) * self.policy).flatten(-2)

    def _on_host(self, *tensors: torch.Tensor) -> bool:
        """Whether NumPy may have them: on a CPU, and constants for autograd."""
        return LISTED[self.outcomes.device.type] and not any(each.requires_grad for each in tensors)

    def _by_list(self, advantages: torch.Tensor) -> torch.Tensor | None:
        """``sum_ij A_i A_j [a_i = a_j] - sum_i A_i sum_j A_j w_j``, from a list of the equal pairs.

        None where that does not pay, or a group has several prompts.
        """
        if not self._on_host(advantages):
            return None
        outcomes, arms = np.ascontiguousarray(self.outcomes.numpy()), self.policy.shape[1]
        if len(self.policy) > 1 and (outcomes // arms != outcomes[:, :1] // arms).any():
            return None
        if (pairs := equal_pairs(outcomes, self.policy.numel())) is None:
            return None
        rows, policy = advantages.reshape(-1, *outcomes.shape), self.policy.numpy()
        expected = (2 * policy - np.square(policy).sum(axis=1, keepdims=True)).take(outcomes, mode="clip")
        sums = rows @ rows.new_ones(rows.shape[-1])
        norm = squared_sums(rows.numpy(), pairs, expected, sums.numpy())
        return torch.from_numpy(norm).reshape(advantages.shape[:-1])

    def _by_pairs(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_ij A_i A_j <s_i, s_j>``: ``[a_i = a_j] - w_j`` for i and j of one prompt, else 0."""
        groups, n = self.outcomes.shape
        size = min(groups, max(1, BLOCK[self.outcomes.device.type] // n**2))
        products = self.policy.new_empty(size, n, n)
        names = self.outcomes.to(torch.float64)  # numbers as they are needed, and compared at once
        expected, prompts = self._expected[:, :, None], self.prompts if len(self.policy) > 1 else None
        rules, one = advantages.reshape(-1, groups, n).transpose(0, 1), products.new_ones(n)
        norms = []
        for start in range(0, groups, size):
            i = slice(start, start + size)
            some, name, less = rules[i], names[i], expected[i]
            block = products[: len(some)]
            torch.eq(name[:, None, :], name[:, :, None], out=block)
            if prompts is not None:
                less = less * (prompts[i, :, None] == prompts[i, None, :])
            block -= less
            norms.append(torch.bmm(some, block).mul_(some) @ one)
        return torch.cat(norms).T.reshape(advantages.shape[:-1])

    def _by_sorting(self, advantages: torch.Tensor) -> torch.Tensor:
        """The same from sums of the advantages of equal outcomes, and of equal prompts."""
        outcomes, order = self.outcomes.sort(dim=-1)
        per_outcome = _sums_of_runs(advantages, outcomes, order)
        norm = _inner(per_outcome, per_outcome)
        expected = advantages * self._expected
        if len(self.policy) == 1:
            norm -= advantages.sum(dim=-1) * expected.sum(dim=-1)
        else:
            prompts = outcomes.div(self.policy.shape[1], rounding_mode="floor")
            both = [_sums_of_runs(each, prompts, order) for each in (advantages, expected)]
            norm -= _inner(*both)
        return norm

    @property
    def _expected(self) -> torch.Tensor:
        """``w = 2 pi(a|x) - |pi(.|x)|^2`` of each rollout, (groups, n)."""
        table = 2 * self.policy - self.policy.square().sum(dim=1, keepdim=True)
        return taken(table.flatten(), self.outcomes)


def _sums_of_runs(values: torch.Tensor, names: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Sums (..., groups, n) of values of equal names, in any order, the rest 0; names sorted by ``order``."""
    changes = torch.zeros_like(names)
    changes[:, 1:] = names[:, 1:] != names[:, :-1]
    place = torch.empty_like(order).scatter_(-1, order, changes.cumsum(dim=-1))
    return torch.zeros_like(values).scatter_add_(-1, place.expand(values.shape), values)


def taken(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """``values[index]``, as one ``index_select``."""
    return values.index_select(0, index.flatten()).view(*index.shape, *values.shape[1:])


def _inner(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Inner products along the last axis."""
    return torch.as_tensor(torch.linalg.vecdot(first, second))
