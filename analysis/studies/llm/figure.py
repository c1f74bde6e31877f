"""Learning curves, variances at the checkpoints and the search for a step size, from stored rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...measure.resampling import Interval
from ...measure.statistics import difference_interval, interquartile_mean_interval
from ...output.colours import colour_of
from ...output.style import PAGE, subplots
from ...run.curves import Curves
from .design import (
    FLOOR,
    GRPO,
    HELD_OUT,
    OTHERS,
    REFERENCE,
    REPLAY,
    RULES,
    SEED,
    SHARED,
    STARTS,
    TITLES,
    TRAINED,
)

NOTHING = "-"
#: All that there are rows of.
ALL = (*TRAINED, FLOOR)
#: The rule that the others are compared with.
CENTERED = "maxpo"
_QUANTITIES = ("pass_at_1", "pass_at_k", "right_chain")
#: Marker and its fill at each checkpoint.
_CHECKPOINTS = {"warm start": ("o", False), "trained": ("s", True)}


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """``figure``: curves, and each prompt's variance; ``variance``: at each checkpoint; ``learning_rate``."""
    return {
        "figure": _overview(rows),
        "variance": _ratios(rows[rows.kind == "variance"]),
        "learning_rate": _search(rows[rows.kind == "curve"]),
    }


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per setting and rule: its runs' ends, MaxPO's lead, and its variance at each checkpoint."""
    lines = []
    for verifier, rule in _contestants(rows):
        own = rows[(rows.verifier == verifier) & (rows.rule == rule)]
        rival = rows[(rows.verifier == verifier) & (rows.rule == CENTERED)]
        line: dict[str, Any] = {"verifier": verifier, "rule": rule}
        line |= _ends(_last(own), _last(rival), rule)
        measured = own[own.kind.isin(("variance", "history"))].set_index("checkpoint").to_dict("index")
        for at in (name for name in _CHECKPOINTS if name in set(rows.checkpoint)):
            line |= _moments(measured.get(at), at)
        lines.append(line)
    return pd.DataFrame(lines)


def curves(rows: pd.DataFrame) -> list[Curves]:
    """The curves of every rule for W&B, ``verifier/quantity`` by step: means over seeds, shared step size."""
    shared = rows[(rows.kind == "curve") & (rows.learning_rate == SHARED)]
    found = []
    for rule, own in shared.groupby("rule", sort=False):
        means = own.groupby(["verifier", "step"], sort=False)[list(_QUANTITIES)].mean()
        points: dict[int, dict[str, float | None]] = {}
        for row in means.reset_index().to_dict("records"):
            place = points.setdefault(int(row["step"]), {})
            place |= {f"{row['verifier']}/{name}": float(row[name]) for name in _QUANTITIES}
        found.append(Curves(str(rule), f"seeds 0-{int(own.seed.max())}", points))
    return found


def _contestants(rows: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Settings and rules there are rows of, in the order of the design."""
    there = set(zip(rows.verifier, rows.rule, strict=True))
    yield from ((verifier, rule) for verifier in STARTS for rule in ALL if (verifier, rule) in there)


def _last(own: pd.DataFrame) -> pd.DataFrame:
    """Ends of the runs at the shared step size, in the order of their seeds."""
    ends = own[(own.kind == "sample") & (own.learning_rate == SHARED)]
    return ends.sort_values("seed")


def _ends(ends: pd.DataFrame, rival: pd.DataFrame, rule: str) -> dict[str, Any]:
    line: dict[str, Any] = {"runs": len(ends)}
    for name, title in (("pass_at_1", "pass@1"), ("pass_at_k", "pass@4")):
        some = len(ends) > 0
        scores = ends[[name]].to_numpy().T
        line[f"{title} at the end"] = (
            _text(interquartile_mean_interval(scores, seed=SEED)) if some else NOTHING
        )
        apart = some and rule != CENTERED and len(rival) == len(ends)
        lead = difference_interval(rival[[name]].to_numpy().T, scores, seed=SEED) if apart else None
        line[f"{title}, {CENTERED} - rule"] = _text(lead) if lead else NOTHING
    off = (ends.sampled_pass_at_k - ends.pass_at_k) / ends.sampled_pass_at_k_error
    line["sampled pass@4, largest |z|"] = f"{off.abs().max():.1f}" if len(ends) else NOTHING
    return line


