"""Outcomes as a policy whose rollouts are drawn: by their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from ..core.arrays import Bool, Float, Int
from .outcomes import Outcomes
from .rollouts import RolloutTokens


@dataclass(frozen=True, eq=False)
class ListedRollouts:
    """Draws of ``Outcomes``: what is drawn is the number of an outcome, (B,)."""

    outcomes: Outcomes

    @property
    def parameters(self) -> int:
        """How many numbers a score has, d."""
        return int(self.outcomes.scores.shape[-1])

    def draw(self, rng: np.random.Generator, size: int) -> Int:
        """Numbers of outcomes, by inversion: one of chance 0 is never drawn."""
        return np.searchsorted(self._cumulative, rng.random(size), side="right").astype(np.intp)

    def rewards(self, drawn: Int) -> Float:
        """Rewards of the outcomes."""
        return np.asarray(self.outcomes.rewards[drawn])

    def tokens(self, drawn: Int) -> RolloutTokens:
        """Tokens of the outcomes; a choice has one, and its length for a label."""
        logs = {name: each[drawn] for name, each in self._log_ratios.items()}
        lengths = self.outcomes.counts
        width = self._mask.shape[1] if self.outcomes.probabilities.ndim == 2 else int(lengths.max())
        return RolloutTokens(self._mask[drawn], lengths[drawn], logs, width)

    def weighted_scores(self, drawn: Int, weights: Float, each: int) -> Float:
        """A sparse matrix of weights times the table of all scores: O(B T d)."""
        longest = weights.shape[1]
        row = np.repeat(np.arange(len(drawn)) // each, longest)
        column = (drawn[:, None] * longest + np.arange(longest)).ravel()
        shape = (len(drawn) // each, len(self._scores))
        return np.asarray(sparse.csr_array((weights.ravel(), (row, column)), shape=shape) @ self._scores)

    @cached_property
    def _cumulative(self) -> Float:
        total = np.cumsum(self.outcomes.drawn)
        return np.asarray(total / total[-1])

    @cached_property
    def _mask(self) -> Bool:
        return self.outcomes.mask

    @cached_property
    def _log_ratios(self) -> dict[str, Float]:
        return self.outcomes.log_ratios()

    @cached_property
    def _scores(self) -> Float:
        """Scores of all tokens, (M T, d)."""
        return self.outcomes.token_scores.reshape(-1, self.parameters)
