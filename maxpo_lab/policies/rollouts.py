"""What a policy must offer for its updates to be sampled: rollouts that are drawn, token by token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ..core.arrays import Bool, Float, Int


@dataclass(frozen=True, eq=False)
class RolloutTokens:
    """What a loss looks at in B rollouts of T tokens at most.

    Attributes
    ----------
    mask
        Which tokens there are, (B, T).
    lengths
        Tokens that means over tokens count, (B,): those of the mask, or a label where a rollout is one
        choice.
    log_ratios
        By the names that losses use, (B, T) each, 0 off the mask: ``log_ratios`` of the current policy to the
        proximal one, ``behaviour_log_ratios`` of that to the one that draws, ``reference_log_ratios`` of the
        current one to the reference, where there is one.
    width
        The longest that a rollout can be: T of a padded batch.
    """

    mask: Bool
    lengths: Int
    log_ratios: Mapping[str, Float]
    width: int

    @property
    def rollout_log_ratios(self) -> Float:
        """``log pi - log pi_drawn`` of whole rollouts, (B,)."""
        both = (self.log_ratios["log_ratios"], self.log_ratios["behaviour_log_ratios"])
        return np.asarray(np.where(self.mask, both[0] + both[1], 0.0).sum(axis=1))


@runtime_checkable
class RolloutPolicy(Protocol):
    """A policy on one prompt whose rollouts can be drawn, whether or not they can be listed.

    What is drawn is an array with a rollout a row, of any further shape and any type that the policy likes:
    an outcome's number, tokens, a real number. Rows are picked and put together, and handed back.
    """

    @property
    def parameters(self) -> int:
        """How many numbers a score has, d."""

    def draw(self, rng: np.random.Generator, size: int) -> npt.NDArray[Any]:
        """Rollouts of the policy that draws, (size, ...); all randomness comes from the generator."""

    def rewards(self, drawn: npt.NDArray[Any]) -> Float:
        """Rewards of B rollouts, (B,)."""

    def tokens(self, drawn: npt.NDArray[Any]) -> RolloutTokens:
        """Their tokens."""

    def weighted_scores(self, drawn: npt.NDArray[Any], weights: Float, each: int) -> Float:
        """Sums of the scores of their tokens, times weights (B, T), over each so many: (B/each, d).

        Scores are gradients of the current policy's log-probabilities.
        """
