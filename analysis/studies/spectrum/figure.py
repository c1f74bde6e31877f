"""Spectra and weight functions of the notable rules, from stored rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...output.colours import colour_of
from ...output.style import PAGE, subplots

#: Rules whose spectrum is drawn; the table has all.
NOTABLE = (
    "maxpo",
    "rloo",
    "maxrl",
    "maxrl-keep-failures",
    "leader",
    "rloo-reweighted",
    "maxrl-pkpo",
    "pkpo-sum-scale",
    "pkpo-mean-centered",
    "passk-training",
    "verl-grpo-passk",
    "entropic",
    "nemo-grpo",
    "grpo",
)
#: Rules whose weight function is drawn next to pass@K's.
CURVES = (
    "maxpo",
    "rloo",
    "grpo",
    "maxrl",
    "passk-training",
    "maxrl-pkpo",
    "rloo-reweighted",
    "verl-grpo-passk",
)
SUCCESS_TICKS = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99)
#: A weight whose resolution exceeds this is not drawn as a number.
RESOLVED = 1e-6


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The weights lambda_1..lambda_n at K = 4 and the smallest n, exact fractions where they are."""
    weights = rows[(rows.quantity == "weight") & (rows.n == rows.n.min()) & (rows.k == 4)]
    lines = []
    for name, group in weights.groupby("estimator", sort=False):
        exact = group.exact.notna().all()
        shown = group.exact if exact else [f"{value:.4f}" for value in group.value.round(10) + 0.0]
        lines.append(
            {"estimator": name, "exact": "yes" if exact else "no"}
            | {f"pass@{int(k)}": text for k, text in zip(group["at"], shown, strict=True)}
        )
    return pd.DataFrame(lines)


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """``figure``: lambda_k as a matrix, and f(p) next to the weight of pass@K, at K = 4."""
    n = int(rows.n.min())
    at = rows[(rows.n == n) & (rows.k == 4)]
    figure, (left, right) = subplots(1, 2, figsize=(PAGE, 3.6), width_ratios=(1.25, 1.0))
    _matrix(left, at[at.quantity == "weight"], n)
    _weight_functions(right, at[at.quantity == "f"], n)
    return {"figure": figure}


def _matrix(axes: Axes, rows: pd.DataFrame, n: int) -> None:
    wide = rows.pivot_table(index="estimator", columns="at", values="value").reindex(NOTABLE)
    # Signed, on a square-root scale: a weight of 0.05 is visible next to one of 20.
    shown = np.sign(wide) * np.sqrt(wide.abs().clip(upper=4))
    axes.imshow(shown, cmap="RdBu", vmin=-2, vmax=2, aspect="auto")
    for y, (_, line) in enumerate(wide.iterrows()):
        for x, value in enumerate(line):
            if abs(value) > 1e-9:
                text = f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"
                colour = "white" if abs(value) > 2 else "black"
                axes.text(x, y, text, ha="center", va="center", fontsize=6, color=colour)
    axes.set_xticks(range(n), [str(k) for k in range(1, n + 1)])
    axes.set_yticks(range(len(NOTABLE)), NOTABLE, family="monospace", fontsize=6.5)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.set_xlabel("k")
    axes.set_title(f"$\\lambda_k$: the rule climbs $\\Sigma_k \\lambda_k$ pass@k  (n = {n}, K = 4)")


def _weight_functions(axes: Axes, rows: pd.DataFrame, n: int) -> None:
    for name in CURVES:
        curve = rows[rows.estimator == name]
        label = "maxpo: $K(1-p)^{K-1}$" if name == "maxpo" else name
        width = 2.4 if name == "maxpo" else 1.2
        axes.plot(curve["at"], curve["value"], color=colour_of(name), lw=width, label=label)
    axes.set_xscale("logit")
    axes.set_yscale("log")
    axes.set_ylim(1e-3, 30)
    axes.set_xticks(SUCCESS_TICKS, [f"{p:g}" for p in SUCCESS_TICKS])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("success probability p")
    axes.set_title(f"$f(p)$: weight of $\\nabla p$  (n = {n}, K = 4)")
    axes.legend(fontsize=6, loc="lower left", handlelength=1.4, labelspacing=0.3)
