"""The prompts of the study: bandits with parameters of their own, each summarised by three numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import maxpo_lab as ml
from maxpo_lab.core.arrays import Float


@dataclass(frozen=True, slots=True)
class Space:
    """Outcomes of a prompt: ``good`` of ``arms`` are right, each class even under a softmax policy.

    Per success rate p, with u the unit vector along grad p, scores are ``(1-p) length u`` and ``-p length u``
    on average over the right and over the wrong arms, and spread about that across u.
    """

    arms: int
    good: int

    @property
    def length(self) -> float:
        """``|grad p| / (p (1-p))``."""
        return float(np.sqrt(1 / self.good + 1 / (self.arms - self.good)))

    @property
    def spread(self) -> tuple[float, float]:
        """``E |s - its mean|^2`` over the wrong and over the right arms, whatever p."""
        return 1 - 1 / (self.arms - self.good), 1 - 1 / self.good

    def batch(self, success: Float) -> tuple[ml.RewardLevels, ...]:
        """Prompts of these success rates side by side, a parameter each, which is all that gradients need."""
        return ml.side_by_side(self._levels(float(p)) for p in success)

    def _levels(self, p: float) -> ml.RewardLevels:
        means = np.array([-p, 1 - p]) * self.length
        second = means**2 + self.spread
        return ml.RewardLevels(np.array([0.0, 1.0]), np.array([1 - p, p]), means[:, None], second)
