r"""Moments of a rank-linear rule in closed form: pairs of thresholds in place of groups.

Cut the rewards at threshold m, between levels m and m+1. With ``delta_m = r_(m+1) - r_m`` and ``c_m``
rollouts above,

.. math:: A_i = \text{offset}\, r_1 + \sum_m \delta_m a_m(i), \qquad
          a_m(i) = a^+(c_m) \text{ above the threshold}, \; a^-(c_m) \text{ below it},

so second moments need two thresholds at a time. A pair splits the other rollouts into those below both,
between them and above both, and the count above the higher one is binomial given that above the lower one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...core.arrays import Float, Int
from ...core.binomial import binomial
from ...core.coefficients import Coefficients

# Entries recurred on at a time: 1 MiB per array, so that the three arrays of a step stay in the caches.
_BLOCK_ENTRIES = 1 << 17


@dataclass(frozen=True, slots=True, eq=False)
class BinaryTable:
    """A rank-linear rule on 0/1 rewards: what a success and a failure get among c successes.

    ``success`` is ``a+(c)`` and ``failure`` is ``a-(c)``, both for c = 0..n; nobody gets ``success[0]`` or
    ``failure[n]``, which are 0. ``success[n]`` is the offset.
    """

    success: Float
    failure: Float

    @classmethod
    def of(cls, made: Coefficients) -> BinaryTable:
        """The table of a rule: ``above_(n-c)`` and ``below_(n-c)``."""
        above, below = (np.asarray(v, dtype=np.float64)[::-1] for v in (made.above, made.below))
        return cls(
            np.concatenate([[0.0], above, [float(made.offset)]]), np.concatenate([[0.0], below, [0.0]])
        )

    @property
    def n(self) -> int:
        """Group size."""
        return len(self.success) - 1

    @property
    def step(self) -> Float:
        """``a+(c+1) - a-(c)``, c = 0..n-1: what passing the threshold adds where c others pass it."""
        return np.asarray(self.success[1:] - self.failure[:-1])

    @property
    def curve(self) -> Float:
        """Differences of ``step``, c = 0..n-2: what another success changes in it."""
        return np.diff(self.step)

    @property
    def total(self) -> Float:
        """``c a+(c) + (n-c) a-(c)``, c = 0..n: the sum of the advantages."""
        c = np.arange(self.n + 1)
        return np.asarray(c * self.success + (self.n - c) * self.failure)

    def largest_sum(self, steps: Float, constant: float) -> float:
        """Largest ``|sum_i A_i|`` of any group, over the chains n >= c_1 >= c_2 >= ... of counts.

        ``steps`` (T,) are the differences of the levels' rewards, ``constant`` the part of every sum that the
        lowest level alone decides.
        """
        total = self.total
        most, least = np.zeros(self.n + 1), np.zeros(self.n + 1)
        for step in steps:
            most = step * total + np.maximum.accumulate(most[::-1])[::-1]
            least = step * total + np.minimum.accumulate(least[::-1])[::-1]
        return max(abs(constant + float(most.max())), abs(constant + float(least.min())))


def thinned(values: Float, kept: Float | float, lost: Float | float) -> Float:
    r"""``E[values[Bin(c, kept)]]`` for c = 0..N, along the first axis: a Bernstein operator.

    By de Casteljau's recurrence ``v_j <- lost v_j + kept v_(j+1)``, whose value at j = 0 after c steps is
    the mean at c. Every step is a convex combination: nothing cancels that was not of two signs, and a
    rare success keeps its digits. ``kept`` and ``lost`` sum to 1 and are both given, over the last axis.

    Cost O(N^2) an entry of the other axes; relative error at most ``2 N eps`` for values of one sign.
    """
    result = np.empty_like(values)
    v, work = values.copy(), np.empty_like(values)
    for c in range(len(values)):
        result[c] = v[0]
        left = len(values) - 1 - c
        np.multiply(v[1 : left + 1], kept, out=work[:left])
        v[:left] *= lost
        v[:left] += work[:left]
    return result


@dataclass(frozen=True, slots=True, eq=False)
class PairMoments:
    """Moments of threshold m with each of the thresholds m' >= m, arrays over m'.

    ``below``, ``between``, ``above``: covariance of ``a_m(1)`` and ``a_m'(1)`` for a rollout 1 below both
    thresholds, between them, above both. ``low_low``, ``high_low``, ``low_high``, ``high_high``: coefficients
    of ``u_m u_m^T``, ``u_m' u_m^T``, ``u_m u_m'^T`` and ``u_m' u_m'^T`` in the covariance of ``(a_m(1) -
    E a_m) G(1)`` and ``(a_m'(2) - E a_m') G(2)``, u_m the sum of ``p_l G_l`` above threshold m. ``total``:
    covariance of the two thresholds' parts of ``sum_i A_i``.
    """

    below: Float
    between: Float
    above: Float
    low_low: Float
    high_low: Float
    low_high: Float
    high_high: Float
    total: Float


class Thresholds:
    """Everything about single thresholds, and the moments of pairs of them.

    Attributes: ``up``, ``down`` (T,), the chances of a level above and below each of the T = L-1 thresholds;
    ``success_mean``, ``failure_mean``, ``centre`` (T,), the mean of ``a_m(1)`` for a rollout above, below,
    and any; ``slope`` (T,), the mean of ``a+(c+1) - a-(c)`` over n-1 others; ``curvature`` (T,), that of its
    differences over n-2.
    """

    def __init__(self, probabilities: Float, table: BinaryTable) -> None:
        self.n, self.table = table.n, table
        self.probabilities = probabilities
        self.down = np.cumsum(probabilities)[:-1]
        self.up = np.cumsum(probabilities[::-1])[::-1][1:]
        self.all, self.others, self.others_of_two = (self._chances(self.n - gone) for gone in range(3))
        self.success_mean = self.others @ table.success[1:]
        self.failure_mean = self.others @ table.failure[:-1]
        self.centre = self.up * self.success_mean + self.down * self.failure_mean
        self.slope = self.others @ table.step
        self.curvature = self.others_of_two @ table.curve
        self.total_mean = self.all @ table.total
        self._functions = self._padded()
        self._means = np.zeros((self._functions.shape[1], len(self.up)))
        self._means[[0, 1, 3, 5]] = self.failure_mean, self.success_mean, self.slope, self.total_mean

    def _chances(self, rollouts: int) -> Float:
        """Binomial chances (T, rollouts + 1) of the count above each threshold."""
        if rollouts < 0:
            return np.zeros((len(self.up), 0))
        rows = [binomial(rollouts, *odds) for odds in zip(self.up, self.down, strict=True)]
        return np.reshape(np.array(rows, dtype=np.float64), (-1, rollouts + 1))

    def _padded(self) -> Float:
        """The functions of the count above the higher threshold, (n+1, 6), with zeros beyond their range."""
        table = self.table
        functions = (
            table.failure[:-1],
            table.success[1:],
            np.diff(table.failure[:-1]),
            table.step[:-1],
            table.curve,
            table.total,
        )
        return np.stack([np.pad(f, (0, self.n + 1 - len(f))) for f in functions], axis=1)

    def means(self, steps: Float, mean: float) -> Float:
        """Mean of A given the level, (L,), from that of any rollout."""
        above = mean + _from_below(steps * self.down * self.slope)
        return above - _from_above(steps * self.up * self.slope)

    def second_moments(self, steps: Float) -> tuple[Float, Float, float]:
        """Variance of A given the level (L,), the form (T, T) on the u_m, and the variance of sum A.

        ``steps`` (T,) are the differences of the levels' rewards.
        """
        count = len(steps)
        low, high, mid = np.zeros(count), np.zeros(count), np.zeros(count + 1)
        cross, total = np.zeros((count, count)), 0.0
        for m in range(count):
            pair = self.pairs(m)
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

    def pairs(self, m: int) -> PairMoments:
        """Moments of threshold m with m' = m..T-1. Cost O((T - m) n^2), memory three MiB or one pair."""
        higher = np.arange(m, len(self.up))
        between = np.concatenate([[0.0], np.cumsum(self.probabilities[m + 1 : -1])])
        size = max(1, _BLOCK_ENTRIES // self._functions.size)
        starts = range(0, len(higher), size)
        blocks = [self._pair_block(m, higher[i : i + size], between[i : i + size]) for i in starts]
        fields = PairMoments.__dataclass_fields__
        return PairMoments(**{f: np.concatenate([getattr(block, f) for block in blocks]) for f in fields})

    def _pair_block(self, m: int, higher: Int, between: Float) -> PairMoments:
        table, n = self.table, self.n
        values = self._functions[:, :, None] - self._means[:, higher]
        lower_count = self.up[higher] + between
        given = values
        if between.any():  # of a threshold with itself the counts are the same
            given = thinned(values, self.up[higher] / lower_count, between / lower_count)
        failure, success, failure_change, step, curve, total = np.moveaxis(given, 1, 0)

        one, two = self.others[m], self.others_of_two[m]
        own_failure = one * (table.failure[:-1] - self.failure_mean[m])
        own_success = one * (table.success[1:] - self.success_mean[m])
        own_curve = two * table.curve
        tilt = self.up[higher] * self.slope[higher]  # centre - failure_mean
        # E[XY] - f f' for the steps X of m and Y of m', whose means over n-2 others are not quite f, f'.
        off = self.slope[higher] * self.down[m] * self.curvature[m]
        off = off - self.slope[m] * self.up[higher] * self.curvature[higher]
        return PairMoments(
            below=own_failure @ failure[:n],
            between=own_success @ failure[:n],
            above=own_success @ success[:n],
            low_low=own_curve @ failure[: n - 1] - self.curvature[m] * tilt,
            high_low=(two * np.diff(table.success[1:])) @ failure_change[: n - 1],
            low_high=(two * (table.step[1:] - self.slope[m])) @ step[: n - 1] + off,
            high_high=(two * (table.success[2:] - self.centre[m])) @ curve[: n - 1],
            total=(self.all[m] * (table.total - self.total_mean[m])) @ total,
        )


def _from_below(values: Float) -> Float:
    """Sums over the thresholds below each level, (L,)."""
    return np.concatenate([[0.0], np.cumsum(values)])


def _from_above(values: Float) -> Float:
    """Sums over the thresholds above each level, (L,)."""
    return np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])
