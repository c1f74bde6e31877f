"""What a policy must offer to be sampled: two protocols, in torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import Self

    import torch


class Scores(Protocol):
    """Scores ``s_i`` in R^d of a batch of groups, kept implicit: no (groups, n, d) array is made.

    Advantages A may have leading axes, one per rule: shape (..., groups, n). What depends on the rollouts
    alone is done once for all of them.
    """

    def weighted_sum(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_i A_i s_i`` of each group, (..., groups, d)."""
        ...

    def squared_norm(self, advantages: torch.Tensor) -> torch.Tensor:
        """``|sum_i A_i s_i|^2`` of each group, (..., groups), never negative."""
        ...

    def dot(self, advantages: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """``<sum_i A_i s_i, v>`` of each group, (..., groups).

        A direction v is (d,), the same for all rules, or (..., d) with one for each.
        """
        ...

    def total(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_i A_i s_i`` over the members of all groups, (..., d)."""
        ...

    def reordered(self, order: torch.Tensor) -> Self:
        """Some of the groups, their members in another order.

        ``order`` holds the place ``g n + i`` that each member had among all, int64 (groups', n).
        """
        ...

    def batched(self, prompts: int) -> Self:
        """The same rollouts with every ``prompts`` consecutive groups taken as one: a batch of P prompts.

        Advantages are then (..., groups / P, P n), a group's next to each other, and all of the above is of a
        batch. ValueError where the groups do not divide.
        """
        ...


class Sampler(Protocol):
    """Groups of n i.i.d. rollouts of one prompt each.

    Called as ``sampler(groups, n, generator=...)``; returns rewards, float64 (groups, n), and their scores.
    All its randomness comes from the generator, which lives on its device. Groups are independent, their
    prompts too: P consecutive ones are a batch of P prompts, whose rewards are
    ``rewards.unflatten(0, (-1, P))``, (batches, P, n), and whose scores are ``scores.batched(P)``.
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


def batch_of(groups: torch.Tensor, prompts: int, axis: int = 0) -> torch.Tensor:
    """Members of groups, on two axes from ``axis`` on, as those of batches: (groups / P, P n).

    Raises ValueError where the groups do not divide.
    """
    size = groups.shape[axis]
    if prompts < 1 or size % prompts:
        raise ValueError(
            f"prompts={prompts}: {size} groups cannot be divided into batches of so many; draw a multiple of "
            f"them"
        )
    shape = groups.shape
    return groups.reshape(*shape[:axis], size // prompts, prompts * shape[axis + 1], *shape[axis + 2 :])
