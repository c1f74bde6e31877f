r"""Unbiasedness decided on pairs of groups: what a rollout earns for the step to the next reward.

By the complete class a rule is unbiased for an objective, under every policy on some reward levels, exactly
if raising one reward across a gap, the others fixed, raises its advantage (averaged over ties and positions)
by ``gap * D_m``: D the objective's increments, m the number of others below the gap. A common factor in place
of 1 is a scale. The pairs are finitely many, so nothing is drawn and no policy is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .. import rules, states
from ..order_statistics import increments
from ..weights import Vector

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.intp]

#: Groups without ties that are drawn where rewards are continuous.
_DRAWN = 64


@dataclass(frozen=True, eq=False)
class Pairs:
    """P pairs of groups that differ in one reward, raised from ``low`` to ``high``.

    ``others`` (P, n-1); ``low``, ``high`` (P,); ``below`` (P,), others at most ``low``; ``earned`` (P,), what
    raising it adds to the advantage; ``tolerance`` (P,), what rounding can do to that.
    """

    n: int
    others: Float
    low: Float
    high: Float
    below: Int
    earned: Float
    tolerance: Float

    def due(self, alpha: Vector) -> Float:
        """What an unbiased rule pays for each step, (P,)."""
        return np.asarray((self.high - self.low) * increments(alpha, self.n)[self.below])

    def fit(self, alpha: Vector) -> Fit:
        """The factor c nearest to ``earned = c due``."""
        due = self.due(alpha)
        scale = float(self.earned @ due / (due @ due))
        fits, fits_unscaled = (
            bool((np.abs(self.earned - factor * due) <= self.tolerance).all()) for factor in (scale, 1.0)
        )
        return Fit(scale, fits, fits_unscaled)

    def first_wrong(self, alpha: Vector, factor: float) -> int | None:
        """The first pair that is not paid ``factor`` times its due; None where all are."""
        wrong = np.flatnonzero(np.abs(self.earned - factor * self.due(alpha)) > self.tolerance)
        return int(wrong[0]) if len(wrong) else None


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether ``earned = scale * due`` for every pair, to rounding; and whether with a factor of 1."""

    scale: float
    fits: bool
    fits_unscaled: bool


def on_levels(rule: rules.Rule, values: Float, *, n: int, k: int, equivariant: bool) -> Pairs:
    """All pairs on some reward levels, from ``C(n+L-1, L-1)`` groups, or ``L^n`` if not equivariant."""
    size = len(values)
    even = np.full(size, 1.0 / size)
    blocks = states.count_blocks(n, even) if equivariant else states.arrangement_blocks(n, even)
    totals: dict[tuple[int, ...], Float] = {}
    arranged: dict[tuple[int, ...], int] = {}
    slack: dict[tuple[int, ...], float] = {}
    for block in blocks:
        advantages = rules.evaluate(rule, values[block.level], k)
        counts = block.sums(np.ones_like(advantages), size).astype(int)
        keys = map(tuple, counts.tolist())
        for key, row, given in zip(keys, block.sums(advantages, size), advantages, strict=True):
            totals[key] = totals.get(key, 0.0) + row
            arranged[key] = arranged.get(key, 0) + 1
            slack[key] = max(slack.get(key, 0.0), rules.tolerance(rule, given))
    mean = {key: total / (arranged[key] * np.maximum(key, 1)) for key, total in totals.items()}

    others, low, high, below, earned, tolerance = [], [], [], [], [], []
    rests = states.counts(n - 1, size) if n > 1 else np.zeros((1, size), dtype=np.intp)
    for rest in rests[np.argsort(rests @ np.arange(size), kind="stable")]:  # the simplest first
        for level in range(size - 1):
            at, above = (rest + (np.arange(size) == each) for each in (level, level + 1))
            others.append(np.repeat(values, rest))
            low.append(values[level])
            high.append(values[level + 1])
            below.append(rest[: level + 1].sum())
            here, there = tuple(at.tolist()), tuple(above.tolist())
            earned.append(mean[there][level + 1] - mean[here][level])
            tolerance.append(slack[here] + slack[there])
    return Pairs(n, *map(np.array, (others, low, high, below, earned, tolerance)))


def without_ties(rule: rules.Rule, *, n: int, k: int) -> Pairs:
    """Pairs of groups of distinct rewards drawn from [0, 1] with a fixed seed, each in a random order.

    Every number of others below the gap comes up. The rule must be permutation-equivariant on them.
    """
    rng = np.random.default_rng(0)
    below = np.arange(max(_DRAWN, 2 * n)) % n
    rows = np.arange(len(below))
    drawn = np.sort(rng.random((len(below), n + 1)), axis=1)
    low, high = drawn[rows, below], drawn[rows, below + 1]
    kept = (np.arange(n + 1) != below[:, None]) & (np.arange(n + 1) != below[:, None] + 1)
    others = drawn[kept].reshape(len(below), n - 1)
    order = rng.permuted(np.tile(np.arange(n), (len(below), 1)), axis=1)
    place = np.argwhere(order == n - 1)[:, 1]

    def own(reward: Float) -> tuple[Float, Float]:
        group = np.take_along_axis(np.column_stack([others, reward]), order, axis=1)
        advantages = rules.evaluate(rule, group, k)
        return advantages[rows, place], np.array([rules.tolerance(rule, each) for each in advantages])

    at, slack_at = own(low)
    above, slack_above = own(high)
    return Pairs(n, others, low, high, below, above - at, slack_at + slack_above)
