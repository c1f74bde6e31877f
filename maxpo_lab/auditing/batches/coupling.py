"""Whether and how the groups of a batch meet, told from what one of them gets in several companies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ... import rules
from ...core.arrays import Float
from .companies import drawn

#: Prompts in the batches that a rule is tried in.
TRIED = (2, 4, 8, 16, 32, 64, 128, 256)
#: Companies that a group is put into.
_COMPANIES = 6

#: What the others change: a factor of what a group gets, a number added to it, or more than one number.
Effect = Literal["scale", "shift", "other"]
#: What of the others matters: the sum of their rewards, all of these whatever their groups, or groups too.
Seen = Literal["sum", "rewards", "groups"]


@dataclass(frozen=True, slots=True)
class Met:
    """The first batches in which a group gets another answer for its company.

    Attributes
    ----------
    size
        P, prompts in these batches, the least of ``TRIED`` at which it shows.
    group, company, other_company
        The rewards of the group, and those of the others in two batches, the mean of each group.
    given, given_otherwise
        What the group gets in these.
    effect, seen
        See ``Effect`` and ``Seen``.
    """

    size: int
    group: tuple[float, ...]
    company: tuple[float, ...]
    other_company: tuple[float, ...]
    given: tuple[float, ...]
    given_otherwise: tuple[float, ...]
    effect: Effect
    seen: Seen


def met(rule: rules.Rule, values: Float, *, n: int, k: int) -> Met | None:
    """Where groups of these reward levels meet; None where they do in none of the batches tried."""
    groups = [values[np.arange(n) % size] for size in range(len(values), 0, -1)]
    return next((found for group in groups if (found := _met(rule, group, values, k))), None)


def _met(rule: rules.Rule, group: Float, values: Float, k: int) -> Met | None:
    """Where this group meets others."""
    n = len(group)
    for size in TRIED:
        batches = drawn(values, n, size, _COMPANIES)
        batches[0, 1:], batches[1, 1:] = values[0], values[-1]
        batches[:, 0] = group
        every = rules.of_batches(rule, batches, k)
        same = max(float(rules.tolerance(rule, x, y, k).max()) for x, y in zip(batches, every, strict=True))
        given = every[:, 0]
        off = np.abs(given - given[:1]).max(axis=1)
        if off.max() > same:
            other = int(off.argmax())
            means = batches[:, 1:].mean(axis=2)
            return Met(
                size=size,
                group=tuple(group.tolist()),
                company=tuple(means[0].tolist()),
                other_company=tuple(means[other].tolist()),
                given=tuple(given[0].tolist()),
                given_otherwise=tuple(given[other].tolist()),
                effect=_effect(given, 4 * same),
                seen=_seen(rule, group, values, k, max(size, 4)),
            )
    return None


def _seen(rule: rules.Rule, group: Float, values: Float, k: int, size: int) -> Seen:
    """What of the others matters, told from companies of the same rewards, or the same sum of them."""
    batches = drawn(values, len(group), size, 3)
    batches[:, 0] = group
    batches[1] = batches[0]
    others = batches[0, 1:].ravel()
    batches[1, 1:] = np.sort(others).reshape(size - 1, -1)  # like with like
    batches[2, 1:] = others.mean()
    every = rules.of_batches(rule, batches, k)
    same = 4 * max(float(rules.tolerance(rule, x, y, k).max()) for x, y in zip(batches, every, strict=True))
    off = np.abs(every[:, 0] - every[0, 0]).max(axis=1)
    if off[1] > same:
        return "groups"
    return "rewards" if off[2] > same else "sum"


def _effect(given: Float, same: float) -> Effect:
    """What is different between answers (B, n) to one group."""
    steps = given - given[:1]
    if np.ptp(steps, axis=1).max() <= same:
        return "shift"
    largest = given[int(np.abs(given).max(axis=1).argmax())]
    factors = given @ largest / (largest @ largest)
    return "scale" if np.abs(given - factors[:, None] * largest).max() <= same else "other"
