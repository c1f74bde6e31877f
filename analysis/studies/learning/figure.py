"""Learning curves, step sizes, the trade-off, the signal and who improves on whom, from stored rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import binomtest

from ...figures import COLOURS, PAGE
from ...statistics import improvement_interval, interquartile_mean_interval, median_interval
from ...tracking import Curves
from ...training import EXACT
from .design import ANNEALING, BASE, CONDITIONS, RULES, SEED, SUBJECTS

Float = npt.NDArray[np.float64]

#: The rule whose claim is tested, and the uncentered rules it is tested against.
CENTERED, UNCENTERED = "maxpo", ("pkpo-s", "pkpo-loo", "pkpo-loo1")
CHOICES = {"best": "own best step size", "shared": "shared step size"}
#: What the signal is drawn between: below, a policy is solved or lost.
_SNR = (1e-6, 1e2)
_SNR_LABEL = r"Signal to noise of a step, $|E g|^2 / \mathrm{tr\,Cov}(g)$"
#: Marker and fill of the shared and of the best step size.
_MARKERS = (("o", "white"), ("D", "0.3"))
_QUANTITIES = ("max_at_k", "mean_reward", "entropy", "diversity", "snr", "cosine")


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """A line a rule and choice of step size, pooled over the specimens of the base design.

    Interquartile means of all runs with stratified bootstrap intervals, the share of runs that reached 90 %
    of the optimum with Wilson's, the median of their steps with that of its order statistics, and the
    probability that a run of maxpo has the larger area. The exact gradient is not random: no intervals.
    """
    rows = _in_order(rows)
    runs = rows[(rows.kind == "run") & (rows.condition == BASE)]
    lines = []
    for (rule, choice), own in runs.groupby(["rule", "choice"], sort=False):
        reached = binomtest(int(own.steps_to_90.notna().sum()), len(own)).proportion_ci(method="wilson")
        steps = median_interval(own.steps_to_90.fillna(np.inf))
        other = runs[(runs.rule == CENTERED) & (runs.choice == choice)]
        better = "" if rule in (EXACT, CENTERED) else _text(*_improvement(other, own))
        step = _text(float(steps.estimate), float(steps.low), float(steps.high), "{:.0f}")
        lines.append(
            {
                "rule": rule,
                "step size": choice,
                "specimens": own.specimen.nunique(),
                "runs": len(own),
                "diverged": int(own.diverged.sum()),
                "at the grid's edge": _at_the_edge(rows, own) if choice == "best" else "",
                "area under max@K": _text(*_pooled(own, "area")),
                "max@K at the end": _text(*_pooled(own, "max_at_k")),
                "reached 90 %": _text(own.steps_to_90.notna().mean(), reached.low, reached.high),
                "steps to 90 % (median)": step,
                f"P({CENTERED} better)": better,
            }
        )
        if rule == EXACT:
            numbers = {key: cell for key, cell in lines[-1].items() if not isinstance(cell, str)}
            lines[-1] = {key: re.sub(r" \[.*\]$", "", str(cell)) for key, cell in lines[-1].items()} | numbers
    return pd.DataFrame(lines).sort_values("step size", kind="stable", ignore_index=True)


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """``figure`` and ``shared``: curves; the others by what they show."""
    rows = _in_order(rows)
    curves = rows[rows.kind == "curve"]
    base = curves[curves.condition == BASE]
    return {
        "figure": _curves(base[base.choice == "best"], "Every rule at its own best step size"),
        "shared": _curves(base[base.choice == "shared"], "Every rule at one shared step size"),
        "step_size": _step_sizes(rows[(rows.kind == "tuning") & (rows.condition == BASE)]),
        "trade_off": _trade_off(base[base.step == base.groupby("specimen").step.transform("max")]),
        "snr": _signal(base[base.choice == "shared"], "snr", _SNR_LABEL),
        "cosine": _signal(base[base.choice == "shared"], "cosine", r"Cosine of $E g$ and $\nabla J_K$"),
        "annealing": _annealing(curves[(curves.condition == ANNEALING) & (curves.choice == "shared")]),
        "improvement": _improvements(rows[rows.kind == "run"]),
    }


def curves(rows: pd.DataFrame) -> list[Curves]:
    """The curves of every rule with its seeds, for W&B: ``specimen/condition/choice/quantity`` by step."""
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


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows in the order of the design table, whatever the order they were measured in."""
    keys = {"specimen": list(SUBJECTS), "condition": list(CONDITIONS), "rule": [EXACT, *RULES]}
    places = pd.DataFrame({name: rows[name].map(order.index) for name, order in keys.items()})
    return rows.loc[places.sort_values(list(keys), kind="stable").index]


