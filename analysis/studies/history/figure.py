"""What to use, and the efficiency of rules with history, from stored rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from ...output.colours import colour_of
from ...output.style import PAGE, subplots
from .curves import SHOWN
from .path import PLUG_IN, SPACES
from .remembering_figure import remembering
from .rows import MANY, ONE, RATES

TICKS = (0.001, 0.01, 0.1, 0.5, 0.9)
#: Rules that are unbiased whatever the history, the simplest first; one this near the best is as good.
NEAR = 0.01
SAFE = ("maxpo", "pkpo-loo1", "replay", "plug-in-floor")
SHORT = {"maxpo": "maxpo", "pkpo-loo1": "loo1", "replay": "replay", "plug-in-floor": "plug-in"}
#: Colours of the two ways to learn lambda, which are no rules of their own.
LEARNED = {"leave-one-out": "#e69f00", "moving average": "#009e73"}


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """What to use: the first of ``SAFE`` within ``NEAR`` of the best, by n, K, fair history and rate."""
    curve = rows[(rows.part == "curve") & rows.history.isin(["none", "fair"]) & rows.rule.isin(SAFE)]
    lines = []
    for (space, n, k), panel in curve.groupby(["space", "n", "k"], sort=False):
        for m in sorted(panel.m.unique()):
            usable = panel[panel.m.isin([0, m])]
            line = {"correct": space, "n": n, "K": k, "history": m}
            for p in SHOWN:
                at = usable[usable.success == p]
                near = at[at.efficiency >= at.efficiency.max() - NEAR].set_index("rule").efficiency
                use = next(rule for rule in SAFE if rule in near)
                line[f"p = {p:g}"] = f"{SHORT[use]} {near[use]:.2f}"
            lines.append(line)
    return pd.DataFrame(lines)


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """``figure``, ``one``: fair history, many answers or one; ``stale``, ``path``, ``memory``: others."""
    curve = rows[rows.part == "curve"]
    return {
        "figure": _fair(curve[curve.space == MANY]),
        "one": _one(curve[curve.space == ONE]),
        "stale": _stale(curve[curve.space == MANY], rows[rows.part == "batch"]),
        "path": _paths(rows[rows.part == "path"]),
        "memory": remembering(rows[rows.part == "memory"]),
    }


def _fair(rows: pd.DataFrame) -> Figure:
    sizes, most = sorted(rows.n.unique()), max(rows.groupby("n").k.nunique())
    figure, grid = subplots(
        len(sizes), most, figsize=(PAGE, 1.6 * len(sizes) + 0.9), sharey=True, squeeze=False
    )
    for line, n in zip(grid, sizes, strict=True):
        ks = sorted(rows[rows.n == n].k.unique())
        for axes, k in zip(line, ks, strict=False):
            panel = rows[(rows.n == n) & (rows.k == k)]
            _without(axes, panel)
            _by_length(axes, panel, "replay")
            centered = panel[
                (panel.rule == "centered-replay") & (panel.history == "fair") & (panel.m == 4 * n)
            ]
            axes.plot(
                centered.success, centered.efficiency, ":", color="#009e73", label="centered-replay, m = 4n"
            )
            axes.set_title(f"n = {n}, K = {k}")
            _rates(axes)
            axes.set_ylim(0.5, 1.06)
        for axes in line[len(ks) :]:
            axes.set_axis_off()
        line[0].set_ylabel("efficiency")
    for axes in grid[-1]:
        axes.set_xlabel("success probability p")
    _legend(figure, grid, ncols=3)
    return figure


def _one(rows: pd.DataFrame) -> Figure:
    n = rows.n.max()
    ks = sorted(rows[rows.n == n].k.unique())
    figure, grid = subplots(1, len(ks), figsize=(PAGE, 2.5), sharey=True, squeeze=False)
    for axes, k in zip(grid[0], ks, strict=True):
        panel = rows[(rows.n == n) & (rows.k == k)]
        _without(axes, panel)
        _by_length(axes, panel, "plug-in-floor")
        _by_length(axes, panel[panel.m.isin([0, 4 * n])], "replay")
        axes.set_title(f"n = {n}, K = {k}")
        axes.set_xlabel("success probability p")
        _rates(axes)
    grid[0][0].set_ylabel(f"{ONE} correct\nefficiency")
    _legend(figure, grid, ncols=3)
    return figure


def _stale(curve: pd.DataFrame, batch: pd.DataFrame) -> Figure:
    n, k = curve.n.max(), 4
    m = 4 * n
    figure, (left, right) = subplots(1, 2, figsize=(PAGE, 2.9), width_ratios=(1, 1.35))
    panel = curve[(curve.n == n) & (curve.k == k)]
    _without(left, panel[panel.rule == "maxpo"])
    for history, dashes in zip(RATES, ("-", "--", "-.", ":"), strict=True):
        at = panel[(panel.rule == "replay") & (panel.m == m) & (panel.history == history)]
        left.plot(at.success, at.efficiency, dashes, color=colour_of("replay"), label=_words(history))
    left.set_title(f"replay, fixed lambda, n = {n}, K = {k}, m = {m}")
    left.set_xlabel("success probability p")
    left.set_ylabel("efficiency")
    _rates(left)
    left.legend(fontsize=6.5, loc="center left", bbox_to_anchor=(0.0, 0.6))
    _batches(right, batch)
    return figure


def _batches(axes: Axes, rows: pd.DataFrame) -> None:
    """One line per setting and history, one mark per way to choose lambda."""
    rows = rows[(rows.m == 4 * rows.n) & (rows.k == 4)]
    settings = list(rows.groupby(["n", "k", "m", "history"], sort=False))
    marks = {
        "maxpo": ("maxpo", "|", colour_of("maxpo")),
        "replay": ("fixed lambda", "D", colour_of("replay")),
        **{rule: (f"learned, {rule}", "o", colour) for rule, colour in LEARNED.items()},
    }
    for place, (_, group) in enumerate(settings):
        for rule, (label, mark, colour) in marks.items():
            at = group[group.rule == rule].sort_values("prompts")
            shown = at if rule in LEARNED else at.iloc[:1]
            for prompts, efficiency in zip(shown.prompts, shown.efficiency, strict=True):
                small = rule in LEARNED and prompts < rows.prompts.max()
                axes.plot(
                    efficiency,
                    -place,
                    mark,
                    color=colour,
                    markerfacecolor="white" if small else colour,
                    markersize=9 if mark == "|" else 4,
                    markeredgewidth=2 if mark == "|" else 1,
                    label=label if place == 0 and not small else None,
                )
    names = [f"n = {n}, {_words(str(history))}" for (n, _, _, history), _ in settings]
    axes.set_yticks(-np.arange(len(names)), names)
    axes.set_xlim(0.75, 1.0)
    axes.set_xlabel("efficiency of the batch gradient (below 0.75 not shown)")
    axes.set_title("batches, K = 4, m = 4n (open: 8 prompts, full: 32)")
    axes.legend(fontsize=6.5, loc="lower left", frameon=True)


def _paths(rows: pd.DataFrame) -> Figure:
    visits = sorted(rows.visits.unique())
    shown = visits[len(visits) // 2]
    spaces, ks = [each for each in SPACES if each in {*rows.space}], sorted(rows.k.unique())
    figure, grid = subplots(
        len(ks), len(spaces), figsize=(PAGE, 1.6 * len(ks) + 0.9), sharex=True, sharey=True, squeeze=False
    )
    for line, k in zip(grid, ks, strict=True):
        for axes, space in zip(line, spaces, strict=True):
            panel = rows[(rows.k == k) & (rows.space == space) & (rows.visits == shown)]
            _without(axes, panel)
            for history, dashes in (("last 4 visits", "-"), ("last 16 visits", "--")):
                at = panel[(panel.rule == "replay") & (panel.history == history)]
                axes.plot(
                    at.success, at.efficiency, dashes, color=colour_of("replay"), label=f"replay, {history}"
                )
            at = panel[panel.rule == "plug-in-floor"]
            axes.plot(at.success, at.efficiency, color=_PLUG_IN, label=f"plug-in-floor, {PLUG_IN}")
            axes.set_title(f"{space}, n = {panel.n.iloc[0]}, K = {k}")
            _rates(axes, TICKS[1:])
        line[0].set_ylabel("efficiency")
    for axes in grid[-1]:
        axes.set_xlabel("success probability")
    _legend(figure, grid, ncols=3)
    return figure


_PLUG_IN = "#117733"


def _without(axes: Axes, panel: pd.DataFrame) -> None:
    """The rules that look at no history, and the floor."""
    axes.axhline(1.0, color="0.3", lw=0.8)
    for rule in ("maxpo", "pkpo-loo1"):
        at = panel[panel.rule == rule]
        if len(at):
            axes.plot(at.success, at.efficiency, color=colour_of(rule), lw=1.1, label=f"{rule}, no history")


def _by_length(axes: Axes, panel: pd.DataFrame, rule: str) -> None:
    """A rule at each length of fair history, the longer the darker."""
    at = panel[(panel.rule == rule) & (panel.history == "fair")]
    colour = _PLUG_IN if rule == "plug-in-floor" else colour_of(rule)
    lengths = sorted(at.m.unique())
    for share, m in zip(_shades(len(lengths)), lengths, strict=True):
        curve = at[at.m == m]
        times = m // curve.n.iloc[0]
        label = f"{rule}, m = {'' if times == 1 else times}n"
        axes.plot(curve.success, curve.efficiency, color=_paler(colour, share), label=label)


def _shades(number: int) -> Sequence[float]:
    return [1.0 - 0.3 * step for step in reversed(range(number))]


def _paler(colour: str, share: float) -> tuple[float, ...]:
    return tuple(share * part + 1 - share for part in to_rgb(colour))


def _words(history: str) -> str:
    return {"fair": "fair history", "1 - p": "history of 1 - p"}.get(history, f"history {history}")


def _rates(axes: Axes, ticks: Sequence[float] = TICKS) -> None:
    axes.set_xscale("logit")
    axes.set_xticks(ticks, [f"{p:g}" for p in ticks])
    axes.set_xticks([], minor=True)
    axes.set_ylim(0, 1.09)


def _legend(figure: Figure, grid: np.ndarray, *, ncols: int) -> None:
    """One legend of all that any panel shows."""
    entries: dict[str, Artist] = {}
    for axes in grid.ravel():
        handles, labels = axes.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    figure.legend(
        list(entries.values()), list(entries), loc="outside upper center", ncols=ncols, fontsize=6.5
    )
