"""Efficiency of every unbiased max@K rule compared with the floor, against success probability, K and n."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from envs import SparseBandit
from maxpo_lab import exact_moments, get_estimator, variance_floor

from ...measure.resolution import resolved
from ...run.presets import Preset

RULES = ("pkpo-s", "pkpo-loo", "pkpo-loo1", "maxpo", "predictive")
#: (arms, good arms).
SPACES = {"1 of 10": (10, 1), "10 of 100": (100, 10), "100 of 1,000": (1000, 100)}
BASE_N = 16
#: Success so rare that a group holds at most one: where 1 - 1/n is seen.
RARE = 1e-6


@dataclass(frozen=True, slots=True)
class Cell:
    """One bandit, group size and K, on the curve of success probability (``p``) or of group size (``n``)."""

    curve: str
    space: str
    success: float
    n: int
    k: int


@dataclass(frozen=True, slots=True)
class Row:
    """One rule in one cell; NaN where the floor is 0 or nothing is resolved."""

    curve: str
    space: str
    success: float
    n: int
    k: int
    estimator: str
    efficiency: float
    trace_covariance: float
    floor: float


def cells(preset: Preset) -> Sequence[Cell]:
    """Efficiency against p at n = 16 and four K; against n at rare success, K = 2."""
    points = {"smoke": 7, "standard": 31, "paper": 61}[preset]
    grid = [float(f"{p:.6g}") for p in expit(np.linspace(logit(1e-4), logit(0.99), points))]
    ks = (4, 15) if preset == "smoke" else (2, 4, 8, 15)
    sizes = [2**power for power in range(2, 7 if preset == "smoke" else 11)]
    return [
        *(Cell("p", space, p, BASE_N, k) for space in SPACES for k in ks for p in grid),
        *(Cell("n", "100 of 1,000", RARE, n, 2) for n in sizes),
    ]


def measure(cell: Cell) -> list[Row]:
    """Exact moments of every rule defined in the cell, over the floor."""
    bandit = SparseBandit(*SPACES[cell.space], cell.success)
    levels = bandit.levels(bandit.theta)
    floor = variance_floor(levels, n=cell.n, k=cell.k)
    rows = []
    for name in RULES:
        if get_estimator(name).why_not(cell.n, cell.k):
            continue
        moments = exact_moments(name, levels, n=cell.n, k=cell.k)
        efficiency = moments.efficiency(floor) if resolved(moments, levels) else float("nan")
        where = (cell.curve, cell.space, cell.success, cell.n, cell.k)
        rows.append(Row(*where, name, efficiency, moments.trace_covariance, floor.trace_covariance))
    return rows
