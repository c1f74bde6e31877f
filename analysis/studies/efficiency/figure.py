"""Efficiency curves next to the floor, from stored rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ...output.colours import colour_of
from ...output.style import COLUMN, PAGE, subplots

SUCCESS_TICKS = (0.001, 0.1, 0.5, 0.9)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Efficiency by outcome space, K and rule at the success rates nearest to 0.001, 0.05, 0.2, 0.5, 0.9."""
    curve = rows[rows.curve == "p"]
    grid = np.sort(curve.success.unique())
    chosen = {float(grid[np.abs(grid - p).argmin()]) for p in (0.001, 0.05, 0.2, 0.5, 0.9)}
    at = curve[curve.success.isin(chosen)]
    keys = ["space", "k", "estimator"]
    wide = at.pivot_table(index=keys, columns="success", values="efficiency", sort=False)
    wide = wide[sorted(wide.columns)]
    wide.columns = [f"p = {p:.3g}" for p in wide.columns]
    return wide.reset_index()


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """``figure``: efficiency against p; ``rare``: what is missing to 1 at rare success, against n."""
    return {"figure": _curves(rows[rows.curve == "p"]), "rare": _rare(rows[rows.curve == "n"])}


def _curves(rows: pd.DataFrame) -> Figure:
    spaces, ks = list(rows.space.unique()), sorted(rows.k.unique())
    size = (PAGE, 1.3 * len(spaces) + 0.9)
    figure, grid = subplots(len(spaces), len(ks), figsize=size, sharex=True, sharey=True, squeeze=False)
    for line, space in zip(grid, spaces, strict=True):
        for axes, k in zip(line, ks, strict=True):
            panel = rows[(rows.space == space) & (rows.k == k)]
            axes.axhline(1.0, color="0.3", lw=0.8)
            for name, curve in panel.groupby("estimator", sort=False):
                dashes = "--" if name == "pkpo-loo1" else "-"
                axes.plot(curve.success, curve.efficiency, dashes, color=colour_of(str(name)), label=name)
            axes.set_xscale("logit")
            axes.set_xticks(SUCCESS_TICKS, [f"{p:g}" for p in SUCCESS_TICKS])
            axes.set_xticks([], minor=True)
            axes.set_ylim(0, 1.05)
        line[0].set_ylabel(f"{space} correct\nefficiency")
    for axes, k in zip(grid[0], ks, strict=True):
        axes.set_title(f"n = {rows.n.iloc[0]}, K = {k}")
    for axes in grid[-1]:
        axes.set_xlabel("success probability p")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def _rare(rows: pd.DataFrame) -> Figure:
    figure, axes = subplots(figsize=(COLUMN, 2.4))
    for name in ("pkpo-loo", "maxpo", "predictive"):
        curve = rows[rows.estimator == name]
        axes.plot(curve.n, 1 - curve.efficiency, "o-", color=colour_of(name), label=name)
    sizes = np.sort(rows.n.unique())
    axes.plot(sizes, 1 / sizes, ":", color="0.3", label="1/n")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("group size n")
    axes.set_ylabel("1 - efficiency")
    axes.set_title(f"success rare (p = {rows.success.iloc[0]:g}), K = {rows.k.iloc[0]}")
    axes.legend()
    return figure
