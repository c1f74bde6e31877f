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
    raising it adds to the advantage; ``tolerance``, what rounding can do to that.
    """

    n: int
    others: Float
    low: Float
    high: Float
    below: Int
    earned: Float
    tolerance: float

    def due(self, alpha: Vector) -> Float:
        """What an unbiased rule pays for each step, (P,)."""
        return np.asarray((self.high - self.low) * increments(alpha, self.n)[self.below])

    def fit(self, alpha: Vector) -> Fit:
        """The factor c nearest to ``earned = c due``, and how far from it a pair is."""
        due = self.due(alpha)
        scale = float(self.earned @ due / (due @ due))
        off, off_unscaled = (float(np.abs(self.earned - factor * due).max()) for factor in (scale, 1.0))
        return Fit(scale, off, off_unscaled)

    def first_wrong(self, alpha: Vector, factor: float) -> int | None:
        """The first pair that is not paid ``factor`` times its due; None where all are."""
        wrong = np.flatnonzero(np.abs(self.earned - factor * self.due(alpha)) > self.tolerance)
        return int(wrong[0]) if len(wrong) else None


@dataclass(frozen=True, slots=True)
class Fit:
    """``earned = scale * due`` up to ``off``; with a factor of 1, up to ``off_unscaled``."""

    scale: float
    off: float
    off_unscaled: float


def on_levels(rule: rules.Rule, values: Float, *, n: int, k: int, equivariant: bool) -> Pairs:
    """All pairs on some reward levels, from ``C(n+L-1, L-1)`` groups, or ``L^n`` if not equivariant."""
    size = len(values)
    even = np.full(size, 1.0 / size)
    blocks = states.count_blocks(n, even) if equivariant else states.arrangement_blocks(n, even)
    totals: dict[tuple[int, ...], Float] = {}
    arranged: dict[tuple[int, ...], int] = {}
    tolerance = 0.0
    for block in blocks:
        advantages = rules.evaluate(rule, values[block.level], k)
        tolerance = max(tolerance, 2 * rules.tolerance(rule, advantages))
        counts = block.sums(np.ones_like(advantages), size).astype(int)
        for key, row in zip(map(tuple, counts.tolist()), block.sums(advantages, size), strict=True):
            totals[key] = totals.get(key, 0.0) + row
            arranged[key] = arranged.get(key, 0) + 1
    mean = {key: total / (arranged[key] * np.maximum(key, 1)) for key, total in totals.items()}

    others, low, high, below, earned = [], [], [], [], []
    rests = states.counts(n - 1, size) if n > 1 else np.zeros((1, size), dtype=np.intp)
    for rest in rests[np.argsort(rests @ np.arange(size), kind="stable")]:  # the simplest first
        for level in range(size - 1):
            at, above = (rest + (np.arange(size) == each) for each in (level, level + 1))
            others.append(np.repeat(values, rest))
            low.append(values[level])
            high.append(values[level + 1])
            below.append(rest[: level + 1].sum())
            earned.append(mean[tuple(above.tolist())][level + 1] - mean[tuple(at.tolist())][level])
    return Pairs(
        n, np.array(others), np.array(low), np.array(high), np.array(below), np.array(earned), tolerance
    )


def without_ties(rule: rules.Rule, *, n: int, k: int) -> Pairs:
    """Pairs of groups of distinct rewards drawn from [0, 1] with a fixed seed, each in a random order.

    The rule must be permutation-equivariant on them.
    """
    rng = np.random.default_rng(0)
    drawn = np.sort(rng.random((_DRAWN, n + 1)), axis=1)
    below = rng.integers(0, n, _DRAWN)
    rows = np.arange(_DRAWN)
    low, high = drawn[rows, below], drawn[rows, below + 1]
    kept = (np.arange(n + 1) != below[:, None]) & (np.arange(n + 1) != below[:, None] + 1)
    others = drawn[kept].reshape(_DRAWN, n - 1)
    order = rng.permuted(np.tile(np.arange(n), (_DRAWN, 1)), axis=1)
    place = np.argwhere(order == n - 1)[:, 1]

    def own(reward: Float) -> tuple[Float, Float]:
        group = np.take_along_axis(np.column_stack([others, reward]), order, axis=1)
        advantages = rules.evaluate(rule, group, k)
        return advantages[rows, place], advantages

    at, all_at = own(low)
    above, all_above = own(high)
    return Pairs(
        n,
        others,
        low,
        high,
        below,
        above - at,
        2 * rules.tolerance(rule, np.concatenate([all_at, all_above])),
    )
