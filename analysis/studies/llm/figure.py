"""What was predicted and realised, variances at the checkpoints, and the tuning, from stored rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...output.colours import colour_of
from ...output.style import PAGE, subplots
from ...run.curves import Curves
from . import outcomes
from .design import FLOOR, GRPO, REFERENCE, REPLAY, SETTINGS, TRAINED, UNBIASED, Verifier

NOTHING = "-"
#: All that there are rows of.
ALL = (*TRAINED, FLOOR)
_QUANTITIES = ("pass_at_1", "pass_at_k", "diversity")
#: Marker and its fill at each checkpoint.
_CHECKPOINTS = {"warm start": ("o", False), "half way": ("D", False), "trained": ("s", True)}
_SHOWN = {"pass_at_1": "pass@1", "pass_at_k": "pass@4", "area": "area", "rollouts": "rollouts to the target"}


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """``figure``: predicted and realised; ``variance``: checkpoints; ``learning_rate``: the tuning."""
    return {
        "figure": _overview(rows),
        "variance": _variances(rows),
        "learning_rate": _search(rows[rows.kind == "tuning"]),
    }


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per setting and rule: the ends of its runs, how far from the reference, and its variance."""
    means, leads, sizes = outcomes.means(rows), outcomes.leads(rows), outcomes.chosen(rows)
    predicted = outcomes.predictions(rows)
    lines = []
    for verifier in _settings(rows):
        for rule in (each for each in ALL if ((rows.verifier == verifier) & (rows.rule == each)).any()):
            where = f"verifier == {verifier!r} and rule == {rule!r}"
            line: dict[str, Any] = {"verifier": verifier, "rule": rule}
            rate = sizes.query(where)
            line["step size"] = NOTHING if rate.empty else f"{rate.learning_rate.iloc[0]:g}"
            own, lead = means.query(where), leads.query(f"{where} and over == {REFERENCE!r}")
            runs = outcomes.ends(rows).query(where)
            line["runs"], line["diverged"] = len(runs), int(runs.diverged.astype(bool).sum())
            for quantity, title in _SHOWN.items():
                line[title] = _text(own[own.quantity == quantity])
                line[f"{title}, against {REFERENCE}"] = _text(lead[lead.quantity == quantity], visible=True)
            line["diversity at the end"] = _text(own[own.quantity == "diversity"], digits=1)
            off = (runs.sampled_pass_at_k - runs.held_out_pass_at_k) / runs.sampled_pass_at_k_error
            line["sampled pass@4, largest |z|"] = f"{off.abs().max():.1f}" if len(runs) else NOTHING
            measured = rows.query(where)
            measured = measured[measured.kind.isin(("variance", "history"))].set_index("checkpoint")
            for at in (name for name in _CHECKPOINTS if name in set(rows.checkpoint)):
                line |= _moments(measured.to_dict("index").get(at), at)
                plan = predicted.query(f"{where} and over == {REFERENCE!r} and checkpoint == {at!r}")
                line[f"rollouts predicted, {at}"] = NOTHING if plan.empty else f"{plan.predicted.iloc[0]:.3f}"
            lines.append(line)
    return pd.DataFrame(lines)


def curves(rows: pd.DataFrame) -> list[Curves]:
    """The curves of every rule for W&B, ``verifier/quantity`` by step: means over seeds, tuned step size."""
    found = []
    for rule, own in outcomes.curves(rows).groupby("rule", sort=False):
        averaged = own.groupby(["verifier", "step"], sort=False)[list(_QUANTITIES)].mean()
        points: dict[int, dict[str, float | None]] = {}
        for row in averaged.reset_index().to_dict("records"):
            place = points.setdefault(int(row["step"]), {})
            place |= {f"{row['verifier']}/{name}": float(row[name]) for name in _QUANTITIES}
        found.append(Curves(str(rule), f"seeds 0-{int(own.seed.max())}", points))
    return found


def _settings(rows: pd.DataFrame) -> list[Verifier]:
    """Settings there are rows of, in the order of the design."""
    return [verifier for verifier in SETTINGS if verifier in set(rows.verifier)]


