"""Exploration apart from variance: first successes, the diversity that is kept, and pass@1 against max@K."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...output.colours import colour_of
from ...output.style import PAGE, subplots
from ...trainer import EXACT
from .drawing import legend_of, panels, root_scale, style_of
from .pairs import NAME, REFERENCE, SPARSE
from .summary import label

#: Where several outcomes are right, and some may be lost.
_DIVERSE = ("bandit, 100 of 1,000", "maze, graded")
#: Where prompts share parameters, or lesser rewards are found on the way: there rules explore differently.
_EXPLORED = ("maze, graded", "chain", "transformer")
_K_COLOURS = {1: "#c6dbef", 2: "#9ecae1", 4: "#6baed6", 8: "#2171b5", 16: "#08519c", 32: "#041f4a"}
_OTHERS = {"maxrl": "X", "grpo": "P"}


def first_success(rows: pd.DataFrame) -> Figure:
    """First successes, and when all prompts are solved, against a policy that stays at the start."""
    runs = rows[(rows.kind == "run") & (rows.rule != EXACT)]
    laws = rows[rows.kind == "law"]
    names = [name for name in _EXPLORED if name in set(runs.specimen)] or sorted(set(runs.specimen))
    figure, grid = subplots(2, len(names) + 1, figsize=(PAGE, 3.9), squeeze=False)
    luck, free = grid[:, 0]
    # On the maze rules move before they meet its best goal.
    sparse = runs[(runs.rule == REFERENCE) & (runs.choice == "best") & (runs.start < SPARSE)]
    alone = sparse[sparse.specimen != "maze, graded"]
    for _, own in alone.groupby("specimen", sort=False):
        chance = np.sort(own.first_chance.fillna(1.0))
        luck.step(chance, (np.arange(len(own)) + 1) / len(own), where="post", lw=0.8, color="0.55")
    luck.plot([0, 1], [0, 1], color="0.1", ls="--", lw=1.1)
    luck.set_title(f"first success\n{alone.specimen.nunique()} specimens", fontsize=7.5)
    luck.set_xlabel("chance by the exact law", fontsize=6.5)
    luck.set_ylabel("share of runs")
    free.set_axis_off()
    for line, choice in zip(grid[:, 1:], ("shared", "best"), strict=True):
        for axes, name in zip(line, names, strict=True):
            law, here = laws[laws.specimen == name], runs[(runs.specimen == name) & (runs.choice == choice)]
            last = float(law.rollouts.max())
            axes.plot(law.rollouts, law.all_solved, color="0.1", ls="--", lw=1.1, zorder=3)
            for rule, own in here.groupby("rule", sort=False):
                at = np.sort(own.all_solved.dropna())
                share = np.arange(len(at) + 1) / len(own)
                axes.step([0, *at, last], [*share, share[-1]], where="post", **style_of(str(rule)))
            root_scale(axes, last)
            axes.set_ylim(-0.02, 1.02)
            axes.set_title(f"{name}\n{'shared' if choice == 'shared' else 'best'} step size", fontsize=7.5)
    start = Line2D([], [], color="0.1", ls="--", lw=1.1, label="policy of the start")
    legend_of(runs.rule.unique(), free, start)
    figure.suptitle(
        "Right: share of runs that have solved every prompt once (maze: found its best goal)", fontsize=8
    )
    figure.supxlabel("rollouts (square-root scale)", fontsize=8)
    return figure


def kept_diversity(curves: pd.DataFrame) -> Figure:
    """The effective number of correct outcomes along training, at the shared and at the best step size."""
    names = [name for name in _DIVERSE if name in set(curves.specimen)] or sorted(set(curves.specimen))
    figure, grid = subplots(2, len(names) + 1, figsize=(PAGE, 3.7), squeeze=False)
    for spare in grid[:, -1]:
        spare.set_axis_off()
    for line, choice in zip(grid, ("shared", "best"), strict=True):
        for axes, name in zip(line, names, strict=False):
            own = curves[(curves.specimen == name) & (curves.choice == choice)]
            for rule, each in own.groupby("rule", sort=False):
                axes.plot(each.rollouts, each.diversity, **style_of(str(rule)))
            axes.set_yscale("log")
            root_scale(axes, own.rollouts.max())
            axes.set_title(f"{name}\n{'shared' if choice == 'shared' else 'best'} step size", fontsize=7.5)
        line[0].set_ylabel("correct outcomes, effective", fontsize=7)
    legend_of(curves[curves.specimen.isin(names)].rule.unique(), grid[0, -1])
    figure.supxlabel("rollouts (square-root scale)", fontsize=8)
    return figure


def trade_off(rows: pd.DataFrame) -> Figure:
    """pass@1 against max@8 at the end, through all step sizes of the tuning, and as reported."""
    names = [str(name) for name in rows.specimen.unique()]
    figure, places, free = panels(names, len(names) + 1, 2.3)
    handles: dict[str, Line2D] = {}
    for axes, name in zip(places, names, strict=True):
        own = rows[rows.specimen == name]
        for name_of, each in own[own.rule != ""].groupby(NAME, sort=False):
            rule, k, _, annealed = (getattr(each, column).iloc[0] for column in NAME)
            style = _front_style(str(rule), int(k), bool(annealed))
            said = label("trade-off", name_of)
            tuned = each[each.kind == "tuning"].sort_values("step_size")
            axes.plot(tuned.mean_reward, tuned.max_at_k, lw=0.6, color=style["color"], alpha=0.6)
            axes.plot(tuned.mean_reward, tuned.max_at_k, ls="", ms=2, marker=".", color=style["color"])
            runs = each[each.kind == "run"]
            for choice, at in runs.groupby("choice"):
                filled = choice == "best"
                axes.plot(
                    at.mean_reward.mean(),
                    at.max_at_k.mean(),
                    **style | {"mfc": style["color"] if filled else "white"},
                )
            handles.setdefault(said, Line2D([], [], label=said, **style))
        axes.plot([0, 1], [0, 1], color="0.8", lw=0.6, zorder=0)
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
    places[0].set_ylabel("max@8 at the end")
    free.legend(handles=list(handles.values()), loc="center", fontsize=6.3, labelspacing=0.4)
    figure.suptitle(
        "Lines: all step sizes. Filled: the best for max@8; open: the best for pass@1 (60 other seeds)"
        if rows.seed.max() == 59
        else "Lines: all step sizes. Filled: the best for max@8; open: the best for pass@1 (other seeds)",
        fontsize=8,
    )
    figure.supxlabel("pass@1 at the end", fontsize=8)
    return figure


def _front_style(rule: str, k: int, annealed: bool) -> dict[str, Any]:
    if rule == EXACT:
        return {"color": "0.25", "marker": "*", "ls": "", "ms": 6, "mew": 0.8}
    if rule in _OTHERS:
        return {"color": colour_of(rule), "marker": _OTHERS[rule], "ls": "", "ms": 5, "mew": 0.8}
    colour = "#009e73" if annealed else _K_COLOURS[k]
    return {"color": colour, "marker": "s" if annealed else "o", "ls": "", "ms": 4.5, "mew": 0.9}
