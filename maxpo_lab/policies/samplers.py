"""What a policy must offer to be sampled: two protocols, in torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch


class Scores(Protocol):
    """Scores ``s_i`` in R^d of a batch of groups, kept implicit: no (groups, n, d) array is made.

    Advantages A may have leading axes, one per rule: shape (..., groups, n).
    """

    def weighted_sum(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_i A_i s_i`` of each group, (..., groups, d)."""
        ...

    def squared_norm(self, advantages: torch.Tensor) -> torch.Tensor:
        """``|sum_i A_i s_i|^2`` of each group, (..., groups), never negative."""
        ...

    def dot(self, advantages: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """``<sum_i A_i s_i, v>`` of each group for a direction v (d,), (..., groups)."""
        ...

    def total(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_i A_i s_i`` over the members of all groups, (..., d)."""
        ...


class Sampler(Protocol):
    """Groups of n i.i.d. rollouts of one prompt each.

    Called as ``sampler(groups, n, generator=...)``; returns rewards, float64 (groups, n), and their scores.
    All its randomness comes from the generator, which lives on its device.
    """

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""
        ...

    @property
    def parameters(self) -> int:
        """The number d of the policy's parameters."""
        ...

    def __call__(self, groups: int, n: int, *, generator: torch.Generator) -> tuple[torch.Tensor, Scores]:
        """Draw groups."""
        ...
