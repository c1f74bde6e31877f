"""Exact trace covariance of the unbiased max@K rules, one factor at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from envs import SparseBandit
from maxpo_lab import RewardLevels, exact_moments, get_estimator

from ...measure import specimens
from ...run.presets import Preset

RULES = ("pkpo-s", "pkpo-loo", "pkpo-loo1", "maxpo", "canonical")
REFERENCE = "pkpo-loo1"

#: (arms, good): many different correct answers, and one.
SPECIMENS = {"many-correct": (1000, 100), "one-correct": (10, 1)}

#: Other kinds of outcomes, met on their way from rare to frequent success.
TRAINED = ("prompt of a batch", "lock", "maze", "chain", "lake", "transformer")

#: Where the factors that are not varied stand.
BASE_SUCCESS, BASE_N, BASE_K = 0.2, 16, 4


@dataclass(frozen=True, slots=True)
class Cell:
    """One policy, group size and K, on the curve of one varied factor."""

    factor: str
    specimen: str
    success: float
    n: int
    k: int


@dataclass(frozen=True, slots=True)
class Row:
    """One rule in one cell. ``ratio`` is its trace covariance over that of pkpo-loo1."""

    factor: str
    specimen: str
    success: float
    n: int
    k: int
    estimator: str
    trace_covariance: float
    ratio: float
    within_trace: float
    between_trace: float
    along_gradient_variance: float
    snr: float
    dead_group_probability: float
    relative_bias: float
    bias_resolution: float


def cells(preset: Preset) -> Sequence[Cell]:
    """Success probability, K and n, each varied with the others at their base values; then episodes."""
    thinned = {"smoke": 15, "standard": 3, "paper": 1}[preset]
    largest = {"smoke": 32, "standard": 256, "paper": 1024}[preset]
    reference = {0.001, 0.05, 0.2, 0.5, 0.9}
    fine = [float(f"{p:.6g}") for p in expit(np.linspace(logit(1e-3), logit(0.99), 61))]
    successes = sorted({*fine[::thinned], *(reference if preset != "smoke" else ())})
    every_k = range(2, BASE_N + 1, 5 if preset == "smoke" else 1)
    sizes = [2**power for power in range(3, 11) if 2**power <= largest]
    every = {"smoke": 32, "standard": 6, "paper": 2}[preset]
    trained = sorted({*sorted({*fine, *reference})[::every], *(reference if preset != "smoke" else ())})
    episodes = [
        Cell("training", name, p, BASE_N, BASE_K)
        for name in (TRAINED[1:3] if preset == "smoke" else TRAINED)
        for p in trained
        if p <= specimens.SUBJECTS[name].reach
    ]
    return episodes + [
        cell
        for specimen in SPECIMENS
        for cell in (
            *(Cell("success", specimen, p, BASE_N, BASE_K) for p in successes),
            *(Cell("k", specimen, BASE_SUCCESS, BASE_N, k) for k in every_k),
            *(Cell("n", specimen, BASE_SUCCESS, n, BASE_K) for n in sizes),
        )
    ]


def measure(cell: Cell) -> list[Row]:
    """Exact moments of every rule that is defined in the cell."""
    levels = policy(cell)
    found = {
        name: exact_moments(name, levels, n=cell.n, k=cell.k)
        for name in RULES
        if get_estimator(name).why_not(cell.n, cell.k) is None
    }
    reference = found[REFERENCE].trace_covariance
    return [
        Row(
            factor=cell.factor,
            specimen=cell.specimen,
            success=cell.success,
            n=cell.n,
            k=cell.k,
            estimator=name,
            trace_covariance=moments.trace_covariance,
            ratio=moments.trace_covariance / reference,
            within_trace=moments.within_trace,
            between_trace=moments.between_trace,
            along_gradient_variance=float(moments.along_gradient_variance or 0.0),
            snr=moments.snr,
            dead_group_probability=moments.dead_group_probability,
            relative_bias=moments.relative_bias,
            bias_resolution=moments.bias_resolution,
        )
        for name, moments in found.items()
    ]


def policy(cell: Cell) -> RewardLevels:
    """The cell's bandit, even inside the good and inside the bad arms, or its episodes in training."""
    if cell.specimen in specimens.SUBJECTS:
        return specimens.levels(cell.specimen, cell.success)
    arms, good = SPECIMENS[cell.specimen]
    bandit = SparseBandit(arms, good, cell.success)
    return bandit.levels(bandit.theta)
