r"""Objectives as L-statistics: weights on the ascending order statistics of a K-subset.

Every objective of the lab is ``J = E[sum_j alpha_j R_(j:K)]`` for K i.i.d. rewards: max@K puts all weight
on the largest, the mean reward is K = 1.
"""

from .objective import Objective
from .presets import PREFIX, as_objective, looks_at_k

__all__ = ["PREFIX", "Objective", "as_objective", "looks_at_k"]
