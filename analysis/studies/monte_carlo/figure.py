"""Agreement, error and coverage; groups that a bias takes; and what was found, from stored rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...output.colours import colour_of
from ...output.style import PAGE, subplots
from . import agreement, bounds, detection, intervals
from .sampling import SUCCESS

#: Quantities of the first panel with a colour each: Tol's bright tones.
FIGURES = {
    "scale": ("scale", "#4477aa"),
    "mean_along_itself": ("mean", "#66ccee"),
    "trace_covariance": ("tr Cov", "#228833"),
    "along_gradient_variance": ("variance along gradient", "#ccbb44"),
    "snr": ("signal to noise", "#ee6677"),
    "advantage_rms": ("advantage", "#aa3377"),
    "advantage_sum_rms": ("sum of advantages", "#bbbbbb"),
    "dead_group_probability": ("dead groups", "#000000"),
}
MARKERS = {"scale": "o", "trace_covariance": "s"}
LABELS = {"scale": "scale", "trace_covariance": "tr Cov"}
#: Rules whose bias is drawn: those far off need a handful of groups and look alike.
DRAWN = ("batch-mean", "rloo-reweighted", "verl-grpo-passk", "nemo-grpo", "leader", "maxrl")


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """What each part found, by specimen; for the devices, also where there was nothing to measure."""
    made = bounds.statements(rows)
    bound = bounds.reach(len(made))
    lines = []
    for key, group in made.groupby(["part", "specimen"], sort=False):
        part, specimen = map(str, key)
        here = rows[(rows.part == part) & (rows.specimen == specimen)]
        lines.append(
            {
                "part": part,
                "specimen": specimen,
                "groups": _range(here.groups[here.groups > 0]),
                "statements": len(group),
                "largest z": group.z.abs().max(),
                "bound": bound,
                "contradictions": int((~(group.z.abs() <= bound)).sum()),
                "finding": _FINDINGS[part](rows[rows.specimen == specimen]),
            }
        )
    if not (rows.part == "devices").any():
        nothing = {"groups": "none", "statements": 0, "largest z": math.nan, "bound": bound}
        none = {"part": "devices", "specimen": "none", **nothing, "contradictions": 0}
        lines.append(none | {"finding": f"not measured: {_why_no_devices(rows)}"})
    return pd.DataFrame(lines)


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """``figure``: agreement, error and coverage; ``bias``: groups that it takes to see a bias."""
    figure = Figure(figsize=(PAGE, 4.6))
    left, right = figure.subfigures(1, 2, width_ratios=(1.12, 1), squeeze=False)[0]
    axes = left.subplots()
    _agreement(axes, rows)
    left.legend(
        *axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=6.5, markerscale=2
    )
    upper, lower = right.subplots(2, 1, height_ratios=(1, 1.15))
    _errors(upper, rows)
    _coverage(lower, rows)
    rules = [name for name in intervals.COVERAGE_RULES if name in set(rows.estimator)]
    handles = [Line2D([], [], color=colour_of(name), marker="o", ms=3, label=name) for name in rules]
    spacing = {"handlelength": 1.0, "columnspacing": 0.8, "handletextpad": 0.4}
    right.legend(handles=handles, fontsize=6.5, loc="outside upper center", ncols=4, **spacing)
    return {"figure": figure, "bias": _bias(rows[rows.part == "detection"])}


def _agreement(axes: Axes, rows: pd.DataFrame) -> None:
    part = rows[(rows.part == "agreement") & rows.figure.isin(FIGURES)]
    names = list(dict.fromkeys(part.specimen))[::-1]
    places = np.linspace(-0.33, 0.33, len(FIGURES))
    for place, (name, (label, colour)) in zip(places, FIGURES.items(), strict=True):
        of = part[part.figure == name]
        axes.plot(of.z, of.specimen.map(names.index) + place, "o", ms=1.8, mew=0, color=colour, label=label)
    bound = bounds.reach(len(bounds.statements(rows)))
    axes.axvspan(-1.96, 1.96, color="0.92", lw=0)
    for end in (-bound, bound):
        axes.axvline(end, color="0.3", lw=0.8, ls="--")
    axes.set_xlim(-1.15 * bound, 1.15 * bound)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("(sampled - exact) / standard error, all rules")


def _errors(axes: Axes, rows: pd.DataFrame) -> None:
    part = rows[(rows.part == "error") & (rows.specimen == intervals.ERROR_SPECIMENS[-1])]
    for key, of in part.groupby(["estimator", "figure"], sort=False):
        estimator, figure = map(str, key)
        line = of.sort_values("groups")
        colour = colour_of(estimator)
        axes.plot(line.groups, line.error_expected, lw=0.7, color=colour)
        spread = 1.96 / np.sqrt(2 * line.repetitions)
        ends = line.error * (1 - np.exp(-spread)), line.error * (np.exp(spread) - 1)
        filled = colour if figure == "scale" else "white"
        marker = MARKERS[figure]
        axes.errorbar(
            line.groups, line.error, ends, fmt=marker, ms=3, mfc=filled, color=colour, elinewidth=0.6
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel(f"groups ({intervals.ERROR_SPECIMENS[-1]})")
    axes.set_ylabel("relative error (rms)")
    rates = bounds.slopes(rows)
    mean, error = rates.slope.mean(), float(rates.standard_error.iloc[0])
    text = f"slopes {rates.slope.min():.2f} to {rates.slope.max():.2f},\nmean {mean:.3f}, each ± {error:.3f}"
    axes.text(0.03, 0.04, text, transform=axes.transAxes, fontsize=6.5)


def _coverage(axes: Axes, rows: pd.DataFrame) -> None:
    cells = bounds.coverage(rows)
    names = list(dict.fromkeys(cells.specimen))[::-1]
    trials = int(cells.repetitions.iloc[0])
    bound = bounds.reach(len(bounds.statements(rows)))
    scores = np.array([bounds.binomial_score(miss, trials, 1 - bounds.LEVEL) for miss in range(trials + 1)])
    inside = 100 * (1 - np.flatnonzero(np.abs(scores) <= bound) / trials)
    pointwise = 100 * (1 - np.flatnonzero(np.abs(scores) <= 1.96) / trials)
    axes.axvspan(pointwise.min(), pointwise.max(), color="0.92", lw=0)
    axes.axvline(100 * bounds.LEVEL, color="0.4", lw=0.6)
    axes.axvline(inside.min(), color="0.3", lw=0.8, ls="--")
    rules = list(dict.fromkeys(cells.estimator))
    for row in cells.to_dict("records"):
        shift = np.linspace(-0.32, 0.32, len(rules))[rules.index(row["estimator"])]
        colour, marker = colour_of(row["estimator"]), MARKERS[row["figure"]]
        filled = colour if row["figure"] == "scale" else "white"
        place = names.index(row["specimen"]) + shift
        axes.plot(100 * row["coverage"], place, marker, ms=2.8, mew=0.7, mfc=filled, color=colour)
    axes.set_yticks(range(len(names)), [name.replace(", ", ",\n") for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_xlim(1.25 * min(inside.min(), 100 * cells.coverage.min()) - 25, 101)
    axes.set_xlabel(f"coverage of 95 % intervals, % of {trials}")
    handles = [
        Line2D([], [], color="0.3", ls="", marker=MARKERS[name], ms=3, mfc=fill, label=LABELS[name])
        for name, fill in (("scale", "0.3"), ("trace_covariance", "white"))
    ]
    box = {"frameon": True, "facecolor": "white", "edgecolor": "none", "framealpha": 1.0}
    axes.legend(handles=handles, fontsize=6.5, loc="lower left", handletextpad=0.1, labelspacing=0.25, **box)


def _bias(rows: pd.DataFrame) -> Figure:
    figure, (left, right) = subplots(1, 2, figsize=(PAGE, 2.7), sharey=True)
    on = rows[rows.specimen == detection.LARGE]
    _needed(left, on[on.n == detection.N], "success")
    left.set_xscale("logit")
    ticks = (0.001, 0.01, 0.1, 0.5, 0.9)
    left.set_xticks(ticks, [f"{p:g}" for p in ticks])
    left.set_xticks([], minor=True)
    left.set_xlabel(f"success probability  (n = {detection.N})")
    left.set_ylabel("groups for 3 standard errors")
    _needed(right, on[on.success == SUCCESS], "n")
    right.set_xscale("log", base=2)
    right.set_xlabel(f"group size n  (success {SUCCESS:g})")
    left.set_yscale("log")
    bottom, top = left.get_ylim()
    left.set_ylim(max(bottom, 0.5), top)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=7)
    return figure


def _needed(axes: Axes, rows: pd.DataFrame, factor: str) -> None:
    for name in DRAWN:
        line = rows[(rows.estimator == name) & (rows.figure == "scale")].sort_values(factor)
        axes.plot(line[factor], line.needed, color=colour_of(name), label=name)
        checked = line[line.repetitions > 0]
        axes.plot(checked[factor], checked.groups, "o", ms=4.5, mfc="white", color=colour_of(name))
    line = rows[(rows.estimator == "maxpo") & (rows.figure == "scale_one_percent")].sort_values(factor)
    axes.plot(line[factor], line.needed, "--", color=colour_of("maxpo"), label="maxpo, were it\n1 % off")


def _why_no_devices(rows: pd.DataFrame) -> str:
    """The reason, from the rows: the smoke preset, known by its specimens, leaves the part out anywhere."""
    measured = {*rows.specimen[rows.part == "agreement"]}
    return "no part of the smoke preset" if measured <= {*agreement.SMOKE} else "torch saw no CUDA device"


def _range(groups: pd.Series) -> str:
    low, high = int(groups.min()), int(groups.max())
    return f"{low}" if low == high else f"{low} to {high}"


def _agreement_found(rows: pd.DataFrame) -> str:
    part = rows[rows.part == "agreement"]
    return f"{part.estimator.nunique()} rules, {part.figure.nunique()} figures each"


def _devices_found(rows: pd.DataFrame) -> str:
    part = rows[rows.part == "devices"]
    return f"{', '.join(sorted(set(part.device)))} less cpu: {part.z.abs().max():.1f} standard errors at most"


def _error_found(rows: pd.DataFrame) -> str:
    rates = bounds.slopes(rows)
    error = rates.standard_error.iloc[0]
    return f"slope {rates.slope.min():.3f} to {rates.slope.max():.3f}, each with standard error {error:.3f}"


def _coverage_found(rows: pd.DataFrame) -> str:
    cells = bounds.coverage(rows)
    pooled, _ = bounds.pooled_coverage(rows)
    return f"coverage {cells.coverage.min():.1%} to {cells.coverage.max():.1%}, pooled {pooled:.1%}"


def _detection_found(rows: pd.DataFrame) -> str:
    part = rows[(rows.part == "detection") & (rows.repetitions > 0)]
    found = [
        f"{row['estimator']}: {row['seen']} of {row['repetitions']} samples saw it"
        for row in part.to_dict("records")
    ]
    return "; ".join(found)


_FINDINGS: Mapping[str, Callable[[pd.DataFrame], str]] = {
    "agreement": _agreement_found,
    "devices": _devices_found,
    "error": _error_found,
    "coverage": _coverage_found,
    "detection": _detection_found,
}
