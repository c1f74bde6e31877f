"""The memories of an arm that replays, one for each seed, asked together."""

from __future__ import annotations

import numpy as np
import torch
from array_api_compat import numpy as host

from maxpo_lab.core.arrays import Float, Int
from maxpo_lab.estimators.history import learned
from maxpo_lab.memory.replay import Replay


class Memories(Replay):
    """As a ``Replay`` of these settings for each seed: no seed sees another's history, or learns from it.

    They share a table, in which a prompt's id says the seed too.
    """

    def __init__(self, of: Replay) -> None:
        super().__init__(of.k, estimator=of.estimator, keep=of.keep, half_life=of.half_life, weight=of.weight)
        self._seeds = 0
        self._sums = np.zeros((2, 0))

    def check(self, n: int, k: int, values: Float | None) -> None:
        """ValueError where the rule is not defined at n and k, or on rewards of these values."""
        reason = self.rule.why_not(n, k) or (
            None if values is None else self.rule.why_not_rewards(np.asarray(values))
        )
        if reason or self.weight == "others":
            raise ValueError(reason or "weight='others': seeds would learn from each other; use 'ema'")

    def __call__(self, rewards: torch.Tensor, prompts: torch.Tensor, k: int) -> torch.Tensor:
        """Advantages of rewards (seeds, groups, n) of prompts (seeds, groups), which are remembered."""
        self._seeds, n = rewards.shape[0], rewards.shape[-1]
        ids = prompts.numpy() * self._seeds + np.arange(self._seeds)[:, None]
        found: torch.Tensor = self.advantages(rewards.reshape(-1, n), ids.ravel(), k=k)
        return found.reshape(rewards.shape)

    def _learned(self, _groups: Int, along: Float, apart: Float) -> learned.MovingAverage:
        """Averages by seed, beside the one of all, which nothing asks for."""
        now = np.stack([each.reshape(self._seeds, -1).sum(axis=1) for each in (along, apart)])
        self._sums = now * (1 - learned.DECAY) + (self._sums * learned.DECAY if self.step else 0)
        return self._average

    def _lambda(self, groups: Int, along: Float, _apart: Float, most: Float) -> Float:
        if not self.step:
            return np.zeros_like(most)
        sums = np.repeat(self._sums, len(along) // self._seeds, axis=1)[:, groups]
        return np.asarray(learned.clipped(host, sums[0], sums[1], most))
