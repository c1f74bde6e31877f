"""What rule and loop decide, from stored rows: areas, curves, step sizes; and curves for W&B."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ...output.colours import colour_of
from ...output.style import PAGE, subplots
from ...run.curves import Curves
from ...trainer import EXACT
from .contestants import LOOPS
from .design import RULES
from .drawing import difference_bars, difference_scale, legend_of, panels, root_scale, style_of
from .figure_exploration import first_success, kept_diversity, trade_off
from .pairs import NAME, POOLED, compared_table
from .summary import in_order, label

#: Specimens whose curves are apart: on the others all are one line, which ``figure`` says in numbers.
APART = ("maze, graded", "chain", "transformer")
_LOOPS = dict(zip(LOOPS, ("#000000", "#0072b2", "#56b4e9", "#d55e00", "#009e73", "#cc79a7"), strict=True))
_QUANTITIES = tuple(
    [f"{name}{end}" for name in ("max_at_k", "mean_reward") for end in ("", "_low", "_high")]
    + ["entropy", "diversity", "snr", "cosine"]
)


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """``figure``: areas against maxpo's; the others by what they show."""
    rows = in_order(rows)
    of_rules = rows[rows.section == "rules"]
    return {
        "figure": _differences(of_rules),
        "curves": _curves(of_rules[(of_rules.kind == "curve") & (of_rules.choice == "best")]),
        "step_size": _step_sizes(of_rules[of_rules.kind == "tuning"]),
        "cosine": _cosines(of_rules[(of_rules.kind == "curve") & of_rules.cosine.notna()]),
        "first_success": first_success(of_rules),
        "diversity": kept_diversity(of_rules[of_rules.kind == "curve"]),
        "trade_off": trade_off(rows[rows.section == "trade-off"]),
        "loops": _loops(rows[rows.section == "loops"]),
    }


def curves(rows: pd.DataFrame) -> list[Curves]:
    """Curves of every contestant with its seeds, for W&B: ``section/specimen/choice/quantity`` by rollouts.

    Interquartile means and the ends of their intervals, ``max_at_k_low`` and so on.
    """
    found: dict[str, dict[int, dict[str, float | None]]] = {}
    runs: dict[str, int] = {}
    every = rows[rows.kind == "curve"]
    for row in every.to_dict("records"):
        name = label(row["section"], [row[key] for key in NAME])
        place = found.setdefault(name, {}).setdefault(int(row["rollouts"]), {})
        runs[name] = max(runs.get(name, 0), int(row["runs"]))
        for key in _QUANTITIES:
            value = None if pd.isna(row[key]) else float(row[key])
            place[f"{row['section']}/{row['specimen']}/{row['choice']}/{key}"] = value
    return [Curves(name, f"seeds 0-{runs[name] - 1}", points) for name, points in found.items()]


