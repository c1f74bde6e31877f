"""Every rule on specimens of every kind, exactly: relative bias, scale, direction, sum of advantages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import nan

import numpy as np

from maxpo_lab import (
    Estimator,
    Moments,
    RankLinear,
    RewardLevels,
    exact_moments,
    list_estimators,
)
from maxpo_lab.estimators import group_estimator
from maxpo_lab.moments import MAX_STATES
from maxpo_lab.moments.states import number_of_states

from ...measure import specimens
from ...run.presets import Preset

SEED = specimens.SEED

#: Largest group by specimen: the states of a group grow fast with the number of reward levels.
LARGEST = {"bandit, many correct": 32, "bandit, one correct": 32, "bandit, graded": 32}
LARGEST |= {"chain, credit": 8, "gru, credit": 8}
SMOKE = ("bandit, many correct", "bandit, graded", "maze")


@dataclass(frozen=True, slots=True)
class Cell:
    """One policy and group size; measured for every rule and K."""

    specimen: str
    success: float
    n: int
    ks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One rule at one (policy, n, K). Where it is ``undefined`` the numbers are NaN.

    ``advantage_sum`` is the largest |sum A| of any group over K times the largest |reward|.
    """

    specimen: str
    success: float
    n: int
    k: int
    estimator: str
    objective: str
    undefined: str | None
    relative_bias: float = nan
    bias_resolution: float = nan
    scale: float = nan
    direction_error: float = nan
    advantage_sum: float = nan
    advantage_sum_rms: float = nan
    dead_group_probability: float = nan
    states: int = 0


def cells(preset: Preset) -> Sequence[Cell]:
    """Specimens x group sizes: rare and frequent success, with every K at the paper preset."""
    successes = {"smoke": (0.05,), "standard": (0.05, 0.5), "paper": (0.01, 0.05, 0.5)}[preset]
    sizes = (4, 8) if preset == "smoke" else (4, 8, 16, 32)
    subjects = {
        name: specimens.SUBJECTS[name] for name in (SMOKE if preset == "smoke" else specimens.SUBJECTS)
    }
    return [
        Cell(name, success, n, _ks(n, preset))
        for n in reversed(sizes)
        for name, subject in subjects.items()
        for success in successes
        if n <= LARGEST.get(name, 16) and success <= subject.reach
    ]


def _ks(n: int, preset: Preset) -> tuple[int, ...]:
    if preset == "paper":
        return tuple(range(1, n + 1))
    return tuple(sorted({1, 2, n // 2, n - 1, n}))


def measure(cell: Cell) -> list[Row]:
    """Exact moments of every rule at every K of the cell, against the rule's own objective.

    A rule that takes K above n is measured at 3n/2 and 2n too.
    """
    levels = specimens.levels(cell.specimen, cell.success)
    # A rule that does not use k has the same moments at every k: measured once per cell.
    moments = cache(lambda rule, k: exact_moments(rule, levels, n=cell.n, k=k, target=rule.objective))
    rules = [group_estimator(name) for name in list_estimators()]
    beyond = [
        (rule, k) for rule in rules for k in (3 * cell.n // 2, 2 * cell.n) if rule.largest_k(cell.n) >= k
    ]
    pairs = [(rule, k) for k in cell.ks for rule in rules] + beyond
    return [_row(cell, levels, rule, k, moments) for rule, k in pairs]


def _row(
    cell: Cell,
    levels: RewardLevels,
    rule: Estimator,
    k: int,
    moments: Callable[[Estimator, int], Moments],
) -> Row:
    undefined = (
        rule.why_not(cell.n, k) or rule.why_not_rewards(levels.values) or _out_of_reach(rule, levels, cell.n)
    )
    start = Row(cell.specimen, cell.success, cell.n, k, rule.name, rule.objective, undefined)
    if undefined:
        return start
    found = moments(rule, k if rule.uses_k else cell.ks[0])
    return replace(
        start,
        relative_bias=found.relative_bias,
        bias_resolution=found.bias_resolution,
        scale=found.scale,
        direction_error=found.direction_error,
        advantage_sum=found.advantage_sum_max / (k * float(np.abs(levels.values).max())),
        advantage_sum_rms=found.advantage_sum_rms,
        dead_group_probability=found.dead_group_probability,
        states=found.states,
    )


def _out_of_reach(rule: Estimator, levels: RewardLevels, n: int) -> str | None:
    """Why exact moments of a rule are out of reach: one that is not rank-linear needs every state."""
    needed = number_of_states(n, len(levels.values), equivariant=rule.claims.equivariant)
    if isinstance(rule, RankLinear) or needed <= MAX_STATES:
        return None
    what = "count states" if rule.claims.equivariant else "orders"
    return f"{rule.name} is not rank-linear: {needed:.2g} {what} of {len(levels.values)} levels"
