"""Batched rollouts of a Gaussian policy with one parameter, in torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from maxpo_lab.core.devices import check_generator


@dataclass(frozen=True, eq=False)
class GaussianScores:
    """Scores of rollouts x in their mean, ``s_i = (x_i - mean) / sigma^2``: d = 1.

    Attributes
    ----------
    scores
        ``s_i``, float64, shape (groups, n).
    """

    scores: torch.Tensor

    def weighted_sum(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_i A_i s_i`` of each group: (..., groups, n) to (..., groups, 1)."""
        return (advantages * self.scores).sum(dim=-1, keepdim=True)

    def squared_norm(self, advantages: torch.Tensor) -> torch.Tensor:
        """``|sum_i A_i s_i|^2`` of each group: (..., groups, n) to (..., groups)."""
        return self.weighted_sum(advantages)[..., 0].square()

    def dot(self, advantages: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """``<sum_i A_i s_i, v>`` of each group, for v (1,): (..., groups, n) to (..., groups)."""
        return self.weighted_sum(advantages) @ direction

    def total(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_i A_i s_i`` over all groups: (..., groups, n) to (..., 1)."""
        return self.weighted_sum(advantages).sum(dim=-2)


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
