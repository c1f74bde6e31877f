"""The verdict matrix: rules by property, decided from stored rows."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from maxpo_lab import Estimator
from maxpo_lab.estimators import group_estimator
from maxpo_lab.objectives import PREFIX

from ...output.style import PAGE, Verdict, subplots, verdict_legend

#: A cell whose relative bias cannot be told from 0 below this is unresolved, not measured.
UNRESOLVED = 1e-6
#: Rounding: a relative bias, an angle or a relative sum of advantages below this is 0.
ZERO = 1e-10


def verdicts(rows: pd.DataFrame) -> dict[str, dict[str, Verdict]]:
    """What the rows say of each rule: property by rule, the worst cell deciding."""
    return {str(name): _decide(group) for name, group in rows.groupby("estimator", sort=False)}


def _decide(rows: pd.DataFrame) -> dict[str, Verdict]:
    defined = rows[rows.undefined.isna()]
    resolved = defined[defined.bias_resolution <= UNRESOLVED]
    floor = resolved.bias_resolution.clip(lower=ZERO)
    unbiased = bool((resolved.relative_bias <= floor).all())
    # No direction is no error: E g = 0 is told by the scale.
    straight = bool((resolved.direction_error.isna() | (resolved.direction_error <= floor)).all())
    at_each = resolved.groupby(["n", "k"]).scale
    constant = bool((at_each.max() - at_each.min() <= 2 * floor.max()).all())
    centered = bool((defined.advantage_sum <= 1e-12).all())
    low, high = resolved.scale.min(), resolved.scale.max()
    bias = _bias_verdict(unbiased=unbiased, straight=straight, constant=constant)
    return {
        "bias": Verdict(bias, "0" if unbiased else _number(resolved.relative_bias.max())),
        "scale": Verdict(
            "holds" if unbiased else "other scale" if constant else "policy",
            f"{low:.3g}" if high - low <= 2 * floor.max() else f"{low:.3g} to {high:.3g}",
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


def _bias_verdict(*, unbiased: bool, straight: bool, constant: bool) -> str:
    if unbiased:
        return "holds"
    if not straight:
        return "fails"
    return "other scale" if constant else "policy"


def _number(value: float) -> str:
    if 100 <= value < 1e5:
        return f"{value:,.0f}"
    return f"{value:.2g}" if 1e-3 <= value < 100 else f"{value:.0e}"


#: What the colour of the bias column says.
MEANING = {
    "holds": "unbiased",
    "other scale": "exact direction, other scale",
    "policy": "exact direction, scale depends on the policy",
    "fails": "biased in direction",
}


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The truth table: one line per rule, the worst case over all cells in each column."""
    lines = []
    for name, decided in verdicts(rows).items():
        rule = group_estimator(name)
        lines.append(
            {
                "estimator": name,
                "objective": rule.objective,
                "verdict": MEANING[decided["bias"].verdict],
                "relative bias (worst)": decided["bias"].text,
                "scale": decided["scale"].text,
                "direction error (worst)": decided["direction"].text,
                "centered": "yes" if decided["sum"].verdict == "holds" else "no",
                "|sum A| / (K max R) (worst)": decided["sum"].text,
                "defined for": valid_range(rule),
                "rewards": {"real": "any", "unit": "in [0, 1]", "binary": "0/1"}[rule.domain],
                "cells resolved": decided["resolved"].text,
                "citation": rule.citation,
            }
        )
    return pd.DataFrame(lines)


def valid_range(rule: Estimator) -> str:
    """Where a rule is defined, read off a group of eight (every rule's range is an interval)."""
    n = 8
    if not rule.uses_k:
        return f"n >= {next(size for size in range(1, n + 1) if rule.why_not(size, 1) is None)}"
    valid = [k for k in range(1, rule.largest_k(n) + 1) if rule.why_not(n, k) is None]
    return f"{valid[0]} <= K <= { ({2 * n: '2n', n: 'n', n - 1: 'n-1'}[valid[-1]]) }"


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
    figure, axes = subplots(figsize=(PAGE, 0.2 * len(matrix) + 1.0))
    for y, (name, decided) in enumerate(matrix.items()):
        objective = group_estimator(name).objective
        for x, key in enumerate(COLUMNS):
            cell = decided[key]
            box = Rectangle((x, y), 1, 1, facecolor=cell.colour, edgecolor="white", lw=1.2)
            axes.add_patch(box)
            axes.text(x + 0.5, y + 0.53, cell.text, ha="center", va="center", fontsize=6.8)
        label = name.removeprefix(PREFIX)
        axes.text(-0.05, y + 0.53, label, ha="right", va="center", fontsize=7, family="monospace")
        target = "L-statistic" if objective.startswith(PREFIX) else objective
        axes.text(-1.72, y + 0.53, target, ha="right", va="center", fontsize=6.8, color="0.35")
    for x, label in enumerate(COLUMNS.values()):
        axes.text(x + 0.5, -0.15, label, ha="center", va="bottom", fontsize=7)
    axes.text(-1.72, -0.15, "measured\nagainst", ha="right", va="bottom", fontsize=7)
    axes.set(xlim=(-2.2, len(COLUMNS)), ylim=(len(matrix) + 0.05, -1.9))
    axes.axis("off")
    verdict_legend(axes, LEGEND)
    return {"figure": figure}


LEGEND = {
    "holds": "exact",
    "other scale": "scale set by n and K",
    "policy": "scale depends on the policy",
    "fails": "does not hold",
}
