"""Split of the variance, its direction and dead groups, from stored rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...output.colours import colour_of
from ...output.style import PAGE, subplots
from .study import K, N

SUCCESS_TICKS = (0.001, 0.01, 0.1, 0.5, 0.9)
SPLIT = ("pkpo-loo1", "maxpo", "predictive")
DIRECTION = ("pkpo-loo1", "maxpo", "predictive", "rloo", "grpo")
DEAD = ("pkpo-loo1", "maxpo", "grpo", "passk-training")


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """At success rates near 0.01, 0.2, 0.5, 0.9: between share, along share, removed share, dead groups."""
    grid = np.sort(rows.success.unique())
    chosen = {float(grid[np.abs(grid - p).argmin()]) for p in (0.01, 0.2, 0.5, 0.9)}
    at = rows[rows.success.isin(chosen)]
    return pd.DataFrame(
        {
            "outcomes": at.space,
            "p": at.success.map("{:.3g}".format),
            "estimator": at.estimator,
            "between counts": at.between / at.trace_covariance,
            "along gradient": at.along,
            "removed from pkpo-s": at.removed,
            "dead groups": at.dead_group_probability,
        }
    ).reset_index(drop=True)


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """One row of panels per outcome space: within/between, share along the gradient, dead groups."""
    spaces = list(rows.space.unique())
    figure, grid = subplots(len(spaces), 3, figsize=(PAGE, 4.2), sharex=True, squeeze=False)
    for line, space in zip(grid, spaces, strict=True):
        here = rows[rows.space == space]
        _split(line[0], here)
        _shares(line[1], here, "along", DIRECTION)
        _shares(line[2], here, "dead_group_probability", DEAD)
        line[0].set_ylabel(f"{space}")
        for axes in line:
            axes.set_xscale("logit")
            axes.set_xticks(SUCCESS_TICKS, [f"{p:g}" for p in SUCCESS_TICKS])
            axes.set_xticks([], minor=True)
    titles = (
        "variance over pkpo-loo1's:\nwithin counts (line), between (dots)",
        "share of the variance\nalong the gradient",
        "probability of a dead group\n",
    )
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title)
    for axes in grid[-1]:
        axes.set_xlabel(f"success probability p  (n = {N}, K = {K})", fontsize=7)
    handles: dict[str, Artist] = {}
    for axes in grid[0]:
        found = zip(*axes.get_legend_handles_labels(), strict=True)
        handles |= {label: handle for handle, label in found if label not in handles}
    figure.legend(list(handles.values()), list(handles), loc="outside upper center", ncols=len(handles))
    return {"figure": figure}


def _split(axes: Axes, rows: pd.DataFrame) -> None:
    reference = rows[rows.estimator == "pkpo-loo1"].set_index("success").trace_covariance
    for name in SPLIT:
        curve = rows[rows.estimator == name].set_index("success")
        axes.plot(curve.index, curve.within / reference, "-", color=colour_of(name), label=name)
        axes.plot(curve.index, curve.between / reference, ":", color=colour_of(name))
    axes.set_yscale("log")
    axes.set_ylim(1e-3, 50)


def _shares(axes: Axes, rows: pd.DataFrame, quantity: str, names: tuple[str, ...]) -> None:
    for name in names:
        curve = rows[rows.estimator == name]
        dashes = "--" if name == "pkpo-loo1" else "-"
        axes.plot(curve.success, curve[quantity], dashes, color=colour_of(name), label=name)
    axes.set_ylim(-0.03, 1.03)