def _each(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for rule, own in rows.groupby("rule", sort=False):
        yield str(rule), own


def _differences(rows: pd.DataFrame) -> Figure:
    """Areas less maxpo's, specimen by specimen."""
    compared = compared_table(rows)
    names = [str(name) for name in compared.specimen.unique()]
    rules = [rule for rule in RULES if rule in set(compared.rule)]
    across = min(len(names), 3)
    lines = -(-len(names) // across)
    figure, grid = subplots(
        lines, across, figsize=(PAGE, lines * (0.19 * len(rules) + 0.45) + 0.5), sharey=True, squeeze=False
    )
    for spare in grid.ravel()[len(names) :]:
        spare.set_axis_off()
    furthest = float(compared[["area_low", "area_high", "area_smallest"]].abs().max().max())
    for axes, name in zip(grid.ravel(), names, strict=False):
        here = compared[compared.specimen == name]
        for choice, shift, filled in (("shared", -0.2, False), ("best", 0.2, True)):
            own = here[here.choice == choice]
            places = np.array([rules.index(rule) for rule in own.rule]) + shift
            difference_bars(axes, own, places, [colour_of(rule) for rule in own.rule], filled)
        difference_scale(axes, furthest)
        axes.set_title("sparse starts together" if name == POOLED else name)
    for axes in grid[:, 0]:
        axes.set_yticks(range(len(rules)), rules, fontsize=6.5)
        axes.set_ylim(len(rules) - 0.5, -0.5)
    handles = [
        Line2D([], [], color="0.3", marker="o", mfc="white", ls="", ms=3.5, label="shared step size"),
        Line2D([], [], color="0.3", marker="D", ls="", ms=3.5, label="best of the grid"),
        Patch(color="0.86", label="what these seeds would miss (80 % power)"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    figure.supxlabel("area under max@4 less that of maxpo (1: the whole budget at the target)", fontsize=8)
    return figure


def _curves(rows: pd.DataFrame) -> Figure:
    names = [name for name in APART if name in set(rows.specimen)] or sorted(set(rows.specimen))
    figure, places, free = panels(names, 4, 1.9)
    for axes, name in zip(places, names, strict=True):
        own = rows[rows.specimen == name]
        for rule, line in _each(own):
            axes.plot(line.rollouts, line.max_at_k, **style_of(rule))
            if rule != EXACT:
                axes.fill_between(
                    line.rollouts,
                    line.max_at_k_low,
                    line.max_at_k_high,
                    color=colour_of(rule),
                    alpha=0.08,
                    lw=0,
                )
        root_scale(axes, own.rollouts.max())
        axes.set_ylim(-0.02, 1.02)
    places[0].set_ylabel("max@4, exact")
    legend_of(rows[rows.specimen.isin(names)].rule.unique(), free)
    figure.suptitle("Each at the best step size of its grid: interquartile mean, 95 % intervals", fontsize=8)
    figure.supxlabel("rollouts (square-root scale)", fontsize=8)
    return figure


def _step_sizes(rows: pd.DataFrame) -> Figure:
    names = [str(name) for name in rows.specimen.unique()]
    figure, places, free = panels(names, 3, 1.75)
    for axes, name in zip(places, names, strict=True):
        for rule, line in _each(rows[rows.specimen == name]):
            axes.plot(line.step_size, line.area, marker="o", ms=2.2, **style_of(rule))
        axes.set_xscale("log")
        axes.set_ylim(-0.02, 1.02)
    for axes in places[::3]:
        axes.set_ylabel("area under max@4")
    legend_of(rows.rule.unique(), free)
    seeds = rows[rows.rule != EXACT].groupby("specimen").runs.max()
    figure.suptitle(
        f"Tuning: means of {int(seeds.min())} to {int(seeds.max())} seeds that are not used again", fontsize=8
    )
    figure.supxlabel("step size", fontsize=8)
    return figure


def _cosines(rows: pd.DataFrame) -> Figure:
    names = [name for name in APART if name in set(rows.specimen)] or sorted(set(rows.specimen))
    figure, places, free = panels(names, 4, 1.9)
    for axes, name in zip(places, names, strict=True):
        own = rows[rows.specimen == name]
        for rule, line in _each(own):
            axes.plot(line.rollouts, line.cosine, marker="o", ms=2.5, **style_of(rule))
        axes.set_ylim(-1.05, 1.05)
        root_scale(axes, own.budget.max())
    legend_of(rows.rule.unique(), free)
    figure.suptitle(
        r"Cosine of $E g$ and the gradient of max@4 along training, exact, shared step size", fontsize=8
    )
    figure.supxlabel("rollouts (square-root scale)", fontsize=8)
    return figure


def _loops(rows: pd.DataFrame) -> Figure:
    """Curves of maxpo and of grpo in every loop, and their areas less that of maxpo on-policy."""
    curves = rows[rows.kind == "curve"]
    names = [str(name) for name in curves.specimen.unique()]
    rules = [str(rule) for rule in curves.rule.unique()]
    compared = compared_table(rows)
    figure, grid = subplots(
        len(rules) + 1,
        len(names),
        figsize=(PAGE, 1.5 * len(rules) + 2.4),
        sharey="row",
        squeeze=False,
        gridspec_kw={"height_ratios": [*[1.0] * len(rules), 1.3]},
    )
    furthest = float(compared[["area_low", "area_high", "area_smallest"]].abs().max().max())
    for column, name in enumerate(names):
        for axes, rule in zip(grid[:, column], rules, strict=False):
            own = curves[(curves.specimen == name) & (curves.rule == rule)]
            for loop, line in own.groupby("loop", sort=False):
                colour = _LOOPS[str(loop)]
                axes.plot(line.rollouts, line.max_at_k, color=colour, lw=1.1)
                axes.fill_between(
                    line.rollouts, line.max_at_k_low, line.max_at_k_high, color=colour, alpha=0.08, lw=0
                )
            root_scale(axes, own.rollouts.max())
            axes.set_ylim(-0.02, 1.02)
            if not column:
                axes.set_ylabel(f"{rule}: max@4")
        grid[0, column].set_title(name)
        grid[len(rules) - 1, column].set_xlabel("rollouts (square-root scale)", fontsize=7)
        found = compared[compared.specimen == name]
        axes, places = grid[-1, column], np.arange(len(found), dtype=np.float64)
        difference_bars(axes, found, places, [_LOOPS[loop] for loop in found.loop], filled=True)
        difference_scale(axes, furthest)
        said = [f"{rule}, {loop}" for rule, loop in zip(found.rule, found.loop, strict=True)]
        axes.set_yticks(places, said, fontsize=6)
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.set_xlabel("area less maxpo's, on-policy", fontsize=7)
    handles = [Line2D([], [], color=_LOOPS[loop], label=loop) for loop in LOOPS]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), fontsize=6.5)
    return figure