def _text(estimate: float, low: float, high: float, form: str = "{:.2f}") -> str:
    """An estimate with its interval; a run that never arrives takes ``inf`` steps."""
    return "{} [{}, {}]".format(*(form.format(float(number)) for number in (estimate, low, high)))


def _by_specimen(runs: pd.DataFrame, quantity: str = "area") -> dict[str, Float]:
    """Scores in the order of the seeds, of each specimen."""
    ordered = runs.sort_values("seed")
    return {str(name): own[quantity].to_numpy() for name, own in ordered.groupby("specimen", sort=True)}


def _pooled(runs: pd.DataFrame, quantity: str) -> tuple[float, float, float]:
    found = interquartile_mean_interval(np.stack(list(_by_specimen(runs, quantity).values())), seed=SEED)
    return float(found.estimate), float(found.low), float(found.high)


def _improvement(one: pd.DataFrame, other: pd.DataFrame) -> tuple[float, float, float]:
    """Probability that a run of the first has the larger area, with its interval; seeds are paired."""
    first, second = _by_specimen(one), _by_specimen(other)
    names = [name for name in first if name in second]
    x, y = (np.stack([areas[name] for name in names]) for areas in (first, second))
    found = improvement_interval(x, y, paired=True, seed=SEED)
    return float(found.estimate), float(found.low), float(found.high)


def _at_the_edge(rows: pd.DataFrame, own: pd.DataFrame) -> int:
    """Specimens on which the chosen step size is the smallest or largest that was tried."""
    tried = rows[(rows.kind == "tuning") & (rows.condition == BASE)].groupby("specimen").step_size_rank.max()
    chosen = own.groupby("specimen").step_size_rank.first()
    return int(((chosen == 0) | (chosen == tried[chosen.index])).sum())


def _panels(names: list[str], height: float = 1.7) -> tuple[Figure, list[Axes], Axes]:
    """A panel a specimen, four in a row, and one more for the legend."""
    lines = (len(names) + 4) // 4
    figure, grid = plt.subplots(lines, 4, figsize=(PAGE, height * lines + 0.35), squeeze=False)
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
        return {"color": "black", "ls": "--", "lw": 1.1, "zorder": 3}
    return {"color": COLOURS[rule], "lw": 2.2 if rule == CENTERED else 1.0}


