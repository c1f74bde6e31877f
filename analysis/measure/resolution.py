"""Whether exact moments are more than rounding."""

from __future__ import annotations

import numpy as np

from maxpo_lab import Moments, RewardLevels

#: A gradient or a variance below this share of its natural scale is not resolved.
RESOLVED = 1e-12


def resolved(moments: Moments, levels: RewardLevels) -> bool:
    """Whether gradient and variance stand out of their natural scales, K |s| and (K |s|)^2 / n."""
    score = float(np.sqrt(levels.probabilities @ levels.score_second_moments))
    gradient = float(np.linalg.norm(moments.gradient))
    scale = moments.k * score
    return gradient > RESOLVED * scale and moments.trace_covariance > RESOLVED * scale**2 / moments.n
