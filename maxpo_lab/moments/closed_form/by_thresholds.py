"""Moments of a rank-linear rule in closed form, at any number of reward levels."""

from __future__ import annotations

import numpy as np

from ...core.coefficients import Coefficients
from ...estimators import RankLinear
from ...policies.levels import RewardLevels
from .dead_groups import dead_probability
from .thresholds import BinaryTable, Thresholds


class ThresholdSums:
    r"""What ``CountSums`` gives of a rule, for a rank-linear one and without its groups.

    With f_m the mean of ``a+(c+1) - a-(c)`` over the n-1 others, ``E[x] = n sum_m delta_m f_m u_m``.
    Covariances are taken pair by pair about the mean of each threshold, never as a difference of two large
    moments at the end; those of the advantages' constant part are 0. What is left to cancel is the
    covariance between two rollouts against the variance of one: at most n-fold.

    Cost O(L^2 n^2) time, O(L^2 + L n) memory. Errors about ``n eps`` of ``n E[A^2] max_l S_l``.
    """

    #: No group is looked at.
    states = 0

    def __init__(self, levels: RewardLevels, made: Coefficients) -> None:
        self.n, self.levels = made.n, levels
        self.table, self.offset = BinaryTable.of(made), float(made.offset)
        self.basis, self.coordinates = levels.span()
        self.steps = np.diff(levels.values)
        at = Thresholds(levels.probabilities, self.table)
        p, n = levels.probabilities, self.n
        u = np.cumsum((p[:, None] * self.coordinates)[::-1], axis=0)[::-1][1:]
        one = self.steps * at.slope @ u
        self.mean = n * one

        constant = self.offset * float(levels.values[0]) + float(self.steps @ at.centre)
        variance, cross, total = at.second_moments(self.steps)
        np.fill_diagonal(cross, cross.diagonal() + 2 * constant * self.steps * at.curvature)
        mean = at.means(self.steps, constant)
        self.squares = n * p * (mean**2 + variance)
        deviation = mean[:, None] * self.coordinates - one
        same = (p[:, None] * deviation).T @ deviation
        same += (p * variance * self.coordinates.T) @ self.coordinates
        self.comoment = n * (same + (n - 1) * (u.T @ cross @ u))
        self.sum_square = total + (n * constant) ** 2
        lowest = n * self.offset * float(levels.values[0])
        self.sum_max = self.table.largest_sum(self.steps, lowest)

    def between_counts(self) -> float:
        """Trace of the covariance of E[x | counts]; a variance of 0 that rounds below it is 0."""
        return max(0.0, float(np.trace(self.comoment)))

    def dead_probability(self, threshold: float) -> float:
        """Chance of a group whose largest |A| is at most the threshold; NaN where signs hide it.

        See ``dead_groups.dead_probability``.
        """
        return dead_probability(self.table, self.levels, threshold)


def in_closed_form(rule: RankLinear, levels: RewardLevels, n: int, k: int) -> ThresholdSums:
    """The sums of a rank-linear rule; ValueError for rewards it is not defined on."""
    if reason := rule.why_not_rewards(levels.values):
        raise ValueError(reason)
    return ThresholdSums(levels, rule.coefficients(n, k))