def _text(found: pd.DataFrame, *, visible: bool = False, digits: int = 3) -> str:
    if found.empty:
        return NOTHING
    row = found.iloc[0]
    wide = 0 if abs(row.estimate) >= 100 else digits
    shown = f"{row.estimate:.{wide}f} [{row.low:.{wide}f}, {row.high:.{wide}f}]"
    return f"{shown}, visible {row.visible:.{digits}f}" if visible else shown


def _moments(found: dict[Any, Any] | None, at: str) -> dict[str, str]:
    """Columns of a checkpoint."""
    shown = dict.fromkeys(("variance ratio", "efficiency", "signal to noise", "sampled, |z|"), NOTHING)
    if found is not None:
        off = abs(found["sampled_trace"] - found["total_trace"]) / found["sampled_trace_error"]
        if not pd.isna(off):
            shown |= {"signal to noise": f"{found['snr']:.4f}", "sampled, |z|": f"{off:.1f}"}
        # Variances of a rule with a direction of its own compare with no other's.
        if not pd.isna(found["efficiency"]):
            shown |= {"variance ratio": f"{found['ratio']:.3f}", "efficiency": f"{found['efficiency']:.3f}"}
    return {f"{name}, {at}": text for name, text in shown.items()}


def _dash(rule: str) -> str:
    """Rules with a memory are dashed: their colours are near those of others."""
    return "--" if rule in {REPLAY, FLOOR} else "-"


def _name(rule: str) -> str:
    return "grpo (TRL's)" if rule == GRPO else rule


def _overview(rows: pd.DataFrame) -> Figure:
    """Many derivations above: lead along training, diversity, prediction; below the ends of all settings."""
    settings = _settings(rows)
    figure, grid = subplots(2, 3, figsize=(PAGE, 4.4), squeeze=False)
    _lead(grid[0][0], rows)
    _diversity(grid[0][1], rows)
    _against_prediction(grid[0][2], rows)
    grid[0][0].set_title(f"pass@4 less that of {REFERENCE}", fontsize=7)
    grid[0][1].set_title("right completions in effect, of 30", fontsize=7)
    grid[0][2].set_title(f"rollouts to pass@4 of {SETTINGS['order'].target}", fontsize=7)
    leads, power = outcomes.leads(rows), rows[rows.kind == "power"]
    for place, axes in enumerate(grid[1]):
        if place >= len(settings):
            axes.set_visible(False)
            continue
        verifier = settings[place]
        _forest(axes, leads[leads.verifier == verifier], power[power.verifier == verifier])
        axes.set_title(SETTINGS[verifier].title, fontsize=7)
        axes.set_xlabel(f"pass@4 at the end, less {REFERENCE}'s", fontsize=7)
        if place:
            axes.set_yticklabels([])
    rules = [rule for rule in TRAINED if rule in set(rows.rule)]
    figure.legend(
        [Line2D([], [], color=colour_of(rule), lw=2, ls=_dash(rule)) for rule in rules],
        [_name(rule) for rule in rules],
        loc="outside upper center",
        ncols=5,
        columnspacing=1.2,
        handlelength=1.9,
    )
    return figure


def _lead(axes: Axes, rows: pd.DataFrame) -> None:
    found = outcomes.against(rows, "order")
    for rule in (each for each in TRAINED if each in set(found.rule)):
        own = found[found.rule == rule]
        axes.plot(own.step, own.estimate, color=colour_of(rule), ls=_dash(rule), lw=1.4)
        axes.fill_between(own.step, own.low, own.high, color=colour_of(rule), alpha=0.13, lw=0)
    axes.axhline(0.0, color=colour_of(REFERENCE), lw=1.1)
    axes.set_xlabel("step")


def _diversity(axes: Axes, rows: pd.DataFrame) -> None:
    own = outcomes.curves(rows)
    own = own[own.verifier == "order"]
    for rule in (each for each in TRAINED if each in set(own.rule)):
        found = own[own.rule == rule].groupby("step")
        averaged = found[["pass_at_k", "diversity"]].mean()
        axes.plot(averaged.pass_at_k, averaged.diversity, color=colour_of(rule), ls=_dash(rule), lw=1.4)
    axes.set_yscale("log")
    ticks = (2, 3, 5, 10, 20, 30)
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("pass@4 of the trained prompts", fontsize=7)


