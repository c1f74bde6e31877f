"""What runs have drawn so far, and what they found with it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .protocol import Rollouts, World


class Spent:
    """Rollouts of every run, and when each prompt was first solved.

    Attributes
    ----------
    rollouts
        Rollouts so far, those that made way for others among them, (arms, seeds).
    first
        Rollouts at the end of the batch in which a prompt first earned its highest reward, (arms, seeds,
        prompts); NaN where it has not.
    """

    def __init__(self, world: World, arms: int, seeds: int) -> None:
        with torch.no_grad():
            reached = world.masses(world.start[None, None])[0, 0] > 0
        places = torch.arange(reached.shape[-1]).expand(reached.shape)
        self._best = world.values[torch.where(reached, places, 0).amax(dim=-1)]
        self.rollouts = torch.zeros(arms, seeds, dtype=torch.int64)
        self.first = torch.full((arms, seeds, len(self._best)), torch.nan, dtype=torch.float64)

    def add(self, arms: Sequence[int], drawn: Rollouts, counted: torch.Tensor) -> None:
        """Rollouts of these arms, of the groups (arms, seeds, groups) that count."""
        prompts = drawn.prompts.expand(counted.shape)
        self.rollouts[arms] += counted.sum(dim=-1) * drawn.rewards.shape[-1]
        found = (drawn.rewards.amax(dim=-1) == self._best[prompts]) & counted
        hits = torch.zeros(self.first[arms].shape).scatter_add_(2, prompts, found.float())
        new = (hits > 0) & self.first[arms].isnan()
        self.first[arms] = torch.where(new, self.rollouts[arms][..., None].double(), self.first[arms])
