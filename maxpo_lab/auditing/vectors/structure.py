"""In which order a rule sums and normalises: whether it sees the weighted sum, or each reward by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from ...core.arrays import Float
from ...core.precision import as_numpy
from ..worker import HungError, RaisedError
from .calls import RowRule
from .rows import RowSetting, free_groups, some_groups

#: What a rule sees: the weighted sum of the rewards alone; each reward by itself, what it gives for them
#: added up; both, which is linear; or neither.
Sees = Literal["sum", "each", "both", "neither"]
#: Groups of a grid that are looked at.
_GROUPS = 96
#: Share of the largest advantage by which equals may differ: far above what rounding makes of a sum, in a
#: narrow type that type's.
_SAME = 1e-7
#: Digits to which sums are rounded, so that equal sums are equal numbers.
_DIGITS = 12
#: How near a weight is fitted, and the largest denominator of one that is a simple fraction.
_FITTED, _DENOMINATOR = 1e-6, 64
#: Ratios of two weights at which a fit begins.
_RATIOS = np.concatenate([-np.geomspace(32, 1 / 32, 41), [0.0], np.geomspace(1 / 32, 32, 41)])


@dataclass(frozen=True, slots=True)
class Order:
    """What a rule sees, and the weights at which it does.

    ``weights`` are those that were said where these are right; else the first is 1 or they are those of what
    each reward gives by itself, to the first; None where there are none.
    """

    sees: Sees
    weights: tuple[float, ...] | None


def probes(rule: RowRule, setting: RowSetting) -> list[Float]:
    """Groups of rows (B, n, c) of the grid, and some of free rewards where the rule takes them.

    Lengths are those of the grid, in both.
    """
    found = [some_groups(setting.table, setting.n, _GROUPS)]
    free = free_groups(rule.rewards, setting.n, lengths=rule.lengths)
    if answer(rule, free, setting.k) is not None:
        found.append(free)
    return found


def answer(rule: RowRule, rows: Float, k: int) -> Float | None:
    """Advantages, or None where the rule refuses or gives none that are finite."""
    try:
        return rule(rows, k)
    except HungError:
        raise
    except (RaisedError, ValueError, TypeError):
        return None


def order_of(rule: RowRule, groups: list[Float], k: int) -> Order:
    """What the rule sees on some groups, at the weights that were said, or at others that fit."""
    if rule.rewards == 1:  # which is the sum, and each
        return Order("sum", rule.weights)
    look = _Look(rule, k)
    each = all(map(look.each, groups))
    weights: tuple[float, ...] | None = rule.weights
    of_sum = all(look.of_sum(rows, rule.weights) for rows in groups)
    if not of_sum:
        weights = (look.ratios_of_each if each else look.ratios_of_sum)(groups[-1])
        of_sum = weights is not None and all(look.of_sum(rows, weights) for rows in groups)
    if of_sum and each and weights is not None and sum(map(bool, weights)) == 1:
        return Order("sum", weights)  # of one reward, which need not be linear
    sees: Sees = "both" if of_sum and each else "sum" if of_sum else "each" if each else "neither"
    return Order(sees, None if sees == "neither" else weights)


def of_one_reward(rule: RowRule, order: Order) -> Callable[[Any, int], Any]:
    """The rule of one reward that is in a rule of the sum, or in one of each, whose weights do not sum to 0.

    It is seen where the other rewards are 0, or where all are alike and the weights add up.
    """
    weights = np.array(order.weights if order.weights is not None else rule.weights)
    place = int(np.abs(weights).argmax())

    def summed(rewards: Any, k: int) -> Any:
        rows = np.zeros((*np.shape(rewards), rule.rewards))
        rows[..., place] = np.asarray(rewards) / weights[place]
        return rule.guard(rule.rows(rows), k)

    def of_each(rewards: Any, k: int) -> Any:
        return as_numpy(rule.of_scalars(rewards, k)) / weights.sum()

    one = summed if order.sees in ("sum", "both") else of_each

    def called(rewards: Any, k: int) -> Any:
        return one(np.asarray(rewards, dtype=np.float64), k)

    called.__name__ = rule.name
    called.precision = rule.precision  # type: ignore[attr-defined]
    return called


class _Look:
    """Questions to a rule at one K."""

    def __init__(self, rule: RowRule, k: int) -> None:
        self.rule, self.k = rule, k

    def close(self, ours: Float, theirs: Float | None) -> bool:
        """Whether two answers are the same but for rounding."""
        if theirs is None:
            return False
        same = max(_SAME, self.rule.precision.share(ours.shape[-1]))
        return bool(np.abs(ours - theirs).max() <= same * max(1.0, float(np.abs(ours).max())))

    def each(self, rows: Float) -> bool:
        """Whether what rows get is what each of their rewards gives where the others are 0, added up."""
        alone = [answer(self.rule, self._only(rows, [place]), self.k) for place in range(self.rule.rewards)]
        nothing = answer(self.rule, self._only(rows, []), self.k)
        if nothing is None or any(part is None for part in alone):
            return False
        total = nothing + sum(part - nothing for part in alone if part is not None)
        return self.close(self.rule(rows, self.k), total)

    def of_sum(self, rows: Float, weights: tuple[float, ...]) -> bool:
        """Whether the weighted sum, in one reward, gets what the rows get."""
        place = int(np.abs(weights).argmax())
        if not weights[place]:
            return False
        moved = self._only(rows, [])
        total = np.round(rows[..., : self.rule.rewards] @ np.array(weights), _DIGITS)
        moved[..., place] = total / weights[place]
        return self.close(self.rule(rows, self.k), answer(self.rule, moved, self.k))

    def ratios_of_sum(self, rows: Float) -> tuple[float, ...] | None:
        """Weights, the first 1, at which it may be a rule of the sum: a reward at a time beside the first."""
        found = [1.0]
        for place in range(1, self.rule.rewards):
            both = self._only(rows, [0, place])
            if (ratio := self._ratio(both, place, self.rule(both, self.k))) is None:
                return None
            found.append(ratio)
        return tuple(found)

    def _ratio(self, both: Float, place: int, given: Float) -> float | None:
        from scipy.optimize import minimize_scalar  # noqa: PLC0415 - slow to import, and few rules are fitted

        def distance(ratio: float) -> float:
            moved = both.copy()
            moved[..., 0] += ratio * both[..., place]
            moved[..., place] = 0.0
            other = answer(self.rule, moved, self.k)
            return np.inf if other is None else float(np.linalg.norm(given - other))

        rough = [distance(float(ratio)) for ratio in _RATIOS]
        best = int(np.argmin(rough))
        if not np.isfinite(rough[best]):
            return None
        around = _RATIOS[[max(best - 1, 0), min(best + 1, len(_RATIOS) - 1)]]
        fitted = float(minimize_scalar(distance, bounds=tuple(around), options={"xatol": 1e-11}).x)
        return _short(fitted)

    def ratios_of_each(self, rows: Float) -> tuple[float, ...] | None:
        """What each reward gives by itself for the same numbers, over what the first does."""
        given = []
        for place in range(self.rule.rewards):
            alone = self._only(rows, [])
            nothing = self.rule(alone, self.k)
            alone[..., place] = rows[..., 0]
            given.append(self.rule(alone, self.k) - nothing)
        first = float(np.sum(given[0] ** 2))
        if not first:
            return None
        ratios = [float(np.sum(each * given[0])) / first for each in given]
        if not all(self.close(each, ratio * given[0]) for each, ratio in zip(given, ratios, strict=True)):
            return None
        stated = self.rule.weights
        if stated[0] and np.allclose(ratios, np.array(stated) / stated[0], rtol=_SAME, atol=_SAME):
            return stated
        return tuple(map(_short, ratios))

    def _only(self, rows: Float, places: list[int]) -> Float:
        """The rows with some of their rewards, and 0 for the others."""
        kept = rows.copy()
        others = [place for place in range(self.rule.rewards) if place not in places]
        kept[..., others] = 0.0
        return kept


def _short(number: float) -> float:
    """What was meant by a number that was fitted: a simple fraction, or the fewest digits, near it."""
    near = _FITTED * max(1.0, abs(number))
    fraction = float(Fraction(number).limit_denominator(_DENOMINATOR))
    digits = (float(f"{number:.{count}g}") for count in range(1, 9))
    return next((each for each in (fraction, *digits) if abs(each - number) <= near), number)
