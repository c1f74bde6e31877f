"""Moments of a rank-linear rule in closed form, at any number of reward levels."""

from __future__ import annotations

import numpy as np

from ..core.arrays import Float
from ..core.coefficients import Coefficients
from ..estimators import RankLinear
from ..policies.levels import RewardLevels
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
        at = self._thresholds = Thresholds(levels.probabilities, self.table)
        p, n = levels.probabilities, self.n
        u = np.cumsum((p[:, None] * self.coordinates)[::-1], axis=0)[::-1][1:]
        one = self.steps * at.slope @ u
        self.mean = n * one

        constant = self.offset * float(levels.values[0]) + float(self.steps @ at.centre)
        variance, cross, total = self._second_moments()
        np.fill_diagonal(cross, cross.diagonal() + 2 * constant * self.steps * at.curvature)
        mean = constant + _from_below(self.steps * at.down * at.slope)
        mean -= _from_above(self.steps * at.up * at.slope)
        self.squares = n * p * (mean**2 + variance)
        deviation = mean[:, None] * self.coordinates - one
        same = (p[:, None] * deviation).T @ deviation
        same += (p * variance * self.coordinates.T) @ self.coordinates
        self.comoment = n * (same + (n - 1) * (u.T @ cross @ u))
        self.sum_square = total + (n * constant) ** 2
        self.sum_max = self._largest_sum()

    def _second_moments(self) -> tuple[Float, Float, float]:
        """Variance of A given the level (L,), the form (T, T) on the u_m, and the variance of sum A."""
        steps, count = self.steps, len(self.steps)
        low, high, mid = np.zeros(count), np.zeros(count), np.zeros(count + 1)
        cross, total = np.zeros((count, count)), 0.0
        for m in range(count):
            pair = self._thresholds.pairs(m)
            scale = steps[m] * steps[m:]
            twice = 2 * scale
            twice[0] = scale[0]  # the threshold with itself comes once
            low[m] = twice @ pair.below
            high[m:] += twice * pair.above
            # A level l between m < l <= m' sees the two from the middle.
            mid[m + 1 : -1] += np.cumsum((twice * pair.between)[:0:-1])[::-1]
            total += float(twice @ pair.total)
            mixed = scale * (pair.high_low + pair.low_high)
            cross[m, m:] += mixed
            cross[m + 1 :, m] += mixed[1:]
            cross[m, m] += twice @ pair.low_low
            cross[np.arange(m, count), np.arange(m, count)] += twice * pair.high_high
        return _from_above(low) + mid + _from_below(high), cross, total

    def _largest_sum(self) -> float:
        """Largest ``|sum_i A_i|`` of any group, over the chains n >= c_1 >= c_2 >= ... of counts."""
        total = self.table.total
        most, least = np.zeros(self.n + 1), np.zeros(self.n + 1)
        for step in self.steps:
            most = step * total + np.maximum.accumulate(most[::-1])[::-1]
            least = step * total + np.minimum.accumulate(least[::-1])[::-1]
        constant = self.n * self.offset * float(self.levels.values[0])
        return max(abs(constant + float(most.max())), abs(constant + float(least.min())))

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


def _from_below(values: Float) -> Float:
    """Sums over the thresholds below each level, (L,)."""
    return np.concatenate([[0.0], np.cumsum(values)])


def _from_above(values: Float) -> Float:
    """Sums over the thresholds above each level, (L,)."""
    return np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])
