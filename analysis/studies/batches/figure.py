"""Angle, weights, noise and bias against the number of prompts, from stored rows."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from ...output.colours import colour_of
from ...output.style import PAGE, subplots
from .study import BETA, DIFFICULTIES, SPACES

#: Of the prompts' difficulty, where that is what curves are told apart by.
DIFFICULTY = dict(zip(DIFFICULTIES, ("#332288", "#117733", "#cc6677"), strict=True))
DASHES = dict(zip(DIFFICULTIES, (":", "-", "--"), strict=True))
#: Rules and their K in the panel of angles. Whitened ones are centered: ddof and mean turn nothing.
TURNED = {"whitened:maxpo": 4, "whitened:rloo": 1, "verl-gpg": 1, "trl-batch": 1, "jspo-plus-plus": 1}
#: The rule that is the study's own, and those of the catalogue whose family has a pale hue.
_COLOURS = {
    "empirical-bayes": "#d55e00",
    "whitened:rloo": "#56b4e9",
    "jspo": "#882255",
    "jspo-plus-plus": "#44aa99",
    "verl-gpg": "#117733",
    "trl-batch": "#aa4499",
}
#: An angle below this is none.
_NO_ANGLE = 1e-9


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Angle and noise over the plain rule's: many correct answers, and James-Stein's batches."""
    fixed = rows[(rows.difficulty != BETA) & (rows.space == next(iter(SPACES)))]
    chosen = pd.concat([fixed, rows[rows.difficulty == BETA]])
    # The rules for the mean have the same angles at every K; plain rules have none.
    target = ((chosen.k > 1) == chosen.rule.isin(_OF_K)) | chosen.rule.isin(_OF_ANY)
    chosen = chosen[(target & ~chosen.rule.isin(_PLAIN)) | (chosen.difficulty == BETA)]
    sizes = [size for size in (2, 3, 8, 32, 64, 128) if size in set(rows.prompts)]
    lines = []
    for key, group in chosen.groupby(["difficulty", "space", "n", "k", "rule"], sort=False):
        by_size = group.groupby("prompts").first()
        line: dict[str, object] = dict(zip(("prompts", "correct", "n", "K", "rule"), key, strict=True))
        for size in sizes:
            angle = by_size.angle_to_plain.get(size)
            line[f"rad, P = {size}"] = _angle(angle)
        for size in sizes:
            ratio = by_size.ratio.get(size)
            line[f"noise, P = {size}"] = "" if ratio is None else f"{ratio:.3f}"
        lines.append(line)
    return pd.DataFrame(lines)


_PLAIN, _OF_ANY = ("maxpo", "rloo"), ("empirical-bayes",)
_OF_K = ("predictive", "whitened:maxpo", "whitened:scale=std1,mean=1:maxpo")


def _angle(angle: float | None) -> str:
    if angle is None or isnan(angle):
        return ""
    return f"{angle:.2g}" if angle > _NO_ANGLE else "0"


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """Above: angles and weights; below: noise over the plain rule's, and the bias of JSPO++."""
    figure, grid = subplots(2, 3, figsize=(PAGE, 4.7))
    n = int(rows.n[rows.difficulty != BETA].min())
    at = rows[(rows.space == next(iter(SPACES))) & (rows.difficulty != BETA)]
    by_batch = at.groupby(["difficulty", "prompts", "n", "k", "rule"], sort=False).first().reset_index()
    _whitened_angle(grid[0][0], by_batch)
    _angles(grid[0][1], by_batch[by_batch.n == n])
    _weights(grid[0][2], at[at.n == n])
    small = by_batch[by_batch.n == n]
    _noise(grid[1][0], small[small.k == 4], ("whitened:maxpo", "predictive", "empirical-bayes"))
    _noise(grid[1][1], small[small.k == 1], ("jspo", "jspo-plus-plus", "empirical-bayes"))
    grid[1][0].set_title(f"noise over maxpo's  (n = {n}, K = 4)")
    grid[1][1].set_title(f"noise over rloo's  (n = {n}, K = 1)")
    _bias(grid[1][2], by_batch[(by_batch.k == 1) & (by_batch.rule == "jspo-plus-plus")])
    for axes in (*grid[0][:2], *grid[1]):
        _by_prompts(axes, sorted(at.prompts.unique()))
    return {"figure": figure}


