"""Weight, bias and noise of what can be done for K > n: on one prompt, and in batches of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from maxpo_lab.core.arrays import Float
from maxpo_lab.estimators.families.chebyshev import increments, largest_bias

from ...measure.success_tables import bandit
from ...run.presets import Preset
from .subjects import CHEBYSHEV, LARGER, Subject, subjects

ARMS, GOOD = 1000, 100
HARDEST, EASIEST = 1e-3, 0.9
#: Nodes of the average over difficulty.
NODES = 24
RATIOS = (1.0, 1.25, 1.5, 2.0, 3.0, 4.0)
#: Success rates of the table, on every grid.
SHOWN = (0.01, 0.1)


@dataclass(frozen=True, slots=True)
class Cell:
    """One group size and K, at ``points`` success rates and those of the table."""

    n: int
    k: int
    points: int


@dataclass(frozen=True, slots=True)
class Row:
    """One rule on one prompt (``part`` "prompt"), in a batch ("batch"), or Chebyshev's series ("series").

    ``bias`` is ``(f - f*) / K`` of a prompt, f* the weight of pass@K; of a batch
    ``|E g - grad J| / |grad J|``; of the series its largest. ``angle`` is the batch's error of direction.
    ``scale`` is ``f / f*``, or the batch's. ``noise`` is ``tr Cov / scale^2``, which no step size changes,
    over that of the unbiased rule in groups of K with as many rollouts in all; of the series the largest
    ``|d| / K``.
    """

    part: str
    n: int
    k: int
    rule: str
    success: float
    scale: float
    bias: float
    angle: float
    noise: float


@dataclass(frozen=True, slots=True)
class Facts:
    """One rule on one prompt: f, ``E|g|^2`` and ``|grad p|^2``."""

    weight: float
    second_moment: float
    length: float


def cells(preset: Preset) -> Sequence[Cell]:
    """K from n to 4n, n = 8 and 16."""
    points = {"smoke": 5, "standard": 21, "paper": 61}[preset]
    sizes = (8,) if preset == "smoke" else (8, 16)
    ratios = {"smoke": (1.0, 2.0), "standard": (1.0, 1.5, 2.0, 4.0), "paper": RATIOS}[preset]
    return [Cell(n, round(ratio * n), points) for n in sizes for ratio in ratios]


def measure(cell: Cell) -> list[Row]:
    """Every rule on every prompt and in the batch, exactly; the series, whether or not it is a rule."""
    n, k = cell.n, cell.k
    found = list(subjects(n, k))
    grid, (nodes, weights) = _grid(cell.points), _nodes()
    prompts = {each.name: [_facts(each, p) for p in grid] for each in found}
    batches = {each.name: [_facts(each, p) for p in nodes] for each in found}
    rows = []
    for name, facts in prompts.items():
        for p, own, reference in zip(grid, facts, prompts[LARGER], strict=True):
            target = _target(p, k)
            scale, share = own.weight / target, _share(name, cell)
            noise = share * _trace([own], np.ones(1)) / _trace([reference], np.ones(1))
            # A history without a failure leaves nothing of pooled.
            noise = noise / scale**2 if scale else float("nan")
            rows.append(Row("prompt", n, k, name, p, scale, (own.weight - target) / k, 0.0, noise))
    goal = np.array([_target(p, k) for p in nodes])
    for name, facts in batches.items():
        square = weights * [each.length for each in facts]
        mean = np.array([each.weight for each in facts])
        ideal = float(square @ goal**2)
        scale, share = float(square @ (mean * goal)) / ideal, _share(name, cell)
        bias, across = (np.sqrt(float(square @ (mean - c * goal) ** 2) / ideal) for c in (1.0, scale))
        angle = float(np.arctan2(across, scale))
        noise = share * _trace(facts, weights) / _trace(batches[LARGER], weights) / scale**2
        rows.append(Row("batch", n, k, name, 0.0, scale, float(bias), angle, noise))
    largest = float(max(abs(each) for each in increments(n, k)) / k)
    rows.append(Row("series", n, k, CHEBYSHEV, 0.0, 1.0, float(largest_bias(n, k) / k), 0.0, largest))
    return rows


def _facts(subject: Subject, p: float) -> Facts:
    levels, chance = bandit(ARMS, GOOD, p), subject.chances(p)
    win = levels.mean_scores[1]
    return Facts(
        float(chance @ subject.table.weight(p)),
        float(chance @ subject.table.second_moment(levels)),
        float(p**2 * (win @ win)),
    )


def _trace(facts: Sequence[Facts], weights: Float) -> float:
    """The mean over prompts of tr Cov, histories' part included."""
    return float(weights @ [each.second_moment - each.weight**2 * each.length for each in facts])


def _share(name: str, cell: Cell) -> float:
    """Groups of K that cost as much as a group of this rule: variances are for equal numbers of rollouts."""
    return 1.0 if name == LARGER else cell.n / cell.k


def _target(p: float, k: int) -> float:
    """The weight of pass@K, ``K (1-p)^(K-1)``."""
    return float(k * (1 - p) ** (k - 1))


def _grid(points: int) -> list[float]:
    even = expit(np.linspace(logit(HARDEST), logit(EASIEST), points))
    return sorted({*SHOWN, *(float(f"{p:.4g}") for p in even)})


def _nodes() -> tuple[list[float], Float]:
    """Success rates and weights of the mean over log-uniform difficulty."""
    at, weight = np.polynomial.legendre.leggauss(NODES)
    return (HARDEST * (EASIEST / HARDEST) ** ((1 + at) / 2)).tolist(), weight / 2
