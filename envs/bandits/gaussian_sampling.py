"""Batched rollouts of a Gaussian policy with one parameter, in torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch

from maxpo_lab.core.devices import check_generator
from maxpo_lab.policies.samplers import batch_of


@dataclass(frozen=True, eq=False)
class GaussianScores:
    """Scores of rollouts x in their mean, ``s_i = (x_i - mean) / sigma^2``: d = 1.

    Attributes
    ----------
    scores
        ``s_i``, float64, shape (groups, n).
    """

    scores: torch.Tensor

    def reordered(self, order: torch.Tensor) -> Self:
        """Groups of the same members: the place ``g n + i`` that each had among all, (groups, n)."""
        return replace(self, scores=self.scores.flatten()[order])

    def batched(self, prompts: int) -> Self:
        """The same rollouts with every ``prompts`` consecutive groups as one."""
        return replace(self, scores=batch_of(self.scores, prompts))

    def weighted_sum(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_i A_i s_i`` of each group: (..., groups, n) to (..., groups, 1)."""
        return self._sums(advantages)[..., None]

    def squared_norm(self, advantages: torch.Tensor) -> torch.Tensor:
        """``|sum_i A_i s_i|^2`` of each group: (..., groups, n) to (..., groups)."""
        return self._sums(advantages).square()

    def dot(self, advantages: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """``<sum_i A_i s_i, v>`` of each group, for v (1,) or one per rule, (..., 1): to (..., groups)."""
        return self._sums(advantages) * direction

    def total(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_i A_i s_i`` over all groups: (..., groups, n) to (..., 1)."""
        return self._sums(advantages).sum(dim=-1, keepdim=True)

    def _sums(self, advantages: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(torch.linalg.vecdot(advantages, self.scores))


@dataclass(frozen=True, eq=False)
class GaussianSampler:
    """Groups of i.i.d. rollouts x of a Gaussian policy, with reward ``x^2`` on [0, 1] and 0 elsewhere.

    Called as ``sampler(groups, n, generator=...)``; returns rewards, float64 (groups, n), and their
    ``GaussianScores``. The generator must live on the sampler's device.
    """

    mean: torch.Tensor
    sigma: float

    @property
    def device(self) -> torch.device:
        """Where the groups are drawn."""
        return self.mean.device

    @property
    def parameters(self) -> int:
        """d, the mean alone."""
        return 1

    def __call__(
        self, groups: int, n: int, *, generator: torch.Generator
    ) -> tuple[torch.Tensor, GaussianScores]:
        """Draw ``groups`` groups of n rollouts."""
        check_generator(generator, self.device)
        standard = torch.randn(groups, n, dtype=torch.float64, device=self.device, generator=generator)
        x = self.mean + self.sigma * standard
        rewards = torch.where((x >= 0) & (x <= 1), x.square(), 0.0)
        return rewards, GaussianScores(standard / self.sigma)
