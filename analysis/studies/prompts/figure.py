"""Weight by difficulty, and noise to signal of a batch, from stored rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...output.colours import colour_of
from ...output.style import PAGE, subplots

CURVES = ("maxpo", "rloo", "grpo", "maxrl", "passk-training", "maxrl-pkpo", "verl-grpo-passk")


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per rule and setting: scale on the hardest and easiest prompt, direction, noise to signal."""
    lines = []
    for _, group in rows.groupby(["n", "k", "estimator"], sort=False):
        ordered = group.sort_values("success")
        first, last = ordered.iloc[0], ordered.iloc[-1]
        error = first.direction_error
        lines.append(
            {
                "n": first.n,
                "K": first.k,
                "estimator": first.estimator,
                "scale, hardest": first.scale,
                "scale, easiest": last.scale,
                "direction error": f"{error:.2g} rad" if error > 1e-9 else "0",
                "noise/signal within prompts": first["within"],
                "between prompts": first["between"],
            }
        )
    return pd.DataFrame(lines)


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """Left: weight given to a prompt against its success rate; right: noise to signal of the batch."""
    n, k = rows.n.iloc[0], rows.k.iloc[0]
    at = rows[(rows.n == n) & (rows.k == k)]
    figure, (left, right) = subplots(1, 2, figsize=(PAGE, 3.1))
    _weights(left, at)
    # verl-grpo-passk is in the table: its noise is ten times the others' and would hide them.
    _noise(right, at[at.estimator != "verl-grpo-passk"].groupby("estimator", sort=False).first())
    title = f"{at.prompts.iloc[0]} prompts, success probability 0.001 to 0.9, n = {n}, K = {k}"
    figure.suptitle(title, fontsize=8)
    return {"figure": figure}


def _weights(axes: Axes, rows: pd.DataFrame) -> None:
    for name in CURVES:
        curve = rows[rows.estimator == name]
        label = "maxpo, every unbiased rule" if name == "maxpo" else name
        # Over the hardest prompt's weight: a common factor is a matter of the step size.
        weight = curve.scale / curve.scale.iloc[0]
        axes.plot(curve.success, weight, "o-", color=colour_of(name), label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(1e-3, 2e3)
    axes.set_xlabel("success probability of the prompt")
    axes.set_ylabel("weight of its pass@K gradient\n(hardest prompt = 1)")
    axes.legend(fontsize=6, loc="lower left")


def _noise(axes: Axes, batch: pd.DataFrame) -> None:
    place = np.arange(len(batch))[::-1]
    between = batch["between"]
    total = batch.within + between
    axes.barh(place, batch.within, color="#88ccee", label="within prompts")
    axes.barh(place, between, left=batch.within, color="#ddcc77", label="between prompts")
    for y, error, end in zip(place, batch.direction_error, total, strict=True):
        text = f"{error:.2f} rad" if error > 1e-9 else "exact"
        axes.text(end + 0.01 * total.max(), y, text, va="center", fontsize=6)
    axes.set_yticks(place, list(batch.index), family="monospace", fontsize=6.5)
    axes.set_xlim(0, 1.2 * float(total.max()))
    axes.set_xlabel(
        "tr Cov / |c grad J|$^2$ of a batch of 8 prompts\n(beside the bar: error of its direction)"
    )
    axes.grid(visible=False, axis="y")
    axes.legend(fontsize=6, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2)
