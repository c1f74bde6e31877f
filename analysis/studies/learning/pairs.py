"""Contestants compared run by run: areas, rollouts to the target, and what the seeds could have seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from maxpo_lab.core.arrays import Float

from ...measure.power import Paired, paired
from ...trainer import EXACT

#: What every other rule is compared with.
REFERENCE = "maxpo"
#: Areas are rounded to this, so that rounding is no difference.
_EXACT = 1e-9
POOLED = "all"
#: Success below which a start is sparse.
SPARSE = 0.01
#: The share of runs that must arrive for a time to be told.
ARRIVED = 0.8
#: What tells contestants apart.
NAME = ["rule", "k", "loop", "annealed"]


@dataclass(frozen=True)
class Compared:
    """A contestant against a reference, on the same seeds.

    Attributes
    ----------
    area
        Contestant less reference, in units of target times budget.
    ratio
        Logarithm of the contestant's rollouts to the target over the reference's. A run that does not arrive
        counts with its budget, so these are cut there. None where less than ``ARRIVED`` of the runs of either
        arrive, or specimens are pooled.
    arrived
        The least share of runs that arrive, of the two.
    """

    area: Paired
    ratio: Paired | None
    arrived: float

    @property
    def verdict(self) -> str:
        """In words: whether the contestant's area is the larger, or what difference would have been seen."""
        if not self.area.runs or self.area.smallest == 0:
            return "the same runs" if self.area.estimate == 0 else "differs"
        if self.area.seen:
            return "ahead" if self.area.estimate > 0 else "behind"
        return f"none above {self.area.smallest:.1g}"


def compare(reference: pd.DataFrame, other: pd.DataFrame) -> Compared | None:
    """Run rows of two contestants at one choice of step size; None where they share no specimen."""
    first, second = _by_specimen(reference, "area"), _by_specimen(other, "area")
    names = [name for name in first if name in second]
    if not names:
        return None
    apart = [np.round((second[name] - first[name]) / _EXACT) * _EXACT for name in names]
    arrived = min(
        float(rows[rows.specimen.isin(names)].to_target.notna().mean()) for rows in (reference, other)
    )
    ratio = None
    if len(names) == 1 and arrived >= ARRIVED:
        slow, fast = (np.log(_restricted(rows[rows.specimen == names[0]])) for rows in (other, reference))
        ratio = paired(np.round((slow - fast) / _EXACT) * _EXACT)
    return Compared(paired(*apart), ratio, arrived)


def comparisons(rows: pd.DataFrame) -> Iterator[tuple[dict[str, object], Compared]]:
    """Every contestant against the reference of its section, at each place and choice of step size.

    In the section on rules the specimens of the sparse start are pooled too, with equal weights.
    """
    runs = rows[(rows.kind == "run") & (rows.rule != EXACT)]
    for section, of_section in runs.groupby("section", sort=False):
        places = [(str(name), own) for name, own in of_section.groupby("specimen", sort=False)]
        if section == "rules":
            sparse = of_section[of_section.start < SPARSE]
            places = [(POOLED, sparse), *places] if sparse.specimen.nunique() > 1 else places
        for specimen, here in places:
            for choice, field in here.groupby("choice", sort=False):
                against = field[is_reference(field)]
                for name, own in field.groupby(NAME, sort=False):
                    if is_reference(own).all():
                        continue
                    found = compare(against, own)
                    if found:
                        place = {"section": section, "specimen": specimen, "choice": choice}
                        yield place | dict(zip(NAME, name, strict=True)), found


def is_reference(runs: pd.DataFrame) -> pd.Series:
    """Which runs are those of the reference: maxpo, on-policy, at the K that is evaluated."""
    return (
        (runs.rule == REFERENCE)
        & (runs.loop == "on-policy")
        & (runs.k == runs.evaluated_k)
        & ~runs.annealed.astype(bool)
    )


def compared_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The comparisons as rows of numbers: area, log ratio and ratio (``times``), intervals and smallest."""
    lines = []
    for place, found in comparisons(rows):
        line: dict[str, object] = {**place, "arrived": found.arrived, "verdict": found.verdict}
        line |= {f"area_{name}": value for name, value in asdict(found.area).items()}
        for name in ("estimate", "low", "high", "smallest"):
            told = float(np.exp(getattr(found.ratio, name))) if found.ratio else np.nan
            line["times" if name == "estimate" else f"times_{name}"] = told
        lines.append(line)
    return pd.DataFrame(lines)


def _by_specimen(runs: pd.DataFrame, quantity: str) -> dict[str, Float]:
    """Scores in the order of the seeds, of each specimen."""
    return {
        str(name): own.sort_values("seed")[quantity].to_numpy()
        for name, own in runs.groupby("specimen", sort=False)
    }


def _restricted(runs: pd.DataFrame) -> Float:
    """Rollouts to the target, or of the whole budget, in the order of the seeds."""
    own = runs.sort_values("seed")
    return own.to_target.fillna(own.budget).to_numpy(dtype=float)
