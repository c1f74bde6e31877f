"""The table: every rule on every specimen, under every condition, at both step sizes, and pooled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from ...measure.resampling import Interval
from ...measure.statistics import interquartile_mean_interval, median_interval
from ...trainer import EXACT
from .comparison import POOLED, REFERENCES, by_specimen, compare, in_order, places
from .design import SEED

NOTHING = "-"


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per specimen, condition, rule and choice of step size; first those pooled over the base.

    Interquartile means with stratified bootstrap intervals; the share of runs that reached 90 % of the
    optimum with Wilson's, and the median of their steps with that of its order statistics, never pooled; for
    each reference rule the probability that it has the larger area, and the mean difference of the areas.
    A pooled comparison is over the specimens that both rules are defined on. The exact gradient is not
    random: no intervals, and no comparison.
    """
    rows = in_order(rows)
    tuned, runs = rows[rows.kind == "tuning"], rows[rows.kind == "run"]
    lines = []
    # Runs of both kinds are grouped together, so that a contestant finds its tuning with it.
    for specimen, condition, own in places(rows[rows.kind.isin(("run", "tuning"))]):
        shown = own.loc[own.index.intersection(runs.index, sort=False)]
        tuning = own.loc[own.index.intersection(tuned.index, sort=False)]
        for choice in ("shared", "best"):
            field = shown[shown.choice == choice]
            for rule in field.rule.unique():
                line = {"specimen": specimen, "condition": condition, "rule": rule, "step size": choice}
                lines.append(line | _line(field, tuning[tuning.rule == rule], str(rule), specimen == POOLED))
    return pd.DataFrame(lines)


def _line(field: pd.DataFrame, tuning: pd.DataFrame, rule: str, pooled: bool) -> dict[str, Any]:
    own = field[field.rule == rule]
    bare = rule == EXACT
    line: dict[str, Any] = {
        "size": NOTHING if pooled else f"{own.step_size.iloc[0]:g}",
        "at the grid's edge": _edge(own, tuning, pooled),
        "runs": len(own),
        "diverged": int(own.diverged.sum()),
        "diverged in tuning": f"{int(tuning.diverged.sum())} of {int(tuning.runs.sum())}",
        "area under max@K": _pooled(own, "area", bare=bare),
        "max@K at the end": _pooled(own, "max_at_k", bare=bare),
        "pass@1 at the end": _pooled(own, "mean_reward", bare=bare),
        "reached 90 %": NOTHING if pooled else _share(own, bare=bare),
        "steps to 90 % (median)": NOTHING if pooled else _steps(own, bare=bare),
    }
    for reference in REFERENCES:
        other = field[field.rule == reference]
        found = None if bare or rule == reference else compare(other, own)
        line[f"P({reference} better)"] = _text(found.probability) if found else NOTHING
        line[f"area, {reference} - rule"] = _text(found.difference, "{:.3f}") if found else NOTHING
    return line


def _edge(own: pd.DataFrame, tuning: pd.DataFrame, pooled: bool) -> str:
    """Whether the best step size is the smallest or largest that was tried; pooled, on how many specimens."""
    if own.choice.iloc[0] == "shared":
        return NOTHING
    last = tuning.groupby("specimen").step_size_rank.max()
    chosen = own.groupby("specimen").step_size_rank.first()
    low, high = chosen == 0, chosen == last[chosen.index]
    if pooled:
        return f"{int((low | high).sum())} of {len(chosen)}"
    return "smallest" if low.any() else "largest" if high.any() else "no"


def _pooled(runs: pd.DataFrame, quantity: str, *, bare: bool) -> str:
    scores = np.stack(list(by_specimen(runs, quantity).values()))
    return _text(interquartile_mean_interval(scores, seed=SEED), bare=bare)


def _share(own: pd.DataFrame, *, bare: bool) -> str:
    reached = own.steps_to_90.notna()
    ends = binomtest(int(reached.sum()), len(own)).proportion_ci(method="wilson")
    found = Interval(np.asarray(reached.mean()), np.asarray(ends.low), np.asarray(ends.high))
    return _text(found, bare=bare)


def _steps(own: pd.DataFrame, *, bare: bool) -> str:
    """A run that never arrives takes infinitely many steps: so does the median where half do not."""
    steps = median_interval(own.steps_to_90.fillna(np.inf))
    return _text(steps, "{:.0f}", bare=bare) if np.isfinite(steps.estimate) else NOTHING


def _text(found: Interval, form: str = "{:.2f}", *, bare: bool = False) -> str:
    """An estimate with its interval, or bare; what rounds to 0 has no sign."""
    estimate, low, high = (
        form.format(0.0 if float(form.format(float(end))) == 0 else float(end))
        for end in (found.estimate, found.low, found.high)
    )
    return estimate if bare else f"{estimate} [{low}, {high}]"