def _rules(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for rule, own in rows.groupby("rule", sort=False):
        yield str(rule), own


def _legend(rows: pd.DataFrame, place: Axes, **style: Any) -> None:
    """The rules in the free panel."""
    for rule in sorted(rows.rule.unique(), key=[EXACT, *RULES].index):
        own = _style(rule) | style
        if rule == EXACT and "marker" in style:
            own |= {"marker": "*", "ms": 6}
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
                    line.step, line.max_at_k_low, line.max_at_k_high, color=COLOURS[rule], alpha=0.1, lw=0
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
            axes.errorbar(line.step_size, line.area, yerr=ends, elinewidth=0.6, **_style(rule))
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
    figure.suptitle("Open: shared step size; filled: own best; stars: exact gradient", fontsize=8)
    figure.supxlabel("mean reward (pass@1) at the end", fontsize=8)
    return figure


def _signal(rows: pd.DataFrame, quantity: str, label: str) -> Figure:
    measured = rows[rows[quantity].notna()]
    names = [str(name) for name in measured.specimen.unique()]
    figure, panels, free = _panels(names)
    for axes, name in zip(panels, names, strict=True):
        own = measured[measured.specimen == name]
        for rule, line in _rules(own):
            axes.plot(line.step, line[quantity], marker="o", ms=2.2, **_style(rule))
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
    names = [str(name) for name in rows.specimen.unique()]
    rules, schedules = list(rows.rule.unique()), list(rows.schedule.unique())
    colours = dict(zip(schedules, ("#d55e00", "#0072b2", "#009e73"), strict=True))
    figure, grid = plt.subplots(
        2 * len(names), len(rules), figsize=(PAGE, 1.35 * 2 * len(names) + 0.5), sharey=True, squeeze=False
    )
    pairs = [(name, key) for name in names for key in ("max_at_k", "mean_reward")]
    for line, (name, key) in zip(grid, pairs, strict=True):
        for axes, rule in zip(line, rules, strict=True):
            for schedule in schedules:
                own = rows[(rows.specimen == name) & (rows.rule == rule) & (rows.schedule == schedule)]
                colour = colours[schedule]
                axes.plot(own.step, own[key], color=colour, label=schedule)
                axes.fill_between(own.step, own[f"{key}_low"], own[f"{key}_high"], color=colour, alpha=0.2)
            last = rows[rows.specimen == name].step.max()
            _root_steps(axes, last)
            axes.axvline(last / 2, color="0.5", lw=0.6, ls=":")
            axes.set_ylim(-0.02, 1.02)
        line[0].set_ylabel(f"{name}\n{'max@8' if key == 'max_at_k' else 'mean reward'}", fontsize=7)
    for axes, rule in zip(grid[0], rules, strict=True):
        axes.set_title("exact gradient" if rule == EXACT else rule)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(schedules))
    figure.supxlabel("step (square-root scale; dotted: K falls to 1), shared step size", fontsize=8)
    return figure


def _improvements(runs: pd.DataFrame) -> Figure:
    """Probability that maxpo has the larger area than each uncentered rule, by specimen and condition."""
    known = runs[runs.condition != ANNEALING]
    places = list(known[["specimen", "condition"]].drop_duplicates().itertuples(index=False, name=None))
    rules = [rule for rule in UNCENTERED if rule in set(known.rule)]
    figure, grid = plt.subplots(
        1, len(rules), figsize=(PAGE, 0.19 * len(places) + 1.0), sharex=True, sharey=True, squeeze=False
    )
    for axes, rule in zip(grid[0], rules, strict=True):
        for choice, shift, marker in (("shared", -0.16, "o"), ("best", 0.16, "D")):
            found = [_between(known, place, rule, choice) for place in places]
            middle, low, high = np.array(found).T
            height = np.arange(len(places)) + shift
            style: dict[str, Any] = {"fmt": marker, "ms": 3, "elinewidth": 0.9}
            style |= {"mfc": "white"} if choice == "shared" else {}
            axes.errorbar(middle, height, xerr=_away(middle, low, high), color=COLOURS[rule], **style)
        axes.axvline(0.5, color="0.3", lw=0.8, ls="--")
        axes.set_title(f"against {rule}")
        axes.set_xlim(-0.03, 1.03)
    names = [name if condition == BASE else f"{name}: {condition}" for name, condition in places]
    grid[0][0].set_yticks(range(len(places)), names, fontsize=6.5)
    grid[0][0].set_ylim(len(places) - 0.4, -0.6)
    figure.legend(
        [Line2D([], [], color="0.3", ls="", marker=marker, ms=3.5, mfc=fill) for marker, fill in _MARKERS],
        [CHOICES["shared"], CHOICES["best"]],
        loc="outside upper center",
        ncols=2,
    )
    figure.supxlabel(f"probability that a run of {CENTERED} has the larger area under max@K", fontsize=8)
    return figure


def _between(
    runs: pd.DataFrame, place: tuple[str, str], rule: str, choice: str
) -> tuple[float, float, float]:
    own = runs[(runs.specimen == place[0]) & (runs.condition == place[1]) & (runs.choice == choice)]
    one, other = own[own.rule == CENTERED], own[own.rule == rule]
    return _improvement(one, other) if len(one) and len(other) else (np.nan, np.nan, np.nan)
