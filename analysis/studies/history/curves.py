"""The rules at one n, K and length of history, against the success rate: exact over all histories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from scipy.special import expit, logit

import maxpo_lab as ml
from maxpo_lab.core.arrays import Float
from maxpo_lab.estimators import group_estimator
from maxpo_lab.estimators.history.centered import centered_replay
from maxpo_lab.estimators.history.plug_in_floor import plug_in_floor
from maxpo_lab.estimators.history.replay import replay

from ...measure.success_tables import HistoryRule, bandit, chances, group_table, success_table
from .rows import RATES, SPACES, Cell, Row

RULES: Mapping[str, HistoryRule] = {
    "replay": replay,
    "centered-replay": centered_replay,
    "plug-in-floor": plug_in_floor,
}
WITHOUT = ("maxpo", "pkpo-loo1")
#: Success rates that are on every grid, for tables.
SHOWN = (0.001, 0.01, 0.1, 0.5, 0.9)


def measure(cell: Cell) -> list[Row]:
    """Every rule after a history from each of ``RATES``; the rules without history where m = 0."""
    n, k, m = cell.n, cell.k, cell.m
    if m:
        tables = {name: success_table(rule, n=n, k=k, m=m) for name, rule in RULES.items()}
    else:
        rules = [group_estimator(name) for name in WITHOUT]
        tables = {rule.name: group_table(rule, n=n, k=k) for rule in rules if rule.why_not(n, k) is None}
    share = m / (n - k + m) if m else 0.0
    rows = []
    for p in _grid(cell.points):
        levels = bandit(*SPACES[cell.space], p)
        floor = ml.variance_floor(levels, n=n, k=k).trace_covariance
        signal = float(np.sum(ml.max_at_k_gradient(levels, k) ** 2))
        for name, table in tables.items():
            # The other rules have no lambda: they believe the history altogether.
            believed = share if name == "replay" else float(m > 0)
            for history, chance in _histories(m, p):
                scale = float(chance @ table.weight(p)) / (k * (1 - p) ** (k - 1))
                trace = float(chance @ table.second_moment(levels)) - scale**2 * signal
                where = (cell.part, cell.space, n, k, m, history, p, 1, 0)
                # A centered rule whose history knows no failure is 0 at K = n.
                efficiency = floor * scale**2 / trace if scale else float("nan")
                rows.append(Row(*where, name, efficiency, 0.0, scale, believed))
    return rows


def _grid(points: int) -> list[float]:
    """Success rates from 0.001 to 0.97, even in log-odds, and those of the table."""
    even = expit(np.linspace(logit(0.001), logit(0.97), points))
    return sorted({*SHOWN, *(float(f"{p:.4g}") for p in even)})


def _histories(m: int, p: float) -> Iterator[tuple[str, Float]]:
    """What the history comes from, and the chances of its successes."""
    if not m:
        yield "none", np.ones(1)
        return
    for name, rate in RATES.items():
        yield name, chances(m, rate(p))
