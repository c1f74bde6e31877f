"""Learning curves, step sizes, the trade-off, the signal and who improves on whom, from stored rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from maxpo_lab.core.arrays import Float

from ...output.colours import colour_of
from ...output.style import PAGE, subplots
from ...run.curves import Curves
from ...trainer import EXACT
from .comparison import CENTERED, POOLED, RIVALS, compare, in_order, places
from .design import ANNEALING, BASE, RULES

CHOICES = {"best": "best of the grid for each rule", "shared": "one shared step size"}
#: What the signal is drawn between: below, a policy is solved or lost.
_SNR = (1e-6, 1e2)
_SNR_LABEL = r"Signal to noise of a step, $|E g|^2 / \mathrm{tr\,Cov}(g)$"
#: Marker and fill of the shared and of the best step size.
_MARKERS = (("o", "white"), ("D", "0.3"))
#: Lines of the schedules of K, which are no rules: greys.
_SCHEDULES = (("0.0", "-"), ("0.35", "--"), ("0.6", ":"))
_ENDS = tuple(f"{name}{end}" for name in ("max_at_k", "mean_reward") for end in ("", "_low", "_high"))
_QUANTITIES = (*_ENDS, "entropy", "diversity", "snr", "cosine")


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """``figure`` and ``shared``: curves; the others by what they show."""
    rows = in_order(rows)
    curves = rows[rows.kind == "curve"]
    base = curves[curves.condition == BASE]
    return {
        "figure": _curves(base[base.choice == "best"], "Every rule at the best step size of the grid"),
        "shared": _curves(base[base.choice == "shared"], "Every rule at one shared step size"),
        "step_size": _step_sizes(rows[(rows.kind == "tuning") & (rows.condition == BASE)]),
        "trade_off": _trade_off(base[base.step == base.groupby("specimen").step.transform("max")]),
        "snr": _signal(base[base.choice == "shared"], "snr", _SNR_LABEL),
        "cosine": _signal(base[base.choice == "shared"], "cosine", r"Cosine of $E g$ and $\nabla J_K$"),
        "annealing": _annealing(curves[curves.condition == ANNEALING]),
        "improvement": _improvements(rows[rows.kind == "run"]),
    }


def curves(rows: pd.DataFrame) -> list[Curves]:
    """The curves of every rule with its seeds, for W&B: ``specimen/condition/choice/quantity`` by step.

    Interquartile means and the ends of their intervals, ``max_at_k_low`` and so on.
    """
    found = []
    every = rows[rows.kind == "curve"]
    for rule, own in every.groupby("rule", sort=False):
        points: dict[int, dict[str, float | None]] = {}
        for row in own.to_dict("records"):
            place = points.setdefault(int(row["step"]), {})
            condition = row["condition"]
            within = condition if condition != ANNEALING else f"{condition}, {row['schedule']}"
            for name in _QUANTITIES:
                value = None if pd.isna(row[name]) else float(row[name])
                place[f"{row['specimen']}/{within}/{row['choice']}/{name}"] = value
        found.append(Curves(str(rule), f"seeds 0-{int(own.runs.max()) - 1}", points))
    return found


def _panels(names: list[str], height: float = 1.7) -> tuple[Figure, list[Axes], Axes]:
    """One panel per specimen, four in a row, and one more for the legend."""
    lines = (len(names) + 4) // 4
    figure, grid = subplots(lines, 4, figsize=(PAGE, height * lines + 0.35), squeeze=False)
    axes = list(grid.ravel())
    for spare in axes[len(names) :]:
        spare.set_axis_off()
    for place, name in zip(axes, names, strict=False):
        place.set_title(name)
    return figure, axes[: len(names)], axes[-1]


def _away(middle: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike) -> Float:
    """Lengths of error bars, (2, points): 0 where a percentile lies on the estimate's other side."""
    estimate = np.asarray(middle, dtype=np.float64)
    ends = np.stack([estimate - np.asarray(low), np.asarray(high) - estimate])
    return np.asarray(np.maximum(ends, 0.0))


def _style(rule: str) -> dict[str, Any]:
    if rule == EXACT:
        star = {"marker": "*", "ms": 4, "markevery": 4, "mew": 0.3}
        return {"color": "0.25", "ls": "--", "lw": 1.0, "zorder": 3, **star}
    return {"color": colour_of(rule), "lw": 2.2 if rule == CENTERED else 1.0}