def _whitened_angle(axes: Axes, rows: pd.DataFrame) -> None:
    for name, colour in DIFFICULTY.items():
        for n, dashes in zip(sorted(rows.n.unique()), ("-", "--"), strict=False):
            curve = rows[(rows.rule == "whitened:maxpo") & (rows.difficulty == name) & (rows.n == n)]
            axes.plot(curve.prompts, curve.angle_to_plain, dashes, marker="o", color=colour)
    axes.set_yscale("log")
    axes.set_title("angle of whitened maxpo to maxpo, rad\n(K = 4)")
    sizes = zip(sorted(rows.n.unique()), ("-", "--"), strict=False)
    _legend(axes, DIFFICULTY, {f"n = {n}": dashes for n, dashes in sizes})


def _angles(axes: Axes, rows: pd.DataFrame) -> None:
    mixed = rows[rows.difficulty == "mixed"]
    for rule, k in TURNED.items():
        curve = mixed[(mixed.rule == rule) & (mixed.k == k)]
        label = f"{rule}, K = {k}"
        axes.plot(curve.prompts, curve.angle_to_plain, "o-", color=_colour(rule), label=label)
    axes.set_yscale("log")
    axes.set_ylim(1e-4, 30)
    axes.set_title(f"angle to the plain rule, rad\n(mixed prompts, n = {rows.n.iloc[0]})")
    axes.legend(fontsize=6)


def _weights(axes: Axes, rows: pd.DataFrame) -> None:
    mixed = rows[(rows.rule == "whitened:maxpo") & (rows.difficulty == "mixed")]
    sizes = [size for size in (3, 4, 8, 32, 128) if size in set(mixed.prompts)]
    for size, shade in zip(sizes, ("#08306b", "#2171b5", "#6baed6", "#a8a852", "#999999"), strict=False):
        curve = mixed[mixed.prompts == size]
        axes.plot(
            curve.success, curve.weight / curve.weight.iloc[0], "o-", ms=2.5, color=shade, label=f"P = {size}"
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = (0.5, 1, 2, 5, 10)
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("success probability of the prompt")
    axes.set_title(f"weight under whitened maxpo\n(hardest = 1; mixed, n = {rows.n.iloc[0]}, K = 4)")
    axes.legend(fontsize=6)


def _noise(axes: Axes, rows: pd.DataFrame, rules: tuple[str, ...]) -> None:
    axes.axhline(1.0, color="0.4", lw=0.6)
    for rule in rules:
        for name, dashes in DASHES.items():
            curve = rows[(rows.rule == rule) & (rows.difficulty == name)]
            axes.plot(curve.prompts, curve.ratio, dashes, marker="o", ms=2.5, color=_colour(rule))
    axes.set_ylim(0.6, 1.4)
    _legend(axes, {rule: _colour(rule) for rule in rules}, DASHES)


def _bias(axes: Axes, rows: pd.DataFrame) -> None:
    sizes = list(zip(sorted(rows.n.unique()), ("-", "--"), strict=False))
    for name, colour in DIFFICULTY.items():
        for n, dashes in sizes:
            curve = rows[(rows.difficulty == name) & (rows.n == n)]
            axes.plot(curve.prompts, curve.relative_bias, dashes, marker="o", color=colour)
    x = sorted(rows.prompts.unique())
    axes.plot(x, [0.15 / size for size in x], color="0.4", lw=0.7, label="1/P")
    axes.annotate(
        "1/P", (x[-1], 0.15 / x[-1]), xytext=(-4, 5), textcoords="offset points", fontsize=6, ha="right"
    )
    axes.set_yscale("log")
    axes.set_title("relative bias of jspo-plus-plus\n(K = 1; jspo: none)")
    _legend(axes, DIFFICULTY, {f"n = {n}": dashes for n, dashes in sizes})


def _by_prompts(axes: Axes, sizes: list[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [f"{size}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("prompts in a batch, P")


def _legend(axes: Axes, colours: Mapping[str, str], dashes: Mapping[str, str]) -> None:
    handles: list[Artist] = [Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
    handles += [Line2D([], [], color="0.3", ls=style, label=name) for name, style in dashes.items()]
    axes.legend(handles=handles, fontsize=6, ncols=2, columnspacing=1.0)


def _colour(rule: str) -> str:
    return _COLOURS.get(rule) or colour_of(rule)
