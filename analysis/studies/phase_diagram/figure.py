"""Contours of the ratios and efficiencies, and the break-even success rates, from stored rows."""

from __future__ import annotations

from itertools import zip_longest

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.special import expit, logit

from ...output.style import PAGE, subplots
from .study import TRAINED

RATIO = "tr Cov(maxpo) / tr Cov(pkpo-loo1)"
SUCCESS_TICKS = (1e-3, 0.1, 0.9)
RATIOS = (0.05, 0.1, 0.2, 0.5, 0.8, 0.95, 1.0, 1.05, 1.25, 2, 5, 10, 20)
EFFICIENCIES = (0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Success rates at which a rule has the lower variance, by outcome space, n and K."""
    lines = []
    for space, n in rows[["space", "n"]].drop_duplicates().itertuples(index=False):
        group = rows[(rows.space == space) & (rows.n == n)]
        ks = sorted(group.k.unique())
        for k in sorted({ks[0], ks[len(ks) // 3], ks[len(ks) // 2], ks[-1]}):
            at = group[group.k == k].sort_values("success").dropna()
            lines.append(
                {
                    "outcomes": space,
                    "n": int(n),
                    "K": int(k),
                    "maxpo below pkpo-loo1": where_below(at.success, at.maxpo_over_loo1),
                    "predictive below maxpo": where_below(at.success, at.predictive_over_maxpo),
                }
            )
    return pd.DataFrame(lines)


def where_below(success: pd.Series, ratio: pd.Series) -> str:
    """Success rates at which a ratio is below 1, its crossings interpolated on the logit axis."""
    x, y = logit(success.to_numpy()), np.log(ratio.to_numpy())
    below = y < 0
    if not below.any() or below.all():
        return "everywhere" if below.all() else "nowhere"
    at = np.flatnonzero(below[1:] != below[:-1])
    crossings = [f"{p:.2g}" for p in expit(x[at] - y[at] * (x[at + 1] - x[at]) / (y[at + 1] - y[at]))]
    edges = ["", *crossings] if below[0] else crossings
    spans = [(low, high) for low, high in zip_longest(edges[::2], edges[1::2], fillvalue="")]
    return ", ".join(
        f"{low} to {high}" if low and high else f"p > {low}" if low else f"p < {high}" for low, high in spans
    )


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """``figure``: MaxPO over pkpo-loo1; ``predictive``: predictive over MaxPO; and each one's efficiency.

    ``episodes``: MaxPO over pkpo-loo1 where outcomes are episodes.
    """
    trained = rows.space.isin(TRAINED)
    episodes = {"episodes": _map(rows[trained], "maxpo_over_loo1", RATIO, RATIOS, "RdBu_r")}
    rows = rows[~trained]
    ratios = {
        "figure": ("maxpo_over_loo1", RATIO),
        "predictive": ("predictive_over_maxpo", "tr Cov(predictive) / tr Cov(maxpo)"),
    }
    efficiencies = {
        "efficiency-pkpo-loo1": ("efficiency_loo1", "efficiency of pkpo-loo1: floor / tr Cov"),
        "efficiency-maxpo": ("efficiency_maxpo", "efficiency of maxpo: floor / tr Cov"),
        "efficiency-predictive": ("efficiency_predictive", "efficiency of predictive: floor / tr Cov"),
    }
    maps = {name: _map(rows, *what, RATIOS, "RdBu_r") for name, what in ratios.items()} | episodes
    return maps | {name: _map(rows, *what, EFFICIENCIES, "viridis") for name, what in efficiencies.items()}


def _map(rows: pd.DataFrame, quantity: str, label: str, levels: tuple[float, ...], colours: str) -> Figure:
    spaces, sizes = list(rows.space.unique()), sorted(rows.n.unique())
    figure, grid = subplots(
        len(sizes),
        len(spaces),
        figsize=(PAGE, 1.25 * len(sizes) + 1.0),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    image = None
    for line, n in zip(grid, sizes, strict=True):
        for axes, space in zip(line, spaces, strict=True):
            image = _panel(axes, rows[(rows.space == space) & (rows.n == n)], quantity, levels, colours)
        line[0].set_ylabel(f"n = {n}\nK / n")
    for axes, space in zip(grid[0], spaces, strict=True):
        axes.set_title(space.replace(", ", ",\n").replace(" of a ", "\nof a "), fontsize=7)
    for axes in grid[-1]:
        axes.set_xlabel("p", labelpad=1)
    if image is not None:
        bar = figure.colorbar(image, ax=grid, location="bottom", shrink=0.7, aspect=45, pad=0.02)
        bar.set_ticks(levels, labels=[f"{level:g}" for level in levels])
        bar.set_label(
            label + ("   (line: break-even; grey: unresolved)" if 1.05 in levels else "   (grey: unresolved)")
        )
    return figure


def _panel(
    axes: Axes, rows: pd.DataFrame, quantity: str, levels: tuple[float, ...], colours: str
) -> QuadContourSet:
    wide = rows.pivot_table(index="k", columns="success", values=quantity, dropna=False)
    values = np.ma.masked_invalid(wide.to_numpy(dtype=float))
    x, y = logit(wide.columns.to_numpy(dtype=float)), wide.index.to_numpy(dtype=float) / rows.n.iloc[0]
    axes.grid(visible=False)
    axes.add_patch(Rectangle((x[0], y[0]), x[-1] - x[0], y[-1] - y[0], facecolor="0.8", edgecolor="none"))
    norm = BoundaryNorm(levels, colormaps[colours].N, extend="neither")
    image = axes.contourf(x, y, values.clip(levels[0], levels[-1]), levels=levels, cmap=colours, norm=norm)
    if 1.05 in levels and values.count() and values.min() < 1 < values.max():
        axes.contour(x, y, values, levels=[1.0], colors="black", linewidths=1.0)
    axes.set_xticks(logit(SUCCESS_TICKS), [f"{p:g}" for p in SUCCESS_TICKS])
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1.0])
    return image