def _rules(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for rule, own in rows.groupby("rule", sort=False):
        yield str(rule), own


def _legend(rows: pd.DataFrame, place: Axes, **style: Any) -> None:
    """The rules in the free panel."""
    for rule in sorted(rows.rule.unique(), key=[EXACT, *RULES].index):
        own = _style(rule) | style
        if rule == EXACT:
            own |= {"marker": "*", "ms": 6, "markevery": 1}
        place.plot([], [], label="exact gradient" if rule == EXACT else rule, **own)
    place.legend(loc="center", fontsize=6.3, handlelength=1.6, labelspacing=0.25, borderaxespad=0.0)


def _root_steps(axes: Axes, last: float) -> None:
    """Steps on a square-root scale, on which the points lie evenly."""
    axes.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
    ticks = [round(last * share**2) for share in (0, 0.25, 0.5, 0.75, 1)]
    axes.set_xticks(ticks, [str(tick) for tick in ticks], fontsize=6)
    axes.set_xlim(0, last)


def _curves(rows: pd.DataFrame, title: str) -> Figure:
    names = [str(name) for name in rows.specimen.unique()]
    figure, panels, free = _panels(names)
    for axes, name in zip(panels, names, strict=True):
        own = rows[rows.specimen == name]
        for rule, line in _rules(own):
            axes.plot(line.step, line.max_at_k, **_style(rule))
            if rule != EXACT:
                axes.fill_between(
                    line.step, line.max_at_k_low, line.max_at_k_high, color=colour_of(rule), alpha=0.1, lw=0
                )
        _root_steps(axes, own.step.max())
        axes.set_ylim(-0.02, 1.02)
        if rows.choice.iloc[0] == "shared":
            axes.set_title(f"{name}, {own.step_size.iloc[0]:g}")
    for axes in panels[::4]:
        axes.set_ylabel("max@K, exact")
    _legend(rows, free)
    figure.suptitle(f"{title}: interquartile mean, 95 % intervals, {int(rows.runs.max())} seeds", fontsize=8)
    figure.supxlabel("step (square-root scale)", fontsize=8)
    return figure


def _step_sizes(rows: pd.DataFrame) -> Figure:
    names = [str(name) for name in rows.specimen.unique()]
    figure, panels, free = _panels(names)
    for axes, name in zip(panels, names, strict=True):
        for rule, line in _rules(rows[rows.specimen == name]):
            ends = _away(line.area, line.area_low, line.area_high)
            style = _style(rule) | ({"markevery": 1} if rule == EXACT else {})
            axes.errorbar(line.step_size, line.area, yerr=ends, elinewidth=0.6, **style)
        axes.set_xscale("log")
        axes.set_ylim(-0.02, 1.02)
    for axes in panels[::4]:
        axes.set_ylabel("area under max@K")
    _legend(rows, free)
    seeds = int(rows.runs.max())
    figure.suptitle(f"Tuning: interquartile mean over {seeds} seeds that are not used again", fontsize=8)
    figure.supxlabel("step size", fontsize=8)
    return figure


def _trade_off(rows: pd.DataFrame) -> Figure:
    names = [str(name) for name in rows.specimen.unique()]
    figure, panels, free = _panels(names)
    for axes, name in zip(panels, names, strict=True):
        own = rows[rows.specimen == name]
        for rule, points in _rules(own):
            for choice, marker in (("shared", "o"), ("best", "D")):
                at = points[points.choice == choice]
                style: dict[str, Any] = {
                    "color": _style(rule)["color"],
                    "marker": marker,
                    "ms": 3.6,
                    "mew": 0.9,
                    "ls": "",
                }
                style |= {"mfc": "none"} if choice == "shared" else {}
                style |= {"marker": "*", "ms": 6} if rule == EXACT else {}
                x, y = (
                    _away(at[key], at[f"{key}_low"], at[f"{key}_high"]) for key in ("mean_reward", "max_at_k")
                )
                axes.errorbar(at.mean_reward, at.max_at_k, xerr=x, yerr=y, elinewidth=0.5, **style)
        axes.plot([0, 1], [0, 1], color="0.7", lw=0.6, zorder=0)
        axes.set_xlim(-0.03, 1.05)
        axes.set_ylim(-0.03, 1.05)
    for axes in panels[::4]:
        axes.set_ylabel("max@K at the end")
    _legend(rows, free, marker="o", ls="", ms=3.6)
    figure.suptitle("Open: shared step size; filled: best of the grid; stars: exact gradient", fontsize=8)
    figure.supxlabel("mean reward (pass@1) at the end", fontsize=8)
    return figure


def _signal(rows: pd.DataFrame, quantity: str, label: str) -> Figure:
    measured = rows[rows[quantity].notna()]
    names = [str(name) for name in measured.specimen.unique()]
    figure, panels, free = _panels(names)
    for axes, name in zip(panels, names, strict=True):
        own = measured[measured.specimen == name]
        for rule, line in _rules(own):
            dots: dict[str, Any] = {"marker": "o", "ms": 2.2}
            axes.plot(line.step, line[quantity], **(dots | _style(rule)))
        if quantity == "snr":
            axes.set_yscale("log")
            axes.set_ylim(*_SNR)
        else:
            axes.set_ylim(-1.05, 1.05)
        _root_steps(axes, rows[rows.specimen == name].step.max())
    _legend(measured, free)
    figure.suptitle(f"{label}, exact, at the shared step size", fontsize=8)
    figure.supxlabel("step (square-root scale)", fontsize=8)
    return figure


def _annealing(rows: pd.DataFrame) -> Figure:
    """One column per rule and choice of step size, two lines per specimen."""
    names = [str(name) for name in rows.specimen.unique()]
    schedules = list(rows.schedule.unique())
    columns = [(rule, choice) for rule in rows.rule.unique() for choice in ("shared", "best")]
    figure, grid = subplots(
        2 * len(names),
        len(columns),
        figsize=(PAGE, 1.25 * 2 * len(names) + 0.6),
        sharey=True,
        sharex="row",
        squeeze=False,
    )
    pairs = [(name, key) for name in names for key in ("max_at_k", "mean_reward")]
    for line, (name, key) in zip(grid, pairs, strict=True):
        last = rows[rows.specimen == name].step.max()
        for axes, (rule, choice) in zip(line, columns, strict=True):
            of_rule = rows[(rows.specimen == name) & (rows.rule == rule) & (rows.choice == choice)]
            for schedule, (colour, dashes) in zip(schedules, _SCHEDULES, strict=True):
                own = of_rule[of_rule.schedule == schedule]
                axes.plot(own.step, own[key], color=colour, ls=dashes, label=schedule)
                axes.fill_between(
                    own.step, own[f"{key}_low"], own[f"{key}_high"], color=colour, alpha=0.15, lw=0
                )
            _root_steps(axes, last)
            # Five numbers would run into one another in a column this narrow.
            axes.set_xticks([0, last / 4, last], ["0", f"{last / 4:g}", f"{last:g}"], fontsize=5.5)
            axes.axvline(last / 2, color="0.5", lw=0.6, ls=":")
            axes.set_ylim(-0.02, 1.02)
        line[0].set_ylabel(f"{name}\n{'max@8' if key == 'max_at_k' else 'mean reward'}", fontsize=6.5)
    for axes, (rule, choice) in zip(grid[0], columns, strict=True):
        axes.set_title(f"{'exact gradient' if rule == EXACT else rule}\n{choice}", fontsize=7)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(schedules))
    figure.supxlabel(
        "step (square-root scale; dotted: K falls to 1); shared step size, and best of the grid", fontsize=8
    )
    return figure


