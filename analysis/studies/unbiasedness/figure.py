"""The verdict matrix: rules by property, decided from stored rows."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from maxpo_lab import get_estimator

from ...figures import PAGE, VERDICTS

#: A cell whose relative bias cannot be told from 0 below this is unresolved, not measured.
UNRESOLVED = 1e-6
#: Rounding: a relative bias, an angle or a relative sum of advantages below this is 0.
ZERO = 1e-10


@dataclass(frozen=True)
class Verdict:
    """One property of one rule: what was measured, and what that says."""

    verdict: str
    text: str


def verdicts(rows: pd.DataFrame) -> dict[str, dict[str, Verdict]]:
    """What the rows say of each rule: property by rule, the worst cell deciding."""
    return {str(name): _decide(group) for name, group in rows.groupby("estimator", sort=False)}


def _decide(rows: pd.DataFrame) -> dict[str, Verdict]:
    defined = rows[rows.undefined.isna()]
    resolved = defined[defined.bias_resolution <= UNRESOLVED]
    floor = resolved.bias_resolution.clip(lower=ZERO)
    unbiased = bool((resolved.relative_bias <= floor).all())
    straight = bool((resolved.direction_error <= floor).all())
    centered = bool((defined.advantage_sum <= 1e-12).all())
    low, high = resolved.scale.min(), resolved.scale.max()
    constant = high - low <= 2 * floor.max()
    return {
        "bias": Verdict(
            "holds" if unbiased else "other scale" if straight else "fails",
            "0" if unbiased else _number(resolved.relative_bias.max()),
        ),
        "scale": Verdict(
            "holds" if unbiased else "other scale",
            f"{low:.3g}" if constant else f"{low:.3g} to {high:.3g}",
        ),
        "direction": Verdict(
            "holds" if straight else "fails",
            "0" if straight else f"{_number(resolved.direction_error.max())} rad",
        ),
        "sum": Verdict(
            "holds" if centered else "fails", "0" if centered else _number(defined.advantage_sum.max())
        ),
        "resolved": Verdict("not claimed", f"{len(resolved)} / {len(defined)}"),
    }


def _number(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-3 else f"{value:.0e}"


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The truth table: one line a rule, the worst case over all cells in each column."""
    lines = []
    for name, decided in verdicts(rows).items():
        rule = get_estimator(name)
        bias = decided["bias"]
        lines.append(
            {
                "estimator": name,
                "objective": rule.objective,
                "verdict": {
                    "holds": "unbiased",
                    "other scale": "exact direction, other scale",
                    "fails": "biased",
                }[bias.verdict],
                "relative bias (worst)": bias.text,
                "scale": decided["scale"].text,
                "direction error (worst)": decided["direction"].text,
                "centered": "yes" if decided["sum"].verdict == "holds" else "no",
                "|sum A| / (K max R) (worst)": decided["sum"].text,
                "cells resolved": decided["resolved"].text,
                "citation": rule.citation,
            }
        )
    return pd.DataFrame(lines)


COLUMNS = {
    "bias": "relative bias\n(worst)",
    "scale": "scale\n$\\langle E g, \\nabla J\\rangle / |\\nabla J|^2$",
    "direction": "direction error\n(worst)",
    "sum": "$|\\Sigma_i A_i|\\,/\\,(K \\max R)$\n(worst group)",
    "resolved": "cells\nresolved",
}


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """The matrix of rules by property, coloured by verdict."""
    matrix = verdicts(rows)
    figure, axes = plt.subplots(figsize=(PAGE, 0.27 * len(matrix) + 1.0))
    for y, (name, decided) in enumerate(matrix.items()):
        rule = get_estimator(name)
        for x, key in enumerate(COLUMNS):
            cell = decided[key]
            box = Rectangle((x, y), 1, 1, facecolor=VERDICTS[cell.verdict], edgecolor="white", lw=1.5)
            axes.add_patch(box)
            axes.text(x + 0.5, y + 0.52, cell.text, ha="center", va="center", fontsize=7.5)
        axes.text(-0.06, y + 0.52, name, ha="right", va="center", fontsize=8, family="monospace")
        axes.text(-0.98, y + 0.52, rule.objective, ha="center", va="center", fontsize=7.5, color="0.35")
    for x, label in enumerate(COLUMNS.values()):
        axes.text(x + 0.5, -0.12, label, ha="center", va="bottom", fontsize=7.5)
    axes.text(-0.98, -0.12, "objective", ha="center", va="bottom", fontsize=7.5)
    axes.set(xlim=(-1.25, len(COLUMNS)), ylim=(len(matrix) + 0.05, -1.0))
    axes.axis("off")
    labels = {"holds": "exact", "other scale": "exact direction, other scale", "fails": "does not hold"}
    axes.legend(
        handles=[Patch(facecolor=VERDICTS[key], label=label) for key, label in labels.items()],
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=3,
        handlelength=1.2,
        handleheight=1.0,
    )
    return {"figure": figure}
