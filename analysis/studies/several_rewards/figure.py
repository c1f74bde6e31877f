"""Angles to each objective, where the rules lead, and what verdicts and lengths weigh, from stored rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...output.colours import colour_of
from ...output.style import PAGE, subplots
from .study import OBJECTIVES, RULES, WORTH

#: The objectives as headings.
SHORT = {
    "mean": "mean of\nthe sum",
    "max@k": "max@K of\nthe sum",
    "per-reward:max@k": "sum of\nmax@K",
}
RATE_TICKS = (0.001, 0.01, 0.1, 0.5, 0.9)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per rule and setting: the angle to each objective, its own scale and efficiency."""
    lines = []
    of_objectives = rows[rows.part == "objective"]
    for (n, k, rule), group in of_objectives.groupby(["n", "k", "rule"], sort=False):
        wide = group.pivot_table(index="of", columns="quantity", values="value", dropna=False)
        nearest = str(wide["angle"].idxmin())
        efficiency = float(wide["efficiency"][nearest]) if "efficiency" in wide else np.nan
        lines.append(
            {"rule": rule, "n": n, "K": k}
            | {
                f"angle to {SHORT[of].replace(chr(10), ' ')}": f"{wide['angle'][of]:.2f}°"
                for of in OBJECTIVES
            }
            | {
                "nearest": SHORT[nearest].replace("\n", " "),
                "its scale": f"{wide['scale'][nearest]:.3f}",
                "efficiency": "" if np.isnan(efficiency) else f"{efficiency:.3f}",
            }
        )
    batches = rows[(rows.part == "batch")]
    for (n, prompts, of), group in batches.groupby(["n", "at", "of"], sort=False):
        found = group.set_index("quantity").value
        lines.append(
            {
                "rule": f"GDPO, {of}, P = {prompts:.0f}",
                "n": n,
                "K": 1,
                "angle to mean of the sum": f"{found['angle']:.2f}°",
                "nearest": "mean of the sum",
                "its scale": f"{found['scale']:.3f}",
            }
        )
    return pd.DataFrame(lines).fillna("")


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """``figure``: angles to the objectives and paths; ``weights``: of two verdicts, and opo's angle."""
    k, n = 4, 8
    own = rows[(rows.n == n) & (rows.k == k)]
    headline, (left, right) = subplots(1, 2, figsize=(PAGE, 2.9), width_ratios=(1.15, 1.0))
    _angles(left, own[(own.part == "objective") & (own.quantity == "angle")], n, k)
    _paths(right, own[(own.part == "path") & (own.quantity == "chance")])
    weights, (one, ten, lengths) = subplots(1, 3, figsize=(PAGE, 2.9))
    for axes, worth in zip((one, ten), WORTH, strict=True):
        _weights(axes, own[(own.part == "weight") & (own.quantity == "weight")], worth)
    one.set_ylabel("weight of the second verdict\n(gradient of the first = 1)")
    _lengths(lengths, rows[(rows.part == "length") & (rows.quantity == "angle")])
    handles, labels = one.get_legend_handles_labels()
    weights.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=6.5)
    return {"figure": headline, "weights": weights}


def _colour(rule: str) -> str:
    """That of the rule of one reward in it: dashes tell the sum from the parts."""
    return colour_of(rule.partition(":")[2] or rule)


def _angles(axes: Axes, rows: pd.DataFrame, n: int, k: int) -> None:
    wide = rows.pivot_table(index="rule", columns="of", values="value").reindex(RULES)[list(OBJECTIVES)]
    axes.imshow(np.sqrt(wide), cmap="cividis_r", vmin=0, vmax=5.5, aspect="auto")
    for y, (_, line) in enumerate(wide.iterrows()):
        for x, value in enumerate(line):
            text = "0" if value < 1e-6 else f"{value:.1f}°"
            axes.text(x, y, text, ha="center", va="center", color="white" if value > 9 else "black")
    axes.set_xticks(range(len(OBJECTIVES)), [SHORT[of] for of in OBJECTIVES])
    axes.set_yticks(range(len(RULES)), RULES, family="monospace", fontsize=6.5)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.set_title(f"angle of E[g] to the gradient of  (n = {n}, K = {k})")


def _paths(axes: Axes, rows: pd.DataFrame) -> None:
    for name in RULES:
        wide = rows[rows.rule == name].pivot_table(index="at", columns="of", values="value")
        special = wide["specialist 1"] + wide["specialist 2"]
        dashes = "--" if name.startswith("summed") else "-"
        colour = _colour(name)
        axes.plot(special, wide.generalist, dashes, color=colour, label=name)
        axes.plot(special.iloc[-1], wide.generalist.iloc[-1], "o", color=colour, ms=4, clip_on=False)
    axes.plot([0, 1], [1, 0], color="0.7", lw=0.8)
    axes.set_xlim(0, 1.03)
    axes.set_ylim(0, 1.03)
    axes.set_xlabel("chance of a specialist (1, 0) or (0, 1)")
    axes.set_ylabel("chance of the generalist (.6, .6)")
    axes.set_title("where the expected update leads")
    axes.legend(fontsize=6, loc="upper right")


def _weights(axes: Axes, rows: pd.DataFrame, worth: float) -> None:
    for name in RULES:
        curve = rows[(rows.rule == name) & (rows.of == f"{worth:g}")].sort_values("at")
        dashes = "--" if name.startswith("summed") else "-"
        axes.plot(curve["at"], curve.value, dashes, color=_colour(name), label=name)
    axes.set_xscale("logit")
    axes.set_yscale("log")
    axes.set_ylim(3e-3, 150)
    axes.set_xticks(RATE_TICKS, [f"{p:g}" for p in RATE_TICKS])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("rate of the second verdict")
    axes.set_title(f"worth {worth:g} of the first")


def _lengths(axes: Axes, rows: pd.DataFrame) -> None:
    styles = dict(zip(sorted(rows.n.unique()), (":", "--", "-"), strict=False))
    for n, curve in rows.groupby("n"):
        ordered = curve.sort_values("at")
        axes.plot(ordered["at"], ordered.value, styles[n], color="0.2", label=f"n = {n}")
    axes.set_xscale("log", base=2)
    axes.set_xticks([1 / 16, 1 / 4, 1, 4, 16], ["1/16", "1/4", "1", "4", "16"])
    axes.set_ylim(0, None)
    axes.set_xlabel("length of a right answer\nover that of the others")
    axes.set_title("opo: angle, degrees")
    axes.legend(fontsize=6.5)