def _moments(found: dict[Any, Any] | None, at: str) -> dict[str, str]:
    """Columns of a checkpoint."""
    shown = dict.fromkeys(("variance ratio", "efficiency", "signal to noise", "sampled, |z|"), NOTHING)
    if found is not None:
        off = abs(found["sampled_trace"] - found["total_trace"]) / found["sampled_trace_error"]
        unbiased = not pd.isna(found["efficiency"])
        if not pd.isna(off):
            shown |= {"signal to noise": f"{found['snr']:.4f}", "sampled, |z|": f"{off:.1f}"}
        # Variances of a rule with a direction of its own compare with no other's.
        shown |= (
            {"variance ratio": f"{found['ratio']:.3f}", "efficiency": f"{found['efficiency']:.3f}"}
            if unbiased
            else {}
        )
    return {f"{name}, {at}": text for name, text in shown.items()}


def _text(found: Interval) -> str:
    return f"{float(found.estimate):.3f} [{float(found.low):.3f}, {float(found.high):.3f}]"


def _dash(rule: str) -> str:
    """Rules with a memory are dashed: their colours are near those of others."""
    return "--" if rule in {REPLAY, FLOOR} else "-"


def _name(rule: str) -> str:
    return "grpo (TRL's)" if rule == GRPO else rule


def _overview(rows: pd.DataFrame) -> Figure:
    """One line of panels per setting: pass@1 and pass@4 by step, the variance of each prompt's gradient."""
    settings = [verifier for verifier in STARTS if verifier in set(rows.verifier)]
    figure, grid = subplots(
        len(settings), 3, figsize=(PAGE, 1.95 * len(settings) + 0.45), squeeze=False, width_ratios=(1, 1, 1.1)
    )
    for line, verifier in zip(grid, settings, strict=True):
        own = rows[rows.verifier == verifier]
        runs = own[(own.kind == "curve") & (own.learning_rate == SHARED)]
        for axes, name, title in zip(line, ("pass_at_1", "pass_at_k"), ("pass@1", "pass@4"), strict=False):
            _curves(axes, runs, name)
            axes.set_title(f"{TITLES[verifier]}: {title}", fontsize=7.5)
            axes.set_xlabel("step")
        line[0].set_ylabel(f"mean of {HELD_OUT} held-out prompts", fontsize=7)
        _scatter(line[2], own[own.kind == "prompt"])
        line[2].set_title("gradient variance, prompt by prompt", fontsize=7.5)
    rules = [rule for rule in ALL if rule in set(rows.rule)]
    figure.legend(
        [Line2D([], [], color=colour_of(rule), lw=2, ls=_dash(rule)) for rule in rules]
        + [_dot(at) for at in _CHECKPOINTS if at in set(rows.checkpoint)],
        [_name(rule) for rule in rules] + [at for at in _CHECKPOINTS if at in set(rows.checkpoint)],
        loc="outside upper center",
        ncols=6 if len(rules) <= len(RULES) else 4,
        columnspacing=1.2,
        handlelength=1.9,
    )
    return figure


def _curves(axes: Axes, runs: pd.DataFrame, name: str) -> None:
    for rule in (each for each in TRAINED if each in set(runs.rule)):
        scores = runs[runs.rule == rule].pivot_table(index="step", columns="seed", values=name)
        found = interquartile_mean_interval(scores.to_numpy()[:, None, :], seed=SEED)
        style: dict[str, Any] = {
            "color": colour_of(rule),
            "lw": 2.0 if rule == CENTERED else 1.1,
            "ls": _dash(rule),
        }
        axes.plot(scores.index, found.estimate, **style)
        axes.fill_between(scores.index, found.low, found.high, color=colour_of(rule), alpha=0.13, lw=0)
    if len(runs):
        axes.set_xlim(0, runs.step.max())


