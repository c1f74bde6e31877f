"""Every rule on sparse bandits, exactly: relative bias, scale, direction, sum of advantages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import nan

import numpy as np

from envs import SparseBandit
from maxpo_lab import Estimator, Moments, RewardLevels, exact_moments, get_estimator, list_estimators

from ...study import Preset

#: Root of the random policies.
SEED = 260606080

SPECIMENS = {
    "many-correct": SparseBandit(arms=100, good=10),
    "one-correct": SparseBandit(arms=10, good=1),
    "graded": SparseBandit(arms=100, good=12, grades=(0.25, 0.5, 0.75, 1.0)),
}


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

    ``advantage_sum`` is the largest |sum A| of any group over K times the largest reward.
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
    """Policies x group sizes: rare and frequent success, with every K at the paper preset."""
    successes = {"smoke": (0.05,), "standard": (0.05, 0.5), "paper": (0.01, 0.05, 0.5)}[preset]
    sizes = (4, 8) if preset == "smoke" else (4, 8, 16, 32)
    return [
        Cell(specimen, success, n, _ks(n, preset))
        for n in reversed(sizes)
        for specimen in SPECIMENS
        for success in successes
    ]


def _ks(n: int, preset: Preset) -> tuple[int, ...]:
    if preset == "paper":
        return tuple(range(1, n + 1))
    return tuple(sorted({1, 2, n // 2, n - 1, n}))


def measure(cell: Cell) -> list[Row]:
    """Exact moments of every rule at every K of the cell, against the rule's own objective."""
    levels = policy(cell.specimen, cell.success)
    # A rule that does not use k has the same moments at every k: measured once a cell.
    moments = cache(lambda rule, k: exact_moments(rule, levels, n=cell.n, k=k, target=rule.objective))
    rules = [get_estimator(name) for name in list_estimators()]
    return [_row(cell, levels, rule, k, moments) for k in cell.ks for rule in rules]


@cache
def policy(specimen: str, success: float) -> RewardLevels:
    """A policy of this success probability, uneven inside each class of arms.

    The logits are Gaussian (standard deviation 1) inside the good and inside the bad arms, then
    shifted so that the good ones have total probability ``success``.
    """
    bandit = SPECIMENS[specimen]
    stream = np.random.SeedSequence(SEED, spawn_key=(list(SPECIMENS).index(specimen),))
    theta = np.random.default_rng(stream).normal(size=bandit.arms)
    good = bandit.rewards > 0
    for members, total in ((good, success), (~good, 1 - success)):
        theta[members] += np.log(total / np.exp(theta[members]).sum())
    return bandit.levels(theta)


def _row(
    cell: Cell,
    levels: RewardLevels,
    rule: Estimator,
    k: int,
    moments: Callable[[Estimator, int], Moments],
) -> Row:
    undefined = rule.why_not(cell.n, k) or rule.why_not_rewards(levels.values)
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
        advantage_sum=found.advantage_sum_max / (k * float(levels.values[-1])),
        advantage_sum_rms=found.advantage_sum_rms,
        dead_group_probability=found.dead_group_probability,
        states=found.states,
    )
