"""The table: every contestant of every section on every specimen, with what its seeds could have seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from maxpo_lab.core.arrays import Float

from ...measure.power import paired
from ...measure.resampling import Interval
from ...measure.statistics import median_interval
from ...trainer import EXACT
from .contestants import ON_POLICY
from .design import TASKS
from .pairs import NAME, POOLED, Compared, comparisons

NOTHING = "-"
_PLACE = ["section", "specimen", "choice"]


def label(section: str, name: Sequence[Any]) -> str:
    """A contestant by what tells it from the others of its section; ``name`` as in ``NAME``."""
    rule, k, loop, annealed = name
    if rule == EXACT:
        return "exact gradient"
    if section == "trade-off":
        return f"{rule}, K = {int(k)}{', then 1' if annealed else ''}"
    return rule if loop == ON_POLICY else f"{rule}, {loop}"


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows in the order of the design table, whatever the order they were measured in."""
    place = pd.DataFrame(
        {
            "section": rows.section.map(["rules", "trade-off", "loops"].index),
            "specimen": rows.specimen.map(list(TASKS).index),
        }
    )
    return rows.loc[place.sort_values(["section", "specimen"], kind="stable").index]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per section, specimen, choice of step size and contestant, then the sparse starts together.

    Means with Student's 95 % intervals; the share of runs that arrived with Wilson's, and the median of their
    rollouts with that of its order statistics. Against maxpo (on-policy, at the K that is evaluated): the
    difference of the areas, the contestant's less maxpo's, and the contestant's rollouts to the target as a
    multiple of maxpo's, each with the smallest that these seeds would have seen with a chance of 80 %. The
    exact gradient is not random: no intervals, and no comparison.
    """
    rows = in_order(rows)
    runs, tuned = rows[rows.kind == "run"], rows[rows.kind == "tuning"]
    against: dict[tuple[object, ...], Compared] = {
        tuple(place[name] for name in (*_PLACE, *NAME)): found for place, found in comparisons(rows)
    }
    lines = []
    for place, here in runs.groupby(_PLACE, sort=False):
        for name, own in here.groupby(NAME, sort=False):
            tuning = tuned[(tuned[[*_PLACE[:2], *NAME]] == [*place[:2], *name]).all(axis=1)]
            line = dict(zip(_PLACE, place, strict=True)) | {"contestant": label(str(place[0]), name)}
            lines.append(line | _own(own, tuning) | _against(against.get((*place, *name))))
    for place, found in against.items():
        if place[1] == POOLED:
            line = dict(zip(_PLACE, place[:3], strict=True)) | {"contestant": label(str(place[0]), place[3:])}
            lines.append(line | _against(found))
    return pd.DataFrame(lines).fillna(NOTHING).rename(columns={"choice": "step size"})


def _own(own: pd.DataFrame, tuning: pd.DataFrame) -> dict[str, Any]:
    last = tuning.step_size_rank.max()
    rank = own.step_size_rank.iloc[0]
    edge = "smallest" if rank == 0 else "largest" if rank == last else "no"
    return {
        "size": f"{own.step_size.iloc[0]:g}",
        "at the grid's edge": NOTHING if own.choice.iloc[0] == "shared" else edge,
        "runs": str(len(own)),
        "diverged": str(int(own.diverged.sum())),
        "diverged in tuning": f"{int(tuning.diverged.sum())} of {int(tuning.runs.sum())}",
        "area": _mean(own.area),
        "arrived": _share(own),
        "rollouts to the target (median)": _rollouts(own),
        "max@K at the end": _mean(own.max_at_k),
        "pass@1 at the end": _mean(own.mean_reward),
        "diversity on arrival": _mean(own.diversity_at_target.dropna()),
        "diversity at the end": _mean(own.diversity.dropna()),
        "rollouts to the first success": _mean(own.first_success.fillna(own.budget), "{:.0f}"),
        "rollouts until all prompts are solved": _mean(own.all_solved.fillna(own.budget), "{:.0f}"),
    }


def _against(found: Compared | None) -> dict[str, Any]:
    if found is None:
        return {}
    area, ratio = found.area, found.ratio
    said = {
        "area, rule - maxpo": _text(area.estimate, area.low, area.high, "{:.4f}"),
        "smallest area seen": f"{area.smallest:.2g}",
        "verdict": found.verdict,
    }
    if ratio:
        times = [float(np.exp(each)) for each in (ratio.estimate, ratio.low, ratio.high)]
        said |= {
            "rollouts over maxpo's": _text(times[0], times[1], times[2], "{:.3f}"),
            "smallest ratio seen": f"{np.exp(ratio.smallest):.3f}",
        }
    return said


def _mean(values: pd.Series | Float, form: str = "{:.3f}") -> str:
    array = np.asarray(values, dtype=np.float64)
    if len(array) < 2:
        return form.format(array[0]) if len(array) else NOTHING
    found = paired(array)
    return _text(found.estimate, found.low, found.high, form)


def _share(own: pd.DataFrame) -> str:
    arrived = own.to_target.notna()
    if len(own) == 1:
        return f"{arrived.mean():.2f}"
    ends = binomtest(int(arrived.sum()), len(own)).proportion_ci(method="wilson")
    return _text(arrived.mean(), ends.low, ends.high, "{:.2f}")


def _rollouts(own: pd.DataFrame) -> str:
    """A run that never arrives takes infinitely many: so does the median where half do not."""
    found: Interval = median_interval(own.to_target.fillna(np.inf))
    if not np.isfinite(found.estimate):
        return NOTHING
    if len(own) == 1:
        return f"{float(found.estimate):.0f}"
    return _text(float(found.estimate), float(found.low), float(found.high), "{:.0f}")


def _text(estimate: float, low: float, high: float, form: str) -> str:
    """An estimate with its interval; what rounds to 0 has no sign."""
    said = (form.format(0.0 if float(form.format(end)) == 0 else end) for end in (estimate, low, high))
    return "{} [{}, {}]".format(*said)
