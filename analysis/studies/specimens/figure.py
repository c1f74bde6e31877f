"""The worst relative bias of the rules claimed to be unbiased, by specimen and group size."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure

from ...output.style import PAGE, subplots

#: A relative bias below this, or below its resolution, is none.
ZERO = 1e-9
#: What is 0 to the last bit is drawn here.
_LEFT = 1e-17


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per specimen: its size, how far its moments are exact, and the worst relative bias."""
    lines = []
    for name, group in rows.groupby("specimen", sort=False):
        exact = group[group.black_box == "exact"]
        bad = group.relative_bias > group.bias_resolution.clip(lower=ZERO)
        first, worst = group.iloc[0], group.iloc[int(group.relative_bias.to_numpy().argmax())]
        lines.append(
            {
                "specimen": name,
                "parameters": first.parameters,
                "prompts": first.prompts,
                "levels": first.levels,
                "any rule, n up to": str(exact.n.max()) if len(exact) else "sampled",
                "rank-linear rules, n up to": str(group.n.max()),
                "rules x n": len(group),
                "relative bias (worst)": worst.relative_bias,
                "its resolution": worst.bias_resolution,
                "biased": int(bad.sum()),
            }
        )
    return pd.DataFrame(lines).sort_values("levels", kind="stable")


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """Relative bias of every rule, by specimen; colour is the group size."""
    names = list(table(rows).specimen)
    sizes = sorted(rows.n.unique())
    colours = colormaps["viridis_r"](np.linspace(0.1, 0.95, len(sizes)))
    figure, axes = subplots(figsize=(PAGE, 0.24 * len(names) + 1.0))
    for n, colour in zip(sizes, colours, strict=True):
        at = rows[rows.n == n]
        place = at.specimen.map(names.index) + np.linspace(-0.3, 0.3, len(sizes))[sizes.index(n)]
        bias = at.relative_bias.clip(lower=_LEFT)
        axes.plot(bias, place, "o", ms=2.4, mew=0, alpha=0.7, color=colour, label=f"n = {n}")
    axes.axvline(ZERO, color="0.3", lw=0.8, ls="--")
    axes.set_xscale("log")
    ticks = [10.0**power for power in range(-17, -8, 2)]
    axes.set_xticks(ticks, ["0", *(f"$10^{{{power}}}$" for power in range(-15, -8, 2))])
    levels = rows.groupby("specimen").levels.first()
    axes.set_yticks(range(len(names)), [f"{name}  (L = {levels[name]})" for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(
        r"relative bias $|E g - \nabla J|\,/\,|\nabla J|$ of each rule claimed to be unbiased, at its worst K"
    )
    figure.legend(loc="outside upper center", ncols=len(sizes), columnspacing=1.0, handletextpad=0.2)
    return {"figure": figure}
