"""A prompt along a path of training: its history is what earlier, weaker policies of the same path scored.

On 0/1 rewards HIST is linear in the history's rate ``H/W``, so ``E|g|^2`` is quadratic in it: its mean and
variance, sums over the earlier visits, give the average over all histories exactly, for any weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial, reduce

import numpy as np
from scipy.special import expit, logit

import maxpo_lab as ml
from envs import SparseBandit
from envs.base.paths import TrainingPath
from maxpo_lab.core.arrays import Float
from maxpo_lab.estimators.history.plug_in_floor import plug_in_floor
from maxpo_lab.estimators.history.replay import replay

from ...measure import specimens
from ...measure.success_tables import chances, success_table
from .quadratic import Quadratic
from .rows import Cell, Row

FIRST, LAST = 0.01, 0.9

#: Answers that stay alike, answers of which training prefers some, and one answer.
ALIKE = "100 of 1,000, alike"
SPACES = (ALIKE, "bandit, many correct", "lock")

#: Weight of a reward by its age in visits: 1, 2, ...
WEIGHTS: Mapping[str, Callable[[Float], Float]] = {
    "last 4 visits": lambda age: np.where(age <= 4, 1.0, 0.0),
    "last 16 visits": lambda age: np.where(age <= 16, 1.0, 0.0),
    "half-life of 4 visits": lambda age: np.where(age <= 64, 0.5 ** (age / 4), 0.0),
}
PLUG_IN = "last 4 visits"


def measure(cell: Cell) -> list[Row]:
    """Rules without history, replay under each of ``WEIGHTS``, plug-in-floor, at all visits but the first."""
    n, k = cell.n, cell.k
    rates = expit(np.linspace(logit(FIRST), logit(LAST), cell.visits))
    rows = []
    for visit in range(1, cell.visits):
        p = float(rates[visit])
        levels = _path(cell.space).levels(p)
        floor = ml.variance_floor(levels, n=n, k=k).trace_covariance
        signal = float(np.sum(ml.max_at_k_gradient(levels, k) ** 2))
        for rule, history, seen, lam, second in _rules(cell, levels, rates[:visit][::-1]):
            where = (cell.part, cell.space, n, k, n * seen, history, p, 1, cell.visits)
            rows.append(Row(*where, rule, floor / (second - signal), 0.0, 1.0, lam))
    return rows


@cache
def _path(space: str) -> TrainingPath:
    return TrainingPath(SparseBandit(1000, 100)) if space == ALIKE else specimens.path(space)


def _rules(
    cell: Cell, levels: ml.RewardLevels, before: Float
) -> Iterator[tuple[str, str, int, float, float]]:
    """Rule, history, visits in it, lambda and ``E|g|^2`` after visits of these rates, the latest first."""
    n, k = cell.n, cell.k
    for name in ("maxpo", "pkpo-loo1"):
        if ml.get_estimator(name).why_not(n, k) is None:
            found = ml.exact_moments(name, levels, n=n, k=k)
            yield name, "none", 0, 0.0, found.trace_covariance + float(found.mean @ found.mean)
    age = np.arange(1.0, len(before) + 1)
    for name, weigh in WEIGHTS.items():
        weight = weigh(age)
        total = float(n * weight.sum())
        lam = total / (n - k + total)
        # A history of two rewards has the rates 0, 1/2 and 1, whatever lambda is.
        table = success_table(partial(replay, lam=lam), n=n, k=k, m=2)
        spent = Quadratic(*table.second_moment(levels).tolist())
        yield "replay", name, int((weight > 0).sum()), lam, spent.average(*_rate(before, weight, n))
    seen = int(WEIGHTS[PLUG_IN](age).sum())
    chance = reduce(np.convolve, [chances(n, float(p)) for p in before[:seen]])
    table = success_table(plug_in_floor, n=n, k=k, m=n * seen)
    yield "plug-in-floor", PLUG_IN, seen, 1.0, float(chance @ table.second_moment(levels))


def _rate(rates: Float, weight: Float, n: int) -> tuple[float, float]:
    """Mean and variance of the weighted share of successes in groups of n at these rates."""
    share = weight / weight.sum()
    return float(share @ rates), float(share**2 @ (rates * (1 - rates)) / n)
