"""Curves of the variance and of its ratio to pkpo-loo1, from stored rows."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator, ScalarFormatter

from ...output.colours import colour_of
from ...output.style import PAGE, subplots
from .study import BASE_K, BASE_N, BASE_SUCCESS, REFERENCE, SPECIMENS, TRAINED

#: ``canonical`` has MaxPO's numbers: it is measured, and drawn with it.
LABELS = {
    "pkpo-s": "pkpo-s",
    "pkpo-loo": "pkpo-loo",
    "pkpo-loo1": "pkpo-loo1",
    "maxpo": "maxpo = canonical",
}
FACTORS = {
    "success": f"success probability p  (n = {BASE_N}, K = {BASE_K})",
    "k": f"K  (n = {BASE_N}, p = {BASE_SUCCESS})",
    "n": f"group size n  (K = {BASE_K}, p = {BASE_SUCCESS})",
}
TITLES = {
    name: f"{name.replace('-', ' ')}\n({good} of {arms:,} arms)" for name, (arms, good) in SPECIMENS.items()
}
SUCCESS_TICKS = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99)
FEW_TICKS = (0.001, 0.1, 0.9)
#: The range in which a choice between rules is one; beyond it a curve leaves the panel.
RATIO_TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Ratio of the trace covariance to pkpo-loo1's at the base n and K, by success probability."""
    at_base = rows[rows.factor.isin(["success", "training"]) & (rows.estimator != REFERENCE)]
    chosen = at_base[at_base.success.isin([0.001, 0.05, 0.2, 0.5, 0.9])]
    chosen = chosen if len(chosen) else at_base
    wide = chosen.pivot_table(index=["specimen", "estimator"], columns="success", values="ratio", sort=False)
    wide.columns = [f"p = {p:g}" for p in wide.columns]
    return wide.reset_index()


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """``figure``: the ratio to pkpo-loo1; ``training``: that of episodes; ``trace``: tr Cov itself."""
    return {
        "figure": _panels(rows, "ratio", "tr Cov / tr Cov of pkpo-loo1"),
        "training": _training(rows[rows.factor == "training"]),
        "trace": _panels(rows, "trace_covariance", "tr Cov(g)"),
    }


def _panels(rows: pd.DataFrame, quantity: str, label: str) -> Figure:
    figure, grid = subplots(
        len(SPECIMENS), len(FACTORS), figsize=(PAGE, 3.9), sharey="row", sharex="col", squeeze=False
    )
    for line, specimen in zip(grid, SPECIMENS, strict=True):
        for axes, factor in zip(line, FACTORS, strict=True):
            _curves(axes, rows[(rows.specimen == specimen) & (rows.factor == factor)], factor, quantity)
        line[0].set_ylabel(f"{TITLES[specimen]}\n{label}")
    for axes, factor in zip(grid[-1], FACTORS, strict=True):
        axes.set_xlabel(FACTORS[factor])
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(LABELS))
    return figure


def _training(rows: pd.DataFrame) -> Figure:
    names = [name for name in TRAINED if name in set(rows.specimen)]
    figure, line = subplots(1, len(names), figsize=(PAGE, 2.2), sharey=True, squeeze=False)
    for axes, name in zip(line[0], names, strict=True):
        _curves(axes, rows[rows.specimen == name], "success", "ratio")
        axes.set_title(name.replace(" of a ", "\nof a "))
        axes.set_xticks(FEW_TICKS, [f"{p:g}" for p in FEW_TICKS])
    line[0][0].set_ylabel("tr Cov / tr Cov of pkpo-loo1")
    figure.supxlabel(f"success probability p in training  (n = {BASE_N}, K = {BASE_K})", fontsize=8)
    handles, labels = line[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(LABELS))
    return figure


def _curves(axes: Axes, rows: pd.DataFrame, factor: str, quantity: str) -> None:
    if quantity == "ratio":
        axes.axhline(1.0, color="0.4", lw=0.6, ls=":")
    for name, label in LABELS.items():
        curve = rows[rows.estimator == name].sort_values(factor)
        marker = "" if factor == "success" else "o"
        dashes = "--" if name == REFERENCE else "-"
        axes.plot(curve[factor], curve[quantity], dashes, marker=marker, color=colour_of(name), label=label)
    if factor == "success":
        axes.set_xscale("logit")
        axes.set_xticks(SUCCESS_TICKS, [f"{p:g}" for p in SUCCESS_TICKS])
        axes.set_xticks([], minor=True)
    elif factor == "n":
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(ScalarFormatter())
    else:
        axes.xaxis.set_major_locator(MultipleLocator(2))
    axes.set_yscale("log")
    if quantity == "ratio":
        axes.set_ylim(RATIO_TICKS[0], RATIO_TICKS[-1])
        axes.set_yticks(RATIO_TICKS, [f"{ratio:g}" for ratio in RATIO_TICKS])
        axes.set_yticks([], minor=True)
