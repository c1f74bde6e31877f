"""The slow truth of rules with memory: each step from all steps before it, in exact rationals.

No state is kept, and nothing here shares a line with the fast code: what a rule remembers is found again from
the whole past. A step is its prompts and their groups; results are the advantages of every step, lists of
lists of Fractions, exact but for square roots and exponentials of 50 digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from statistics import mean, pvariance, variance
from typing import Any

from ..rationals import Group, root
from .groups import grpo

#: Prompts of a step, and the rewards of each.
Step = tuple[Sequence[Any], Sequence[Group]]
Given = list[list[Fraction]]
#: Advantages of a step, from the steps before it.
Rule = Callable[[Sequence[Step], Step], Given]

_DIGITS = Context(prec=50)


def _exact(groups: Sequence[Group]) -> Given:
    return [[Fraction(r) for r in group] for group in groups]


def _all(groups: Given) -> list[Fraction]:
    return [r for group in groups for r in group]


def _of(prompt: Any, steps: Sequence[Step]) -> Given:
    """The groups of a prompt, in the order of its visits."""
    return [
        [Fraction(r) for r in group]
        for prompts, groups in steps
        for each, group in zip(prompts, groups, strict=True)
        if each == prompt
    ]


def _counts(prompt: Any, steps: Sequence[Step], keep: Fraction, prior: Fraction) -> tuple[Fraction, Fraction]:
    """Successes and failures of a prompt: each visit worth ``keep`` of the next, a prior before all."""
    visits = _of(prompt, steps)
    age = len(visits)
    worth = [keep ** (age - 1 - i) for i in range(age)]
    won = sum((w * sum(group) for w, group in zip(worth, visits, strict=True)), keep**age * prior)
    missed = [sum(1 - r for r in group) for group in visits]
    lost = sum((w * m for w, m in zip(worth, missed, strict=True)), keep**age * prior)
    return won, lost


def rae(decay: float) -> Rule:
    """``R - b``, b the mean of the earlier visits' means, each worth decay of the next, a 0 before all."""

    def step(past: Sequence[Step], now: Step) -> Given:
        found = []
        for prompt, group in zip(now[0], _exact(now[1]), strict=True):
            visits, keep = _of(prompt, past), Fraction(decay)
            baseline = sum(
                ((1 - keep) * keep ** (len(visits) - 1 - i) * mean(each) for i, each in enumerate(visits)),
                Fraction(0),
            )
            found.append([r - baseline for r in group])
        return found

    return step


def spo(rho: float, *, whiten: bool) -> Rule:
    """``R - a/(a+b)`` of the earlier visits; whitened, less the mean of the step's, over std1 + 1e-8."""

    def step(past: Sequence[Step], now: Step) -> Given:
        found = []
        for prompt, group in zip(now[0], _exact(now[1]), strict=True):
            won, lost = _counts(prompt, past, Fraction(rho), Fraction(1, 2))
            found.append([r - won / (won + lost) for r in group])
        if not whiten:
            return found
        every = _all(found)
        size = root(variance(every)) + Fraction(1e-8)
        return [[(a - mean(every)) / size for a in row] for row in found]

    return step


def dbb(keep: float) -> Rule:
    """``(R - p) / sqrt(p (1-p))``, p of all visits, this one among them."""

    def step(past: Sequence[Step], now: Step) -> Given:
        found = []
        for prompt, group in zip(now[0], _exact(now[1]), strict=True):
            won, lost = _counts(prompt, [*past, now], Fraction(keep), Fraction(1))
            rate = won / (won + lost)
            found.append([(r - rate) / root(rate * (1 - rate)) for r in group])
        return found

    return step


def curverl(window: int) -> Rule:
    """``(R - m)`` times the share of m in its bin among those of the window in it and the bins below."""

    def mixed(step: Step) -> list[Fraction]:
        return [mean(group) for group in _exact(step[1]) if 0 < mean(group) < 1]

    def step(past: Sequence[Step], now: Step) -> Given:
        seen = [m for each in past[len(past) - min(window, len(past)) :] for m in mixed(each)] or mixed(now)
        found = []
        for group in _exact(now[1]):
            m, bins = mean(group), len(group) + 1
            here = sum(min(int(x * bins), bins - 1) == int(m * bins) for x in seen)
            below = sum(min(int(x * bins), bins - 1) <= int(m * bins) for x in seen)
            weight = Fraction(here, below) if here and 0 < m < 1 else Fraction(0)
            found.append([weight * (r - m) for r in group])
        return found

    return step


def ha_dw(window: int, scale: float) -> Rule:
    """GRPO times ``scale exp(-sgn(m - C) sgn(y) |m - C|)``, C of the window's batches, this one the last."""

    def sign(x: Fraction) -> int:
        return (x > 0) - (x < 0)

    def step(past: Sequence[Step], now: Step) -> Given:
        anchor = mean([mean(_all(_exact(groups))) for _, groups in [*past, now]][-window:])
        found = []
        for group in _exact(now[1]):
            far, row = mean(group) - anchor, []
            for y in grpo(1e-6, 1)(group, 1):
                power = -sign(far) * sign(y) * abs(far)
                exponent = _DIGITS.divide(Decimal(power.numerator), Decimal(power.denominator))
                size = Fraction(exponent.exp(_DIGITS))
                row.append(Fraction(scale) * size * y)
            found.append(row)
        return found

    return step


def ebpo(ddof: int, eps: float) -> Rule:
    """``R - V`` less the step's mean, over its deviation + eps; V between a group's mean and that of all."""

    def spread(values: list[Fraction]) -> Fraction:
        return variance(values) if ddof and len(values) > 1 else pvariance(values)

    def step(past: Sequence[Step], now: Step) -> Given:
        groups = [group for _, seen in [*past, now] for group in _exact(seen)]
        every = _all(groups)
        between = spread([mean(group) for group in groups])
        raw = []
        for group in _exact(now[1]):
            noise = spread(every) / len(group)
            share = noise / (noise + between) if noise else Fraction(0)
            baseline = (1 - share) * mean(group) + share * mean(every)
            raw.append([r - baseline for r in group])
        size = root(spread(_all(raw))) + Fraction(eps)
        return [[(a - mean(_all(raw))) / size for a in row] for row in raw]

    return step


def along(rule: Rule, steps: Sequence[Step]) -> list[Given]:
    """Advantages of all steps."""
    return [rule(steps[:index], now) for index, now in enumerate(steps)]


#: The definition of each rule with memory, by the registry's name; those of histories have their own.
BY_NAME: dict[str, Rule] = {
    "rae": rae(0.95),
    "spo": spo(0.875, whiten=True),
    "dbb": dbb(0.75),
    "curverl": curverl(10),
    "ha-dw": ha_dw(10, 1.5),
    "ebpo": ebpo(1, 1e-8),
}
