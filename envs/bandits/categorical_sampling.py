"""Batched sampling of one-step softmax policies, one or many prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch

from maxpo_lab.core.arrays import Float
from maxpo_lab.core.devices import as_device, check_generator

from .categorical_scores import CategoricalScores, taken


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
        prompts = self._asked(groups, generator)[:, None] if len(self.policy) > 1 else None
        place = torch.rand(groups, n, dtype=torch.float64, device=self.device, generator=generator)
        if prompts is None:  # the last edge is 1, which no random number reaches
            outcomes = torch.searchsorted(self.edges, place, right=True)
            return taken(self.rewards, outcomes), CategoricalScores(outcomes, self.policy)
        outcomes = torch.searchsorted(self.edges, place.add_(prompts), right=True)
        # The sum may round up to the next prompt's beginning.
        first, arms = prompts * len(self.rewards), len(self.rewards)
        outcomes = torch.minimum(outcomes, first + arms - 1)
        return taken(self.rewards, outcomes - first), CategoricalScores(outcomes, self.policy)

    def _asked(self, groups: int, generator: torch.Generator) -> torch.Tensor:
        """The prompt of each group, (groups,); of one alone nothing is drawn."""
        if len(self.prompts) == 1:
            return self.prompts.expand(groups)
        return self.prompts[
            torch.randint(len(self.prompts), (groups,), device=self.device, generator=generator)
        ]
