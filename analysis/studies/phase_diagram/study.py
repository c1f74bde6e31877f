"""Exact variance ratios and efficiencies over success probability x K/n, by outcome space and group size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal

import numpy as np
from scipy.special import expit, logit

from envs import SparseBandit
from maxpo_lab import RewardLevels, exact_moments, variance_floor

from ...measure import specimens
from ...measure.resolution import resolved
from ...run.presets import Preset

#: (arms, good arms, how probability is spread inside each class).
SPACES: dict[str, tuple[int, int, Literal["even", "zipf"]]] = {
    "1 of 10": (10, 1, "even"),
    "10 of 100": (100, 10, "even"),
    "100 of 1,000": (1000, 100, "even"),
    "100 of 1,000, Zipf": (1000, 100, "zipf"),
    "2,000 of 20,000": (20_000, 2000, "even"),
    "2,000 of 20,000, Zipf": (20_000, 2000, "zipf"),
}
SIZES = (8, 16, 64)
#: Other kinds of outcomes in training, at one group size.
TRAINED = ("prompt of a batch", "lock", "maze", "chain", "lake", "transformer")
TRAINED_SIZE = 16


@dataclass(frozen=True, slots=True)
class Cell:
    """One outcome space, or kind of episode, and success probability; measured at every group size and K."""

    space: str
    success: float
    sizes: tuple[tuple[int, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """The three rules at one point. NaN where the gradient or a variance is below its resolution."""

    space: str
    success: float
    n: int
    k: int
    maxpo_over_loo1: float
    predictive_over_maxpo: float
    efficiency_loo1: float
    efficiency_maxpo: float
    efficiency_predictive: float


def cells(preset: Preset) -> Sequence[Cell]:
    """Success probabilities from 1e-4 to 0.99; every K (a grid of 16 at n = 64)."""
    thinned = {"smoke": 12, "standard": 4, "paper": 1}[preset]
    spaces = list(SPACES)[:3] if preset == "smoke" else list(SPACES)
    sizes = SIZES[:2] if preset == "smoke" else SIZES
    fine = [float(f"{p:.6g}") for p in expit(np.linspace(logit(1e-4), logit(0.99), 49))]
    grid = fine[::thinned]
    trained = [
        Cell(name, p, ((TRAINED_SIZE, _ks(TRAINED_SIZE, preset)),))
        for name in (TRAINED[1:3] if preset == "smoke" else TRAINED)
        for p in grid[:: 1 if preset == "smoke" else 2]
        if p <= specimens.SUBJECTS[name].reach
    ]
    return trained + [
        Cell(space, p, tuple((n, _ks(n, preset)) for n in sizes)) for space in spaces for p in grid
    ]


def _ks(n: int, preset: Preset) -> tuple[int, ...]:
    every = np.unique(np.linspace(2, n - 1, min(16, n - 2)).round().astype(int))
    count = min({"smoke": 4, "standard": 8, "paper": 16}[preset], len(every))
    return tuple(every[np.linspace(0, len(every) - 1, count).round().astype(int)].tolist())


def measure(cell: Cell) -> list[Row]:
    """Exact moments of pkpo-loo1, maxpo and predictive, and the floor, at every (n, K) of the cell."""
    levels = policy(cell)
    return [_row(cell, levels, n, k) for n, ks in cell.sizes for k in ks]


def policy(cell: Cell) -> RewardLevels:
    """The cell's bandit, or its episodes in training."""
    if cell.space in specimens.SUBJECTS:
        return specimens.levels(cell.space, cell.success)
    arms, good, within = SPACES[cell.space]
    bandit = SparseBandit(arms, good, cell.success, within=within)
    return bandit.levels(bandit.theta)


def _row(cell: Cell, levels: RewardLevels, n: int, k: int) -> Row:
    loo1, maxpo, predictive = (
        exact_moments(name, levels, n=n, k=k) for name in ("pkpo-loo1", "maxpo", "predictive")
    )
    floor = variance_floor(levels, n=n, k=k)
    if not all(resolved(moments, levels) for moments in (loo1, maxpo, predictive)):
        return Row(cell.space, cell.success, n, k, nan, nan, nan, nan, nan)
    return Row(
        cell.space,
        cell.success,
        n,
        k,
        maxpo.trace_covariance / loo1.trace_covariance,
        predictive.trace_covariance / maxpo.trace_covariance,
        loo1.efficiency(floor),
        maxpo.efficiency(floor),
        predictive.efficiency(floor),
    )
