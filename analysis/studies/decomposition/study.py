"""What the variance is made of: within and between counts, along and across the gradient, dead groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal

import numpy as np
from scipy.special import expit, logit

from envs import SparseBandit
from maxpo_lab import exact_moments, get_estimator

from ...measure.resolution import resolved
from ...run.presets import Preset

RULES = ("pkpo-s", "pkpo-loo", "pkpo-loo1", "maxpo", "predictive", "rloo", "grpo", "passk-training")
#: (arms, good arms, how probability is spread inside each class). Zipf, as alike arms have no variance along
#: the gradient inside a class.
SPACES: dict[str, tuple[int, int, Literal["even", "zipf"]]] = {
    "1 of 10, Zipf": (10, 1, "zipf"),
    "100 of 1,000, Zipf": (1000, 100, "zipf"),
}
N, K = 16, 4


@dataclass(frozen=True, slots=True)
class Cell:
    """One bandit."""

    space: str
    success: float


@dataclass(frozen=True, slots=True)
class Row:
    """One rule on one bandit, at n = 16, K = 4; NaN where nothing is resolved.

    Variances are over the square of the rule's scale, so that they compare (on 0/1 rewards every rule has
    the exact direction). ``removed``: share of pkpo-s's variance that an unbiased rule is without; ``along``:
    share of the variance along the gradient.
    """

    space: str
    success: float
    estimator: str
    trace_covariance: float
    within: float
    between: float
    along: float
    removed: float
    dead_group_probability: float


def cells(preset: Preset) -> Sequence[Cell]:
    """Success probabilities from 1e-3 to 0.99."""
    points = {"smoke": 7, "standard": 31, "paper": 61}[preset]
    grid = [float(f"{p:.6g}") for p in expit(np.linspace(logit(1e-3), logit(0.99), points))]
    return [Cell(space, p) for space in SPACES for p in grid]


def measure(cell: Cell) -> list[Row]:
    """Exact moments of every rule of the study on the cell's bandit."""
    arms, good, within = SPACES[cell.space]
    bandit = SparseBandit(arms, good, cell.success, within=within)
    levels = bandit.levels(bandit.theta)
    found = {name: exact_moments(name, levels, n=N, k=K) for name in RULES}
    raw = found["pkpo-s"].trace_covariance
    rows = []
    for name, moments in found.items():
        dead = moments.dead_group_probability
        if not resolved(moments, levels):
            rows.append(Row(cell.space, cell.success, name, nan, nan, nan, nan, nan, dead))
            continue
        unit = moments.scale**2
        claims = get_estimator(name).claims
        removed = 1 - moments.trace_covariance / raw if claims.unbiased and name != "rloo" else nan
        rows.append(
            Row(
                cell.space,
                cell.success,
                name,
                moments.trace_covariance / unit,
                moments.within_trace / unit,
                moments.between_trace / unit,
                float(moments.along_gradient_variance or 0.0) / moments.trace_covariance,
                removed,
                dead,
            )
        )
    return rows
