"""Rules on 0/1 rewards as tables: what a success and a failure get, by successes in group and history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import array_api_compat
import numpy as np
from scipy.stats import binom

from envs import SparseBandit
from maxpo_lab import RewardLevels
from maxpo_lab.core.arrays import Float
from maxpo_lab.core.binomial import binomial

#: ``(xp, rewards (..., n), k, y (..., m), w (..., m)) -> (..., n)``: a rule with history as a pure function.
HistoryRule = Callable[..., Any]

NUMPY = array_api_compat.array_namespace(np.empty(0))


@dataclass(frozen=True, eq=False)
class SuccessTable:
    """Advantages of a success and of a failure among c of n successes, (H, n+1) each: one row a history.

    A success among none, or a failure among n successes, is nobody's: what stands there is not looked at.
    """

    won: Float
    lost: Float

    @property
    def n(self) -> int:
        """Group size."""
        return int(self.won.shape[-1]) - 1

    def weight(self, p: float) -> Float:
        """f(p) of each history, (H,): ``E[g] = f(p) grad p``."""
        return np.asarray((self.won[:, 1:] - self.lost[:, :-1]) @ binomial(self.n - 1, p, 1 - p))

    def second_moment(self, levels: RewardLevels) -> Float:
        """``E|g|^2`` of each history, (H,), on a policy of two levels, the failure first."""
        c = np.arange(self.n + 1)
        fail, win = levels.mean_scores
        spread, (q, p) = levels.score_variances, levels.probabilities
        won, lost = c * self.won, (self.n - c) * self.lost
        within = won * self.won * spread[1] + lost * self.lost * spread[0]
        between = won**2 * (win @ win) + 2 * won * lost * (win @ fail) + lost**2 * (fail @ fail)
        return np.asarray((within + between) @ binomial(self.n, p, q) / self.n**2)


def success_table(rule: HistoryRule, *, n: int, k: int, m: int) -> SuccessTable:
    """The table of a rule after each history of m rewards, of which 0..m are successes, in that order."""
    group, past = _rows(n), _rows(m)
    shape = (len(past), len(group))
    y = np.broadcast_to(past[:, None], (*shape, m))
    advantages = rule(NUMPY, np.broadcast_to(group, (*shape, n)), k, y, np.ones_like(y))
    return SuccessTable(won=advantages[..., -1], lost=advantages[..., 0])


def group_table(rule: Callable[[Float, int], Any], *, n: int, k: int) -> SuccessTable:
    """The table of a rule without history: one row."""
    advantages = np.asarray(rule(_rows(n), k))[None]
    return SuccessTable(won=advantages[..., -1], lost=advantages[..., 0])


def chances(m: int, q: float) -> Float:
    """The chance of 0..m successes among m rewards of success rate q, both ends included, (m+1,)."""
    return np.asarray(binom.pmf(np.arange(m + 1), m, q))


@cache
def bandit(arms: int, good: int, p: float) -> RewardLevels:
    """Arms alike inside each class, of which ``good`` are correct with total probability p."""
    specimen = SparseBandit(arms, good, p)
    return specimen.levels(specimen.theta, covariances=None)


def _rows(size: int) -> Float:
    """Rewards (size+1, size) of 0, 1, ..., size successes, which come last."""
    return np.where(np.arange(size) >= size - np.arange(size + 1)[:, None], 1.0, 0.0)
