"""Rules on one prompt as a table for a terminal and as a figure, from the rows of their comparison."""

from __future__ import annotations

import math
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.table import Table

from ..measure.one_prompt import REMEMBERING
from .colours import colour_of
from .style import PAGE, drawing, subplots

#: Endings of files that a figure can be written to.
FORMATS = (".png", ".pdf", ".svg")
#: Rules this near to the best are as good.
NEAR = 0.02
#: Rules that are not unbiased may be far above 1: beyond this they leave the panels.
HIGHEST = 2.0
_SUCCESS_TICKS = (0.001, 0.01, 0.1, 0.5, 0.9)
#: Curves that would cover each other are dashed.
_DASHES = {"pkpo-loo1": (4, 2), "predictive": (1, 1), "plug-in-floor": (4, 2), "centered-replay": (1, 1)}


def table(rows: pd.DataFrame) -> Table:
    """The rules at the prompt's own point, the least noisy first."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("rule", no_wrap=True)
    for name in ("efficiency", "rollouts", "scale", "tr Cov", "sum A", "dead groups"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in _here(rows).to_dict("records"):
        efficiency = row["efficiency"]
        shown.add_row(
            row["rule"],
            _number(efficiency, ".3f"),
            _times(1 / efficiency if efficiency else math.nan),
            f"{row['scale']:.4g}",
            f"{row['trace_covariance']:.4g}",
            f"{row['sum_rms']:.3g}",
            f"{row['dead']:.1%}",
        )
    return shown


def verdict(rows: pd.DataFrame) -> str:
    """Which of the rules that are unbiased for max@K have the least noise at the point, in words."""
    here = _here(rows).dropna(subset="efficiency")
    unbiased = here[here.unbiased]
    said = []
    if not unbiased.empty:
        names, reached = unbiased.rule.tolist(), unbiased.efficiency.tolist()
        near = [name for name, own in zip(names, reached, strict=True) if own >= (1 - NEAR) * reached[0]]
        also = f"; within {NEAR:.0%} of it {', '.join(near[1:])}" if near[1:] else ""
        said.append(f"Least noise here: {names[0]}, at {reached[0]:.3f} of what is possible{also}.")
    others = here[~here.unbiased].rule.tolist()
    if fair := [name for name in others if name in REMEMBERING]:
        said.append(
            f"Unbiased over fair histories alone, not after each, and no part of that: {', '.join(fair)}, "
            f"which may pass 1 for that reason."
        )
    if biased := [name for name in others if name not in REMEMBERING]:
        said.append(
            f"Not unbiased for max@K, and no part of that: {', '.join(biased)}. On one prompt of 0/1 "
            f"rewards the direction is right all the same; the scale changes with p, which weighs prompts."
        )
    return " ".join(said) or "No rule moves anything here."


def draw(rows: pd.DataFrame, title: str) -> Figure:
    """Efficiency against the success rate and against K, the prompt's own point marked."""
    here = rows[rows.part == "here"]
    k, success = int(here.k.iloc[0]), float(here.success.iloc[0])
    figure, (left, right) = subplots(1, 2, figsize=(PAGE, 2.9), sharey=True)
    for axes, part, own in ((left, "success", success), (right, "k", k)):
        axes.axhline(1.0, color="0.3", lw=0.8)
        axes.axvline(own, color="0.6", lw=0.8, ls=":")
        for name, curve in rows[rows.part == part].groupby("rule", sort=False):
            style: dict[str, Any] = {"color": colour_of(str(name)), "dashes": _DASHES.get(str(name), (1, 0))}
            axes.plot(curve[part], curve.efficiency, marker="o" if part == "k" else "", label=name, **style)
            at = here[here.rule == name]
            axes.plot(at[part], at.efficiency, "o", color=style["color"], markersize=5, zorder=3)
    left.set_xscale("logit")
    left.set_xlim(min(0.001, success), max(0.95, success))
    left.set_xticks(_SUCCESS_TICKS, [f"{p:g}" for p in _SUCCESS_TICKS])
    left.set_xticks([], minor=True)
    left.set_xlabel(f"success rate p (K = {k})")
    left.set_ylabel("efficiency (1: least possible variance)")
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.set_xlabel(f"K of max@K (p = {success:g})")
    top = float(np.nanmax([1.0, *rows.efficiency.dropna()]))
    left.set_ylim(0, 1.05 * min(top, HIGHEST))
    # Some rules have a curve on one side alone: they are undefined at the prompt's own K.
    named: dict[str, Any] = {}
    for axes in (left, right):
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=min(len(named), 6))
    figure.suptitle(title, fontsize=8)
    return figure


def drawn(rows: pd.DataFrame, title: str, ending: str) -> bytes:
    """The figure as a file with one of ``FORMATS``' endings."""
    plain = {".png": {"Software": None}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
    buffer = BytesIO()
    with drawing():
        draw(rows, title).savefig(buffer, format=ending[1:], metadata=plain[ending])
    return buffer.getvalue()


def _here(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows.part == "here"].sort_values("efficiency", ascending=False, kind="stable")


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else f"{value:{form}}"


def _times(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f} x" if value < 100 else f"{value:.1e} x"
