"""The pass@k spectrum, the weight function and the surrogate objective of every rule on 0/1 rewards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from maxpo_lab import list_estimators, pass_at_k_spectrum
from maxpo_lab.estimators import group_estimator
from maxpo_lab.spectrum import ORDERED_UP_TO

from ...run.presets import Preset


@dataclass(frozen=True, slots=True)
class Cell:
    """One (n, K), and the number of success probabilities at which f is evaluated."""

    n: int
    k: int
    points: int


@dataclass(frozen=True, slots=True)
class Row:
    """One number of one rule's spectrum.

    ``quantity`` is ``weight`` (lambda at pass@k ``at``), ``f`` or ``surrogate`` (at success probability
    ``at``). ``resolution`` is what rounding can move a weight by, ``exact`` the weight as a fraction.
    """

    n: int
    k: int
    estimator: str
    quantity: str
    at: float
    value: float
    resolution: float
    exact: str | None


def cells(preset: Preset) -> Sequence[Cell]:
    """K = 4 of n = 8 and of n = 16, and other sizes at the fuller presets."""
    points = {"smoke": 9, "standard": 41, "paper": 161}[preset]
    sizes = {"smoke": [(8, 4)], "standard": [(8, 4), (16, 4)]}
    chosen = sizes.get(preset, [(8, 2), (8, 4), (8, 7), (16, 2), (16, 4), (16, 8), (32, 4)])
    return [Cell(n, k, points) for n, k in chosen]


def measure(cell: Cell) -> list[Row]:
    """Spectrum of every rule that is defined in the cell."""
    grid = expit(np.linspace(logit(1e-3), logit(0.999), cell.points))
    rows: list[Row] = []
    for name in list_estimators():
        rule = group_estimator(name)
        out_of_reach = not rule.claims.equivariant and cell.n > ORDERED_UP_TO
        if rule.why_not(cell.n, cell.k) or out_of_reach:
            continue
        found = pass_at_k_spectrum(name, n=cell.n, k=cell.k)
        for index, weight in enumerate(found.weights):
            exact = str(weight) if found.exact else None
            resolution = float(found.resolution[index])
            rows.append(
                Row(cell.n, cell.k, name, "weight", float(index + 1), float(weight), resolution, exact)
            )
        for quantity, curve in (("f", found.weight_function), ("surrogate", found.surrogate)):
            rows += [
                Row(cell.n, cell.k, name, quantity, float(p), float(value), 0.0, None)
                for p, value in zip(grid, curve(grid), strict=True)
            ]
    return rows