def _against_prediction(axes: Axes, rows: pd.DataFrame) -> None:
    """Predicted at the checkpoints, as is and by the root for Adam, and realised with its interval."""
    predicted, leads = outcomes.predictions(rows), outcomes.leads(rows)
    rules = [rule for rule in UNBIASED if rule != REFERENCE]
    height = np.arange(len(rules))[::-1]
    shown = f"verifier == 'order' and over == {REFERENCE!r}"
    for place, rule in zip(height, rules, strict=True):
        for at, (marker, filled) in _CHECKPOINTS.items():
            own = predicted.query(f"{shown} and rule == {rule!r} and checkpoint == {at!r}")
            fill = "0.3" if filled else "none"
            axes.plot(own.predicted, [place + 0.28] * len(own), marker, ms=4.2, mec="0.3", mfc=fill)
            axes.plot(own.adam, [place + 0.05] * len(own), marker, ms=2.4, mec="0.3", mfc=fill)
        real = leads.query(f"{shown} and rule == {rule!r} and quantity == 'rollouts'")
        _bar(axes, real, place - 0.22, colour_of(rule))
    _visible(axes, rows[(rows.kind == "power") & (rows.verifier == "order")], "rollouts")
    axes.axvline(1.0, color=colour_of(REFERENCE), lw=1.1)
    axes.set_yticks(height, rules)
    axes.grid(visible=False, axis="y")
    axes.set_ylim(-0.6, len(rules) - 0.4)
    axes.set_xlabel(f"over those of {REFERENCE}", fontsize=7)


def _forest(axes: Axes, leads: pd.DataFrame, power: pd.DataFrame) -> None:
    rules = [rule for rule in TRAINED if rule != REFERENCE]
    height = np.arange(len(rules))[::-1]
    for place, rule in zip(height, rules, strict=True):
        own = leads[(leads.rule == rule) & (leads.over == REFERENCE) & (leads.quantity == "pass_at_k")]
        _bar(axes, own, place, colour_of(rule))
    _visible(axes, power, "pass_at_k")
    axes.axvline(0.0, color=colour_of(REFERENCE), lw=1.1)
    axes.set_yticks(height, [_name(rule) for rule in rules])
    axes.grid(visible=False, axis="y")
    axes.set_ylim(-0.6, len(rules) - 0.4)


def _bar(axes: Axes, own: pd.DataFrame, place: float, colour: str) -> None:
    if len(own):
        reach = np.stack([own.estimate - own.low, own.high - own.estimate])
        axes.errorbar(
            own.estimate, [place], xerr=reach, fmt="o", color=colour, ms=3.5, elinewidth=1.4, capsize=2
        )


def _visible(axes: Axes, power: pd.DataFrame, quantity: str) -> None:
    """Grey where the pilot said that the seeds would see nothing."""
    for apart in power[power.quantity == quantity].visible:
        ends = (1 / apart, apart) if quantity == "rollouts" else (-apart, apart)
        axes.axvspan(*ends, color="0.5", alpha=0.13, lw=0)


