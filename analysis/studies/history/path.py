"""A prompt along a path of training: its history is what earlier, weaker policies of the same path scored.

On 0/1 rewards HIST is linear in the history's rate ``H/W``, so ``E|g|^2`` is quadratic in it, and its mean and
variance, sums over the earlier visits, give the average over all histories exactly, for any weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from scipy.special import expit, logit

import maxpo_lab as ml
from maxpo_lab.core.arrays import Float
from maxpo_lab.estimators.history.replay import replay

from ...measure import specimens
from ...measure.success_tables import success_table
from .quadratic import Quadratic
from .rows import Cell, Row

FIRST, LAST = 0.01, 0.9

#: Weight of a reward by its age in visits: 1, 2, ...
WEIGHTS: Mapping[str, Callable[[Float], Float]] = {
    "last 4 visits": lambda age: np.where(age <= 4, 1.0, 0.0),
    "last 16 visits": lambda age: np.where(age <= 16, 1.0, 0.0),
    "half-life of 4 visits": lambda age: np.where(age <= 64, 0.5 ** (age / 4), 0.0),
}


def measure(cell: Cell) -> list[Row]:
    """MaxPO (at K = n pkpo-loo1), and replay with the fair lambda under each of ``WEIGHTS``, at every visit."""
    n, k = cell.n, cell.k
    rates = expit(np.linspace(logit(FIRST), logit(LAST), cell.visits))
    without = "maxpo" if k < n else "pkpo-loo1"
    rows = []
    for visit, p in enumerate(rates):
        levels = specimens.levels(cell.space, float(p))
        floor = ml.variance_floor(levels, n=n, k=k).trace_covariance
        signal = float(np.sum(ml.max_at_k_gradient(levels, k) ** 2))
        for name, weigh in WEIGHTS.items():
            age = np.arange(visit, 0, -1.0)
            weight = weigh(age)
            total = float(n * weight.sum())
            lam = total / (n - k + total) if total else 0.0
            # A history of two rewards has the rates 0, 1/2 and 1, whatever lambda is.
            spent = Quadratic(
                *success_table(partial(replay, lam=lam), n=n, k=k, m=2).second_moment(levels).tolist()
            )
            mean, variance = _rate(rates[:visit], weight, n)
            trace = spent.average(mean, variance) - signal
            where = (cell.part, cell.space, n, k, int((weight > 0).sum()) * n, name, float(p), 1, cell.visits)
            rows.append(Row(*where, "replay", floor / trace, 0.0, 1.0, lam))
            if name == next(iter(WEIGHTS)):
                plain = ml.exact_moments(without, levels, n=n, k=k).efficiency(floor)
                where = (cell.part, cell.space, n, k, 0, "none", float(p), 1, cell.visits)
                rows.append(Row(*where, without, plain, 0.0, 1.0, 0.0))
    return rows


def _rate(rates: Float, weight: Float, n: int) -> tuple[float, float]:
    """Mean and variance of the weighted share of successes in groups of n at these rates; 0 of none."""
    if not weight.any():
        return 0.0, 0.0
    share = weight / weight.sum()
    return float(share @ rates), float(share**2 @ (rates * (1 - rates)) / n)