def _scatter(axes: Axes, prompts: pd.DataFrame) -> None:
    """Ratio of trace covariances by the prompt's pass@1; the rules that are unbiased for max@K alone."""
    for at, (marker, filled) in _CHECKPOINTS.items():
        for rule in (each for each in ALL if each not in {GRPO, REFERENCE}):
            own = prompts[(prompts.checkpoint == at) & (prompts.rule == rule)]
            fill = colour_of(rule) if filled else "none"
            axes.plot(
                own.pass_at_1, own.ratio, marker, ms=3.2, mew=0.8, mec=colour_of(rule), mfc=fill, alpha=0.9
            )
    axes.axhline(1.0, color=colour_of(REFERENCE), lw=1.1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    shown = prompts[~prompts.rule.isin((GRPO, REFERENCE))].ratio
    ticks = [tick for tick in (0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20) if _near(tick, shown)]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("pass@1 of the prompt")
    axes.set_ylabel(f"tr Cov over that of {REFERENCE}", fontsize=7)


def _near(tick: float, ratios: pd.Series) -> bool:
    return not len(ratios) or 0.85 * min(1.0, ratios.min()) <= tick <= 1.15 * max(1.0, ratios.max())


def _dot(at: str) -> Line2D:
    marker, filled = _CHECKPOINTS[at]
    return Line2D([], [], color="0.3", ls="", marker=marker, ms=3.5, mfc="0.3" if filled else "none")


def _ratios(rows: pd.DataFrame) -> Figure:
    """Ratios at each checkpoint: within prompts and in all exact, and in all sampled with its interval."""
    places = [
        (verifier, at)
        for verifier in STARTS
        for at in _CHECKPOINTS
        if len(rows[(rows.verifier == verifier) & (rows.checkpoint == at)])
    ]
    figure, grid = subplots(1, len(places), figsize=(PAGE, 1.9), squeeze=False, sharey=True)
    rules = [rule for rule in RULES if rule not in {REFERENCE, GRPO}]
    height = np.arange(len(rules))
    for axes, (verifier, at) in zip(grid[0], places, strict=True):
        own = rows[(rows.verifier == verifier) & (rows.checkpoint == at)].set_index("rule").loc[rules]
        colours = [colour_of(rule) for rule in rules]
        axes.barh(height + 0.2, own.ratio, color=colours, height=0.3)
        axes.barh(height - 0.15, own.total_ratio, color=colours, height=0.3, alpha=0.45)
        reach = np.exp(1.96 * own.sampled_ratio_error / own.sampled_ratio)
        ends = np.stack([own.sampled_ratio * (1 - 1 / reach), own.sampled_ratio * (reach - 1)])
        axes.errorbar(
            own.sampled_ratio, height - 0.15, xerr=ends, fmt="o", color="0.15", ms=2.5, elinewidth=0.9
        )
        axes.axvline(1.0, color=colour_of(REFERENCE), lw=1.1)
        axes.set_yticks(height, [_name(rule) for rule in rules])
        axes.grid(visible=False, axis="y")
        axes.set_title(f"{TITLES[verifier]},\n{at}: pass@1 {own.pass_at_1.iloc[0]:.2f}", fontsize=7)
    figure.supxlabel(
        f"tr Cov over that of {REFERENCE}; full: given the prompt, exact; pale: prompt drawn, exact; "
        "points: the same, sampled, 95 %",
        fontsize=7,
    )
    return figure


def _search(rows: pd.DataFrame) -> Figure:
    """pass@4 at the end of the runs of the first seed, by step size."""
    settings = [verifier for verifier in STARTS if verifier in set(rows.verifier)]
    figure, grid = subplots(1, len(settings), figsize=(PAGE, 2.1), squeeze=False)
    first = rows[(rows.seed == 0) & (rows.step == rows.step.max())]
    sizes = sorted({SHARED, *OTHERS} & set(first.learning_rate))
    for axes, verifier in zip(grid[0], settings, strict=True):
        for rule in (each for each in TRAINED if each in set(first.rule)):
            own = first[(first.verifier == verifier) & (first.rule == rule)].sort_values("learning_rate")
            places = [sizes.index(size) for size in own.learning_rate]
            axes.plot(places, own.pass_at_k, marker="o", color=colour_of(rule), label=_name(rule))
        axes.set_xticks(range(len(sizes)), [f"{size:g}" for size in sizes])
        axes.set_title(TITLES[verifier])
        axes.set_xlabel("step size of Adam")
    grid[0][0].set_ylabel("pass@4 at the end, one seed")
    grid[0][0].legend(fontsize=6.3)
    return figure