def _variances(rows: pd.DataFrame) -> Figure:
    """Ratios at each checkpoint, given the prompt and in all; and prompt by prompt."""
    measured, settings = rows[rows.kind.isin(("variance", "history"))], _settings(rows)
    figure, grid = subplots(2, len(settings), figsize=(PAGE, 4.1), squeeze=False)
    rules = [rule for rule in ALL if rule not in {REFERENCE, GRPO}]
    height = np.arange(len(rules))[::-1]
    for (above, below), verifier in zip(grid.T, settings, strict=True):
        for at, (marker, filled) in _CHECKPOINTS.items():
            own = measured[(measured.verifier == verifier) & (measured.checkpoint == at)].set_index("rule")
            for place, rule in zip(height, rules, strict=True):
                if rule not in own.index:
                    continue
                colour, line = colour_of(rule), own.loc[rule]
                fill = colour if filled else "none"
                above.plot(line.ratio, place + 0.18, marker, ms=5, mec=colour, mfc=fill)
                if not pd.isna(line.sampled_ratio):
                    reach = np.exp(1.96 * line.sampled_ratio_error / line.sampled_ratio)
                    span = [line.sampled_ratio / reach, line.sampled_ratio * reach]
                    above.plot(span, [place - 0.12 - 0.14 * filled] * 2, color="0.45", lw=1)
                    above.plot(
                        line.total_ratio, place - 0.12 - 0.14 * filled, marker, ms=3, mec="0.2", mfc=fill
                    )
        above.axvline(1.0, color=colour_of(REFERENCE), lw=1.1)
        above.set_yticks(height, [_name(rule) for rule in rules])
        above.grid(visible=False, axis="y")
        above.set_ylim(-0.6, len(rules) - 0.4)
        above.set_title(SETTINGS[verifier].title, fontsize=7.5)
        if verifier != settings[0]:
            above.set_yticklabels([])
        above.set_xlabel(f"tr Cov over that of {REFERENCE}", fontsize=7)
        below.set_xlabel("pass@1 of a prompt", fontsize=7)
        _scatter(below, rows[(rows.kind == "prompt") & (rows.verifier == verifier)])
    grid[1][0].set_ylabel(f"tr Cov over that of {REFERENCE}", fontsize=7)
    places = [at for at in _CHECKPOINTS if at in set(rows.checkpoint)]
    figure.legend([_dot(at) for at in places], places, loc="outside upper center", ncols=len(places))
    return figure


def _dot(at: str) -> Line2D:
    marker, filled = _CHECKPOINTS[at]
    return Line2D([], [], color="0.3", ls="", marker=marker, ms=4, mfc="0.3" if filled else "none")


def _scatter(axes: Axes, prompts: pd.DataFrame) -> None:
    """Ratio of trace covariances by the prompt's pass@1; the rules that are unbiased for max@K alone."""
    for at, (marker, filled) in _CHECKPOINTS.items():
        for rule in (each for each in ALL if each not in {GRPO, REFERENCE}):
            own = prompts[(prompts.checkpoint == at) & (prompts.rule == rule)]
            fill = colour_of(rule) if filled else "none"
            axes.plot(
                own.pass_at_1, own.ratio, marker, ms=2.8, mew=0.7, mec=colour_of(rule), mfc=fill, alpha=0.85
            )
    axes.axhline(1.0, color=colour_of(REFERENCE), lw=1.1)
    axes.set_yscale("log")
    shown = prompts[~prompts.rule.isin((GRPO, REFERENCE))].ratio
    ticks = [tick for tick in (0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20) if _near(tick, shown)]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def _near(tick: float, ratios: pd.Series) -> bool:
    return not len(ratios) or 0.85 * min(1.0, ratios.min()) <= tick <= 1.15 * max(1.0, ratios.max())


def _search(rows: pd.DataFrame) -> Figure:
    """Area of the tuning runs by step size, means over the tuning seeds."""
    own = rows[rows["size"] == 1].drop_duplicates(["verifier", "rule", "learning_rate", "seed"])
    settings = _settings(own)
    figure, grid = subplots(1, len(settings), figsize=(PAGE, 2.2), squeeze=False)
    for axes, verifier in zip(grid[0], settings, strict=True):
        sizes = sorted(set(own[own.verifier == verifier].learning_rate))
        for rule in (each for each in TRAINED if each in set(own.rule)):
            runs = own[(own.verifier == verifier) & (own.rule == rule)]
            areas = runs.groupby("learning_rate").area.mean()
            places = [sizes.index(size) for size in areas.index]
            axes.plot(
                places, areas, marker="o", ms=3.5, color=colour_of(rule), ls=_dash(rule), label=_name(rule)
            )
        axes.set_xticks(range(len(sizes)), [f"{size:g}" for size in sizes])
        axes.set_title(SETTINGS[verifier].title)
        axes.set_xlabel("step size of Adam")
    grid[0][0].set_ylabel("mean pass@4 of a run, tuning seeds", fontsize=7)
    grid[0][0].legend(fontsize=6.3)
    return figure
