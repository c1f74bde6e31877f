r"""Unbiasedness decided on pairs of groups: what a rollout earns for the step to the next reward.

By the complete class a rule is unbiased for an objective, under every policy on some reward levels, exactly
if raising one reward across gaps, the others fixed, raises its advantage (averaged over ties and positions)
by the sum of ``gap * D_m``: D the objective's increments, m the number of others below the gap. A common
factor in place of 1 is a scale. The pairs are finitely many, so nothing is drawn and no policy is needed. One
gap at a time decides; in a narrow type wide steps are tried too, as rounding hides least in those.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, Generic, TypeVar

import numpy as np

from ... import rules
from ...core.arrays import Float, Int
from ...core.precision import Precision, allowed, finest, ladder
from ...moments import states
from ...moments.count_sums import sums_by_level
from ...objectives import Objective, VectorObjective, increments

Counts = tuple[int, ...]
#: What is maximised: an objective of one reward, or of several.
Aim = TypeVar("Aim", Objective, VectorObjective)

#: Groups without ties that are drawn where rewards are continuous.
_DRAWN = 64


@dataclass(frozen=True, eq=False)
class Steps(ABC, Generic[Aim]):
    """P pairs of groups that differ in one rollout, and what the difference adds to its advantage.

    ``earned`` (P,), that; ``size`` (P,), the largest advantage of the two groups; ``spread``, of all rewards;
    ``precision``, in which the rule computes.
    """

    n: int
    earned: Float
    size: Float
    spread: float
    precision: Precision

    @abstractmethod
    def due(self, objective: Aim) -> Float:
        """What an unbiased rule pays for each step, (P,)."""

    def unit(self, objective: Aim) -> float:
        """``K * range``: the size of the signals that rules for this objective subtract from each other."""
        return objective.size * self.spread

    def allowed(self, made: Precision, unit: float) -> Float:
        """What rounding in a type may do to ``earned``, (P,)."""
        return allowed(made, self.precision, self.size, unit, self.n)

    def finest(self, due: Float, unit: float) -> Precision | None:
        """The finest type whose rounding explains every ``earned - due``; None where none does."""
        return finest(self.earned - due, self.precision, self.size, unit, self.n)

    def fit(self, objective: Aim) -> Fit:
        """The factor c nearest to ``earned = c due``, and the types to which it and 1 fit.

        A rule of a small scale is measured by its own advantages; or by the unit, if rounding of that size
        leaves its scale a twentieth uncertain at most.
        """
        due, unit = self.due(objective), self.unit(objective)
        scale = float(self.earned @ due / (due @ due))
        scaled = self.finest(scale * due, min(unit, float(self.size.max())))
        if scaled is None:
            scaled = self.finest(scale * due, unit)
            if scaled and np.abs(scale * due).max() < 20 * self.allowed(scaled, unit).max():
                scaled = None
        return Fit(scale, scaled if scale else None, self.finest(due, unit))

    def first_wrong(self, objective: Aim, factor: float) -> int | None:
        """The first pair that is not paid ``factor`` times its due; None where all are."""
        coarsest = ladder(self.precision)[-1]
        off = np.abs(self.earned - factor * self.due(objective))
        wrong = np.flatnonzero(off > self.allowed(coarsest, self.unit(objective) * abs(factor)))
        return int(wrong[0]) if len(wrong) else None


@dataclass(frozen=True, eq=False)
class Pairs(Steps[Objective]):
    """Pairs in which one reward is raised from ``low`` to ``high``, both (P,).

    ``others`` (P, n-1); ``gaps`` (P, G), the distances between levels that it is raised across, and ``below``
    (P, G), the others below each.
    """

    others: Float
    low: Float
    high: Float
    gaps: Float
    below: Int

    def due(self, objective: Objective) -> Float:
        """What an unbiased rule pays for each step, (P,)."""
        return np.asarray((self.gaps * increments(objective, self.n)[self.below]).sum(axis=1))


@dataclass(frozen=True, slots=True)
class Fit:
    """The finest type to whose rounding ``earned = scale * due`` for every pair, and that with a factor of 1.

    None: to none.
    """

    scale: float
    scaled: Precision | None
    unscaled: Precision | None


def on_levels(rule: rules.Rule, values: Float, *, n: int, k: int, equivariant: bool) -> Pairs:
    """Pairs on some reward levels, from ``C(n+L-1, L-1)`` groups, or ``L^n`` if not equivariant.

    Neighbouring levels alone; all levels where the rule computes in a narrow type.
    """
    mean, largest = mean_advantages(rule, values, n=n, k=k, equivariant=equivariant)
    size, made = len(values), rules.precision_of(rule)
    raises = list(combinations(range(size), 2) if made.narrow else pairwise(range(size)))
    rows = []
    steps, places = np.diff(values), np.arange(size)
    rests = states.counts(n - 1, size) if n > 1 else np.zeros((1, size), dtype=np.intp)
    for rest in rests[np.argsort(rests @ places, kind="stable")]:  # the simplest first
        for level, raised in raises:
            here, there = (tuple((rest + (places == each)).tolist()) for each in (level, raised))
            rows.append(
                (
                    np.repeat(values, rest),
                    values[level],
                    values[raised],
                    steps * ((places[:-1] >= level) & (places[:-1] < raised)),
                    np.cumsum(rest)[:-1],
                    mean[there][raised] - mean[here][level],
                    max(largest[here], largest[there]),
                )
            )
    return from_rows(rows, n=n, spread=float(np.ptp(values)), precision=made)


def from_rows(rows: Sequence[tuple[Any, ...]], *, n: int, spread: float, precision: Precision) -> Pairs:
    """Pairs from one row each: others, low, high, gaps, below, earned, size."""
    others, low, high, gaps, below, earned, size = map(np.array, zip(*rows, strict=True))
    return Pairs(
        n=n,
        others=others,
        low=low,
        high=high,
        gaps=gaps,
        below=below,
        earned=earned,
        size=size,
        spread=spread,
        precision=precision,
    )


def mean_advantages(
    rule: rules.Rule, values: Float, *, n: int, k: int, equivariant: bool
) -> tuple[dict[Counts, Float], dict[Counts, float]]:
    """By how many rollouts are on each level (L,): the mean advantage of each level, and the largest of all.

    Averaged over equals, and over arrangements if the rule is not permutation-equivariant.
    """
    size = len(values)
    even = np.full(size, 1.0 / size)
    blocks = states.count_blocks(n, even) if equivariant else states.arrangement_blocks(n, even)
    totals: dict[Counts, Float] = {}
    arranged: dict[Counts, int] = {}
    largest: dict[Counts, float] = {}
    for block in blocks:
        advantages = rules.evaluate(rule, values[block.level], k)
        counts, sums = sums_by_level(block.level, (np.ones_like(advantages), advantages), size)
        keys = map(tuple, counts.astype(int).tolist())
        for key, row, given in zip(keys, sums, advantages, strict=True):
            totals[key] = totals.get(key, 0.0) + row
            arranged[key] = arranged.get(key, 0) + 1
            largest[key] = max(largest.get(key, 0.0), float(np.abs(given).max()))
    mean = {key: total / (arranged[key] * np.maximum(key, 1)) for key, total in totals.items()}
    return mean, largest


def without_ties(rule: rules.Rule, *, n: int, k: int, unit: float = 1.0) -> Pairs:
    """Pairs of groups of distinct rewards drawn from [0, unit] with a fixed seed, each in a random order.

    Every number of others below the gap comes up. The rule must be permutation-equivariant on them.
    """
    rng = np.random.default_rng(0)
    below = np.arange(max(_DRAWN, 2 * n)) % n
    rows = np.arange(len(below))
    drawn = unit * np.sort(rng.random((len(below), n + 1)), axis=1)
    low, high = drawn[rows, below], drawn[rows, below + 1]
    kept = (np.arange(n + 1) != below[:, None]) & (np.arange(n + 1) != below[:, None] + 1)
    others = drawn[kept].reshape(len(below), n - 1)
    order = rng.permuted(np.tile(np.arange(n), (len(below), 1)), axis=1)
    place = np.argwhere(order == n - 1)[:, 1]

    def own(reward: Float) -> tuple[Float, Float]:
        group = np.take_along_axis(np.column_stack([others, reward]), order, axis=1)
        advantages = rules.evaluate(rule, group, k)
        return advantages[rows, place], np.abs(advantages).max(axis=1)

    (at, size_at), (above, size_above) = own(low), own(high)
    return Pairs(
        n=n,
        others=others,
        low=low,
        high=high,
        gaps=(high - low)[:, None],
        below=below[:, None],
        earned=above - at,
        size=np.maximum(size_at, size_above),
        spread=unit,
        precision=rules.precision_of(rule),
    )