def _improvements(runs: pd.DataFrame) -> Figure:
    """MaxPO against its rivals: probability of the larger area, next to it the difference of the areas."""
    known = [each for each in places(runs) if not each[1].startswith(ANNEALING)]
    rules = [rule for rule in RIVALS if rule in set(runs.rule)]
    lines = (len(rules) + 1) // 2
    figure, grid = subplots(
        lines, 4, figsize=(PAGE, lines * (0.15 * len(known) + 0.7) + 0.4), sharey=True, squeeze=False
    )
    for spare in grid.ravel()[2 * len(rules) :]:
        spare.set_axis_off()
    for rule, chance, apart in zip(rules, grid.ravel()[::2], grid.ravel()[1::2], strict=False):
        for choice, shift, (marker, fill) in zip(("shared", "best"), (-0.17, 0.17), _MARKERS, strict=True):
            for place, (_, _, every) in enumerate(known):
                own = every[every.choice == choice]
                found = compare(own[own.rule == CENTERED], own[own.rule == rule])
                if found is None:
                    continue
                for axes, each in ((chance, found.probability), (apart, found.difference)):
                    style: dict[str, Any] = {"fmt": marker, "ms": 2.6, "elinewidth": 0.9, "mew": 0.8}
                    style |= {"mfc": "white"} if fill == "white" else {}
                    ends = _away([each.estimate], [each.low], [each.high])
                    axes.errorbar(each.estimate, place + shift, xerr=ends, color=colour_of(rule), **style)
        for axes, middle in ((chance, 0.5), (apart, 0.0)):
            axes.axvline(middle, color="0.3", lw=0.8, ls="--", zorder=0)
            axes.axhline(0.5, color="0.3", lw=0.5, zorder=0)
        chance.set_title(f"P(better than {rule})", fontsize=7)
        apart.set_title(f"area minus {rule}'s", fontsize=7)
        chance.set_xlim(-0.05, 1.05)
        furthest = max(abs(end) for end in apart.get_xlim())
        apart.set_xlim(-furthest, furthest)
    names = [name if condition == BASE else f"{name}: {condition}" for name, condition, _ in known]
    names = ["all specimens, base" if name == POOLED else name for name in names]
    for axes in grid[:, 0]:
        axes.set_yticks(range(len(known)), names, fontsize=5.5)
    grid[0][0].set_ylim(len(known) - 0.4, -0.6)
    figure.legend(
        [Line2D([], [], color="0.3", ls="", marker=marker, ms=3.5, mfc=fill) for marker, fill in _MARKERS],
        [CHOICES["shared"], CHOICES["best"]],
        loc="outside upper center",
        ncols=2,
    )
    figure.supxlabel(f"of the area under max@K of {CENTERED}, {int(runs.seed.max()) + 1} seeds", fontsize=8)
    return figure
