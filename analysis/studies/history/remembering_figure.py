"""Rules of others that remember: weight and efficiency of each prompt, and the direction of the batch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from ...output.style import PAGE, subplots
from .rows import MANY, RATES

#: Colour and dashes of a rule; SPO's is of single rollouts.
RULES: Mapping[str, tuple[str, str]] = {
    "rloo": ("#56b4e9", "-"),
    "grpo": ("#e69f00", "-"),
    "rae": ("#0072b2", "--"),
    "spo:whiten=0": ("#000000", "--"),
    "spo": ("#000000", "-"),
    "dbb": ("#cc79a7", "-"),
    "curverl": ("#009e73", "-"),
    "ha-dw": ("#d55e00", "-"),
    "ebpo": ("#882255", ":"),
}
#: A history, by its marker and colour where rules are not told by theirs.
HISTORIES: Mapping[str, tuple[str, str]] = dict(
    zip(RATES, (("o", "#332288"), ("v", "#117733"), ("^", "#ddaa33"), ("s", "#cc6677")), strict=True)
)
#: Prompts of the panels by success rate.
PROMPTS = 8
#: An angle below this is none.
_NONE = 1e-9


def remembering(rows: pd.DataFrame) -> Figure:
    """Above: weights after fair and adversarial histories, whitened SPO over P; below: efficiency, angles."""
    figure, grid = subplots(2, 3, figsize=(PAGE, 4.9))
    many = rows[rows.space == MANY]
    shown = many[many.prompts == min(PROMPTS, many.prompts[many.n == 1].max())]
    shown = pd.concat([many[(many.n > 1)], shown[(shown.n == 1) & shown.rule.str.startswith("spo")]])
    for column, history in enumerate(each for each in ("fair", "1 - p") if each in set(rows.history)):
        panel = shown[shown.history == history]
        for line, (axes, what) in enumerate(zip(grid[:, column], ("scale", "efficiency"), strict=True)):
            for rule, (colour, dashes) in RULES.items():
                curve = panel[panel.rule == rule]
                axes.plot(curve.success, curve[what], dashes, color=colour)
            _by_rate(axes)
            if line == 0:
                axes.set_title(f"{_words(history)}\nweight of a prompt (1 is right)")
                axes.set_yscale("log")
                axes.set_ylim(0.04, 10)
                ticks = (0.1, 0.3, 1, 3)
                axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
                axes.yaxis.set_minor_locator(NullLocator())
            else:
                axes.set_title("efficiency of a prompt")
                axes.set_ylim(0, 1.05)
                axes.set_xlabel("success probability p")
    _whitened(grid[0][2], many[many.rule == "spo"])
    _angles(grid[1][2], shown)
    entries = [Line2D([], [], color=colour, ls=dashes) for colour, dashes in RULES.values()]
    names = [f"{rule} (n = 1)" if rule.startswith("spo") else rule for rule in RULES]
    figure.legend(entries, names, loc="outside upper center", ncols=5, fontsize=6.5)
    return figure


def _whitened(axes: Axes, rows: pd.DataFrame) -> None:
    """The angle that whitening makes, over the number of prompts."""
    for history, (marker, colour) in HISTORIES.items():
        curve = rows[rows.history == history].groupby("prompts").angle.first()
        axes.plot(curve.index, curve, marker=marker, ms=3, color=colour, label=_words(history))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    sizes = sorted(rows.prompts.unique())
    axes.set_xticks(sizes, [f"{size}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("prompts in a batch, P")
    axes.set_title("angle of whitened spo, rad\n(spo:whiten=0: none)")
    axes.legend(fontsize=6)


def _angles(axes: Axes, rows: pd.DataFrame) -> None:
    """The angle of the batch's mean gradient to the exact one, a line a rule, a marker a history."""
    every = rows.groupby(["rule", "history"], sort=False).angle.first()
    turned = [rule for rule in RULES if every[rule].max() > _NONE]
    for history, (marker, colour) in HISTORIES.items():
        at = [every[rule].get(history, np.nan) for rule in turned]
        axes.plot(at, range(len(turned)), marker, ms=4, color=colour, label=_words(history))
    axes.set_yticks(range(len(turned)), turned)
    axes.set_ylim(len(turned) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("rad")
    axes.set_title(f"angle of the batch (P = {PROMPTS},\nn = {rows.n.max()}; spo n = 1)")
    entries: list[Artist] = [
        Line2D([], [], color=colour, marker=marker, ls="", ms=4, label=_words(history))
        for history, (marker, colour) in HISTORIES.items()
    ]
    axes.legend(handles=entries, fontsize=6, loc="lower right")


def _words(history: str) -> str:
    return {"fair": "fair history", "1 - p": "history of 1 - p"}.get(history, f"history {history}")


def _by_rate(axes: Axes) -> None:
    axes.set_xscale("logit")
    ticks = (0.01, 0.1, 0.5, 0.9)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
