"""Who improves on whom, and by how much: areas under max@K of two rules, run against run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from maxpo_lab.core.arrays import Float

from ...measure.resampling import Interval
from ...measure.statistics import difference_interval, improvement_interval
from ...trainer import EXACT
from .design import ALIKE, ANNEALING, BASE, CONDITIONS, RULES, SEED, TASKS

#: The rules that every other one is compared with.
REFERENCES = ("maxpo", "pkpo-loo1", "predictive")
#: The rule whose claim is tested, and the rules it is drawn against: the uncentered ones and its rival.
CENTERED, RIVALS = "maxpo", ("pkpo-s", "pkpo-loo", "pkpo-loo1", "predictive")
#: What tells a contestant's runs from others in one specimen, or pooled over specimens.
PLACE = ("specimen", "condition", "schedule")
POOLED = "all"


@dataclass(frozen=True)
class Comparison:
    """Two rules compared by the areas under max@K, at one choice of step size.

    Attributes
    ----------
    probability
        The chance that the first has the larger area in two independent runs, half of the ties counted.
    difference
        Mean of first minus second over the seeds that they share; all rewards lie between 0 and 1.
    """

    probability: Interval
    difference: Interval


def compare(one: pd.DataFrame, other: pd.DataFrame) -> Comparison | None:
    """The runs of a rule against those of another, by specimen; None where there is no common one.

    Areas are rounded to ``ALIKE`` first, so that rounding wins nothing.
    """
    first, second = by_specimen(one), by_specimen(other)
    names = [name for name in first if name in second]
    if not names:
        return None
    x, y = (np.round(np.stack([areas[name] for name in names]) / ALIKE) * ALIKE for areas in (first, second))
    return Comparison(
        improvement_interval(x, y, paired=True, seed=SEED), difference_interval(x, y, seed=SEED)
    )


def by_specimen(runs: pd.DataFrame, quantity: str = "area") -> dict[str, Float]:
    """Scores in the order of the seeds, of each specimen."""
    order = np.argsort(runs.seed.to_numpy())
    names, scores = (runs[column].to_numpy()[order] for column in ("specimen", quantity))
    return {str(name): scores[names == name] for name in sorted(set(names))}


def places(rows: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Specimen, condition and rows: all specimens of the base design together, then one by one.

    The schedules of the annealing condition are told apart by its name.
    """
    base = rows[rows.condition == BASE]
    if len(base):
        yield POOLED, BASE, base
    for (specimen, condition, schedule), own in rows.groupby(list(PLACE), sort=False):
        yield str(specimen), f"{condition}, {schedule}" if condition == ANNEALING else str(condition), own


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows in the order of the design table, whatever the order they were measured in."""
    keys = {"specimen": list(TASKS), "condition": list(CONDITIONS), "rule": [EXACT, *RULES]}
    found = pd.DataFrame({name: rows[name].map(order.index) for name, order in keys.items()})
    return rows.loc[found.sort_values(list(keys), kind="stable").index]
