"""Bias and noise for K > n, on a prompt and in a batch, from stored rows."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...output.style import PAGE, subplots
from .study import SHOWN
from .subjects import BY_GROUP, BY_OTHERS, CHEBYSHEV, CLIPPED, LARGER

#: Colour and line of each rule.
LOOKS: Mapping[str, tuple[str, str]] = {
    LARGER: ("0.3", "-"),
    CHEBYSHEV: ("#b15928", "-"),
    "pooled, fair": ("#0072b2", "-"),
    "pooled, x 0.7": ("#56b4e9", "--"),
    "pooled, x 2": ("#56b4e9", ":"),
    CLIPPED: ("#d55e00", "-"),
    BY_GROUP: ("#009e73", "-"),
    BY_OTHERS: ("#e69f00", "-"),
}
#: A bias below this is 0 to rounding.
LEAST = 1e-9


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per n, K and rule: bias, angle and noise of the batch, scale and noise on two prompts."""
    lines = []
    prompts = rows[(rows.part == "prompt") & rows.success.isin(SHOWN)].set_index(
        ["n", "k", "rule", "success"]
    )
    for _, row in rows[(rows.part == "batch") & (rows.rule != LARGER)].iterrows():
        at = {p: prompts.xs((row.n, row.k, row.rule, p)) for p in SHOWN}
        scales = {f"scale, p = {p:g}": f"{each.scale:.3g}" for p, each in at.items()}
        noises = {f"noise, p = {p:g}": f"{each.noise:.3g}" for p, each in at.items()}
        line = {"n": row.n, "K": row.k, "rule": row.rule, "bias of a batch": _shown(row.bias)}
        lines.append(
            line | {"angle": f"{_shown(row.angle)} rad", "noise": f"{row.noise:.3g}"} | scales | noises
        )
    return pd.DataFrame(lines)


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """``figure``: batches, against K/n; ``prompts``: weight and noise against the success rate."""
    return {"figure": _batches(rows), "prompts": _prompts(rows[rows.part == "prompt"])}


def _batches(rows: pd.DataFrame) -> Figure:
    n = rows.n.max()
    figure, (bias, noise, series) = subplots(1, 3, figsize=(PAGE, 2.9))
    batch = rows[(rows.part == "batch") & (rows.n == n)]
    for rule, (colour, line) in LOOKS.items():
        at = batch[batch.rule == rule]
        if rule != LARGER:
            shown = at[at.bias > LEAST]
            bias.plot(shown.k / n, shown.bias, line, marker="o", color=colour)
        noise.plot(at.k / n, at.noise, line, marker="o", color=colour, label=rule)
    bias.set_title(f"bias of a batch, n = {n}")
    bias.set_ylabel("|E g - grad J| / |grad J|")
    noise.set_title(f"noise of a batch, n = {n}")
    noise.set_ylabel("tr Cov / scale$^2$, group of K = 1")
    of_series = rows[rows.part == "series"]
    for size, line in zip(
        sorted(of_series.n.unique()), ("--", "-") if of_series.n.nunique() > 1 else "-", strict=True
    ):
        at = of_series[of_series.n == size]
        shown = at[at.bias > LEAST]
        series.plot(at.k / size, at.noise, line, marker="o", color="0.3", label=f"max |d| / K, n = {size}")
        series.plot(
            shown.k / size,
            shown.bias,
            line,
            marker="o",
            color=LOOKS[CHEBYSHEV][0],
            label=f"sup bias / K, n = {size}",
        )
    series.set_title("the Chebyshev series")
    series.legend(fontsize=6, loc="lower right", handlelength=3, markerscale=0.6)
    for axes in (bias, noise, series):
        axes.set_yscale("log")
        axes.set_xlabel("K / n")
    handles, labels = noise.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=4, fontsize=6.5, handlelength=4, markerscale=0.6
    )
    return figure


def _prompts(rows: pd.DataFrame) -> Figure:
    n = rows.n.max()
    ks = sorted(rows[(rows.n == n) & (rows.k > n)].k.unique())
    ks = [k for k in ks if k in {round(1.5 * n), 2 * n, 4 * n}]
    figure, grid = subplots(2, len(ks), figsize=(PAGE, 4.3), sharex=True, sharey="row", squeeze=False)
    for (weight, noise), k in zip(grid.T, ks, strict=True):
        panel = rows[(rows.n == n) & (rows.k == k)]
        for rule, (colour, line) in LOOKS.items():
            at = panel[panel.rule == rule]
            if len(at):
                target = at.k * (1 - at.success) ** (at.k - 1)
                # Under those that lie on it.
                wide = {"lw": 4.0, "alpha": 0.5} if rule == LARGER else {}
                weight.plot(at.success, at.scale * target / k, line, color=colour, label=_named(rule), **wide)
                # Where next to nothing is left of the gradient its noise says nothing.
                left = target / k > 1e-3
                noise.plot(at.success[left], at.noise[left], line, color=colour)
        weight.set_title(f"n = {n}, K = {k}")
        noise.set_yscale("log")
        noise.set_ylim(0.03, 30)
        noise.set_xlabel("success probability p")
        _rates(noise)
    grid[0][0].set_ylabel("weight f(p) / K")
    grid[1][0].set_ylabel("tr Cov / scale$^2$, group of K = 1")
    entries = {
        label: handle
        for axes in grid[0]
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(entries.values()), list(entries), loc="outside upper center", ncols=4, fontsize=6.5)
    return figure


def _named(rule: str) -> str:
    return f"{rule}, pass@K" if rule == LARGER else rule


def _rates(axes: Axes) -> None:
    axes.set_xscale("log")
    ticks = (0.001, 0.01, 0.1, 0.9)
    axes.set_xticks(ticks, [f"{p:g}" for p in ticks])
    axes.set_xticks([], minor=True)


def _shown(value: float) -> str:
    return "0" if value < LEAST else f"{value:.2g}"
