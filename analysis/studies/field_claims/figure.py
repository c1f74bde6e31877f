"""What was measured next to what is claimed, a panel a claim, and the table of verdicts, from stored rows."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from ...output.style import PAGE, VERDICTS, subplots
from .claim import Claim
from .published import CLAIMS
from .study import SHOWN
from .verdicts import CONDITION, DEFINITION, FALSE, TRUE, Verdict, verdicts

#: The fill of a verdict.
COLOURS = {
    TRUE: VERDICTS["holds"],
    CONDITION: VERDICTS["other scale"],
    DEFINITION: VERDICTS["policy"],
    FALSE: VERDICTS["fails"],
}
#: Things that are read of one claim.
_DASHES = ("-", "--", "-.")
#: Curves of a panel, the first ones; success rates that are named; the least that is drawn on a log scale.
_CURVES, _TICKS, _LOWEST = 4, (0.001, 0.01, 0.1, 0.5, 0.9, 0.99), 1e-4


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a claim: what is said, where, whether it is true, the numbers, the smallest counterexample."""
    lines = []
    for name, found in verdicts(rows).items():
        claim = CLAIMS[name]
        lines.append(
            {
                "claim": name,
                "statement": claim.statement,
                "source": claim.source,
                "verdict": found.verdict,
                "condition": claim.condition or "-",
                "measured": "; ".join(found.numbers) or "-",
                "smallest counterexample": "; ".join(found.counterexamples)
                or f"none among {found.cases:,} cases",
                "remark": claim.remark,
            }
        )
    return pd.DataFrame(lines)


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """A panel for each claim with an axis."""
    shown = rows[rows.kind == SHOWN]
    drawn = [claim for name, claim in CLAIMS.items() if claim.axis and name in {*shown.claim}]
    judged = verdicts(rows)
    down = -(-len(drawn) // 3)
    figure, grid = subplots(down, 3, figsize=(PAGE, 1.95 * down), squeeze=False)
    for axes, claim in zip(grid.flat, drawn, strict=False):
        _panel(axes, claim, shown[shown.claim == claim.name], judged[claim.name])
    for axes in grid.flat[len(drawn) :]:
        axes.set_axis_off()
    figure.suptitle("lines: measured, exactly; dotted: what is claimed", fontsize=7)
    return {"figure": figure}


def _panel(axes: Axes, claim: Claim, rows: pd.DataFrame, found: Verdict) -> None:
    drawn = claim.drawn or tuple(dict.fromkeys(rows.what))
    rows = rows[rows.what.isin(drawn)].assign(x=_along(claim, rows))
    curves = list(dict.fromkeys(rows.curve))[:_CURVES]
    shades = colormaps["viridis"](np.linspace(0, 0.85, len(curves)))
    for curve, shade in zip(curves, shades, strict=True):
        axes.plot([], [], "-", color=shade, label=curve)
    for what, dashes in zip(drawn, _DASHES, strict=False):
        if len(drawn) > 1:
            axes.plot([], [], dashes, color="0.4", lw=1.1, label=what.rpartition(", ")[2])
        for curve, shade in zip(curves, shades, strict=True):
            own = rows[(rows.what == what) & (rows.curve == curve)].sort_values("x")
            axes.plot(own.x, own.measured, dashes, color=shade, lw=1.1, marker=".", ms=2.5)
    for _, each in rows.drop_duplicates(["what", "x"]).sort_values("x").groupby("what"):
        if claim.drawn or each.claimed.nunique() > 1 or len(drawn) == 1:
            axes.plot(each.x, each.claimed, color="black", lw=0.9, dashes=(1, 1), zorder=3)
    _scales(axes, claim, rows)
    axes.set_xlabel(str(claim.axis), fontsize=6, labelpad=1)
    axes.set_ylabel(claim.label, fontsize=6, labelpad=1)
    axes.tick_params(labelsize=6, pad=1)
    place: Literal["upper right", "best"] = "upper right" if claim.axis == "K" else "best"
    axes.legend(loc=place, fontsize=5, handlelength=1.6, labelspacing=0.15, borderaxespad=0.2)
    box = {"facecolor": COLOURS[found.verdict], "lw": 0, "pad": 1.5}
    title = f"{claim.name}\n{found.verdict}"
    axes.set_title(title, fontsize=6.2, pad=4, bbox=box)


def _scales(axes: Axes, claim: Claim, rows: pd.DataFrame) -> None:
    if claim.axis == "success rate":
        axes.set_xscale("logit")
        axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
        axes.set_xlim(rows.x.min() * 0.8, max(0.6, 1 - (1 - rows.x.max()) * 0.8))
    elif claim.axis != "K":
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.xaxis.minorticks_off()
    if rows.measured.min() > 0 and rows.measured.max() > 30 * rows.measured.min():
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(bottom=max(_LOWEST, axes.get_ylim()[0]))


def _along(claim: Claim, rows: pd.DataFrame) -> pd.Series:
    """Where the cases of a panel stand."""
    if claim.axis == "success rate":
        return rows.success
    if claim.axis == "prompts":
        return rows.copies * (rows.rates.str.count(",") + 1)
    return rows.n if claim.axis == "group size" else rows.k
