"""What figures of the study share: lines of rules, scales, legends, and bars of what would not be seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from maxpo_lab.core.arrays import Float

from ...output.colours import colour_of
from ...output.style import PAGE, subplots
from ...trainer import EXACT
from .design import RULES
from .pairs import REFERENCE

#: Rules with a history share their family's hue, and differ in their dashes.
_DASHES = {"replay": "-", "centered-replay": "--", "plug-in-floor": ":"}


def style_of(rule: str) -> dict[str, Any]:
    """Colour, dashes and width of a rule's line."""
    if rule == EXACT:
        return {"color": "0.25", "ls": (0, (1, 1)), "lw": 1.2, "zorder": 3}
    return {"color": colour_of(rule), "ls": _DASHES.get(rule, "-"), "lw": 2.0 if rule == REFERENCE else 1.1}


def root_scale(axes: Axes, last: float) -> None:
    """Rollouts on a square-root scale, on which the points lie evenly."""
    axes.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
    ticks = [last * share**2 for share in (0, 0.25, 0.5, 0.75, 1)]
    axes.set_xticks(ticks, ["0", *(f"{tick / 1000:.3g}k" for tick in ticks[1:])], fontsize=6)
    axes.set_xlim(0, last)


def panels(names: list[str], across: int, height: float) -> tuple[Figure, list[Axes], Axes]:
    """One panel per name and one more for the legend."""
    lines = len(names) // across + 1
    figure, grid = subplots(lines, across, figsize=(PAGE, height * lines + 0.35), squeeze=False)
    axes = list(grid.ravel())
    for spare in axes[len(names) :]:
        spare.set_axis_off()
    for place, name in zip(axes, names, strict=False):
        place.set_title(name)
    return figure, axes[: len(names)], axes[-1]


def legend_of(rules: npt.ArrayLike, place: Axes, *extra: Line2D) -> None:
    """The rules in the free panel."""
    ordered = [rule for rule in (EXACT, *RULES) if rule in set(np.asarray(rules).tolist())]
    handles = [
        Line2D([], [], label="exact gradient" if rule == EXACT else rule, **style_of(rule))
        for rule in ordered
    ]
    place.legend(handles=[*handles, *extra], loc="center", fontsize=6.3, handlelength=2.2, labelspacing=0.3)


def difference_bars(axes: Axes, found: pd.DataFrame, places: Float, colours: list[str], filled: bool) -> None:
    """Areas less the reference's, with 95 % intervals, on bars of what would not be seen."""
    middle, low, high, smallest = (
        found[f"area_{end}"].to_numpy(dtype=np.float64) for end in ("estimate", "low", "high", "smallest")
    )
    axes.barh(places, 2 * smallest, 0.34, left=-smallest, color="0.86", lw=0, zorder=0)
    for i, (place, colour) in enumerate(zip(places, colours, strict=True)):
        axes.plot([low[i], high[i]], [place, place], color=colour, lw=1.1)
        style: dict[str, Any] = {"color": colour, "ms": 3, "mfc": colour if filled else "white"}
        axes.plot(middle[i], place, "D" if filled else "o", **style)
    axes.axvline(0, color="0.3", lw=0.7, ls="--", zorder=0.5)


def difference_scale(axes: Axes, furthest: float) -> None:
    """Differences of areas, linear up to 0.02 and logarithmic beyond."""
    axes.set_xscale("symlog", linthresh=0.02, linscale=0.8)
    end = max(1.15 * furthest, 0.1)
    axes.set_xlim(-end, end)
    ticks = [tick for tick in (-0.5, -0.1, -0.02, 0, 0.02, 0.1, 0.5) if abs(tick) <= end]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=6)
    axes.minorticks_off()
