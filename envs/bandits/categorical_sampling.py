"""Batched sampling of one-step softmax policies, one or many prompts, with scores kept implicit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch

from maxpo_lab.core.arrays import Float
from maxpo_lab.core.devices import as_device, check_generator


@dataclass(frozen=True, eq=False)
class CategoricalScores:
    """Scores of a softmax policy per prompt: ``e_a - pi(.|x)`` in the parameters of prompt x, 0 elsewhere.

    Advantages A may have leading axes, one per rule: shape (..., groups, n). What depends on the outcomes
    alone is done once for all of them.

    Attributes
    ----------
    outcomes
        Index ``x M + a_i`` of every rollout, int64, shape (groups, n).
    prompts
        The prompt x of each group, int64, shape (groups,).
    policy
        ``pi``, float64, shape (P, M); d = P M.
    """

    outcomes: torch.Tensor
    prompts: torch.Tensor
    policy: torch.Tensor

    def weighted_sum(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_i A_i s_i`` of each group, (..., groups, d). Cost O(groups (n + d))."""
        sums = advantages.new_zeros(*advantages.shape[:-1], self.policy.numel())
        sums.scatter_add_(-1, self.outcomes.expand(advantages.shape), advantages)
        expected = advantages.sum(dim=-1)[..., None] * self.policy[self.prompts]
        group = torch.arange(len(self.prompts), device=self.prompts.device)
        sums.view(*advantages.shape[:-1], *self.policy.shape)[..., group, self.prompts, :] -= expected
        return sums

    def squared_norm(self, advantages: torch.Tensor) -> torch.Tensor:
        """``|sum_i A_i s_i|^2`` of each group, (..., groups). O(groups n log n), and O(groups n) per rule.

        Advantages of equal outcomes are added up inside the group, so nothing of size M is made.
        """
        outcomes, order = self.outcomes.sort(dim=-1)
        changes = torch.zeros_like(outcomes)
        changes[:, 1:] = outcomes[:, 1:] != outcomes[:, :-1]
        place = torch.empty_like(order).scatter_(-1, order, changes.cumsum(dim=-1))
        place = place.expand(advantages.shape)
        per_outcome = torch.zeros_like(advantages).scatter_add_(-1, place, advantages)
        total = advantages.sum(dim=-1)
        cross = _inner(advantages, _at(self.policy.flatten(), self.outcomes))
        own = self.policy.square().sum(dim=1)[self.prompts]
        norm = _inner(per_outcome, per_outcome) - 2 * total * cross + total**2 * own
        return norm.clamp(min=0.0)  # rounding, where the terms cancel

    def dot(self, advantages: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """``<sum_i A_i s_i, v>`` of each group, for a direction v (d,): (..., groups)."""
        table = direction.reshape(self.policy.shape)
        component = table - (table * self.policy).sum(dim=1, keepdim=True)
        return _inner(advantages, _at(component.flatten(), self.outcomes))

    def total(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_i A_i s_i`` over all groups, (..., d). Cost O(groups n + d) per rule."""
        flat = advantages.flatten(-2)
        sums = flat.new_zeros(*flat.shape[:-1], self.policy.numel())
        sums.scatter_add_(-1, self.outcomes.flatten().expand(flat.shape), flat)
        made = sums.view(*flat.shape[:-1], *self.policy.shape)
        return (made - made.sum(dim=-1, keepdim=True) * self.policy).flatten(-2)


@dataclass(frozen=True, eq=False)
class CategoricalSampler:
    """Groups of i.i.d. outcomes of a softmax policy, each group on a prompt drawn uniformly from some.

    Called as ``sampler(groups, n, generator=...)``; returns rewards, float64 (groups, n), and their
    ``CategoricalScores``. The generator must live on the sampler's device.

    Attributes
    ----------
    policy
        ``pi``, float64, shape (P, M).
    edges
        Prompt plus cumulated probability of its outcomes, ascending, shape (P M,).
    rewards
        Reward of each outcome, on all prompts, float64, shape (M,).
    prompts
        The prompts that are drawn from, int64.
    """

    policy: torch.Tensor
    edges: torch.Tensor
    rewards: torch.Tensor
    prompts: torch.Tensor

    @classmethod
    def of(
        cls,
        logits: Float,
        rewards: Float,
        prompts: range | tuple[int, ...] = (0,),
        *,
        device: torch.device | str,
    ) -> Self:
        """Sampler of ``softmax(logits)``, logits (P, M) finite, with one reward per outcome, (M,)."""
        device = as_device(device)
        # On the CPU, where the order of summation, and so the draws, are the same every time.
        policy = torch.softmax(torch.tensor(logits, dtype=torch.float64), dim=1)
        upto = policy.cumsum(dim=1).clamp(max=1.0)
        upto[:, -1] = 1.0
        edges = upto + torch.arange(len(policy))[:, None]
        return cls(
            policy=policy.to(device),
            edges=edges.flatten().to(device),
            rewards=torch.tensor(rewards, dtype=torch.float64, device=device),
            prompts=torch.tensor(list(prompts), device=device),
        )

    @property
    def device(self) -> torch.device:
        """Where the groups are drawn."""
        return self.policy.device

    @property
    def parameters(self) -> int:
        """d, the number of logits."""
        return self.policy.numel()

    def __call__(
        self, groups: int, n: int, *, generator: torch.Generator
    ) -> tuple[torch.Tensor, CategoricalScores]:
        """Draw ``groups`` groups of n rollouts by inversion of the cumulative probabilities."""
        check_generator(generator, self.device)
        prompts = self.prompts[:1].expand(groups)
        if len(self.prompts) > 1:
            drawn = torch.randint(len(self.prompts), (groups,), device=self.device, generator=generator)
            prompts = self.prompts[drawn]
        place = torch.rand(groups, n, dtype=torch.float64, device=self.device, generator=generator)
        place += prompts[:, None]
        outcomes = torch.searchsorted(self.edges, place, right=True)
        # The sum may round up to the next prompt's beginning.
        first, arms = prompts[:, None] * len(self.rewards), len(self.rewards)
        outcomes = torch.minimum(outcomes, first + arms - 1)
        return _at(self.rewards, outcomes - first), CategoricalScores(outcomes, prompts, self.policy)


def _at(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """``values[index]``, as one ``index_select``."""
    return values.index_select(0, index.flatten()).view(index.shape)


def _inner(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Inner products along the last axis."""
    return torch.as_tensor(torch.linalg.vecdot(first, second))
