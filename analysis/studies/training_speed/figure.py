"""Predicted against realised, the loss of a constant step size, step sizes and paths, from stored rows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from ...output.colours import colour_of
from ...output.style import PAGE, subplots
from .design import REGIMES
from .expected import SIZES
from .subjects import LOOPS, PLANTED

#: Colours of regimes and markers of policies, in the order of the study.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#7b3294", "#333333")
_MARKERS: Mapping[str, str] = {
    "constant": "o",
    "constant, shared": "s",
    "decaying": "^",
    "decaying, shared": "D",
    "Adam": "v",
    "Adam, shared": "P",
}
#: Ratios that are drawn: those beyond are in the table.
_DRAWN = (0.68, 1.45)
#: Ratios are drawn where one of this size would have been seen.
_POWERFUL = 1.2


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per regime, policy and rule: ratios of variance and of rollouts, and what could be seen."""
    return pd.DataFrame([_line(row) for row in pairs_of(rows).to_dict("records")])


def pairs_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The pairs with ``at_target``, the ratio of tr(H Sigma) where max@K is the target, by interpolation.

    Near the target noise costs most time: the loss that it leaves is what is still to be gained. NaN where
    noise does not cost there.
    """
    path, pairs = rows[rows.kind == "path"], rows[rows.kind == "pair"].copy()
    found = {}
    for (regime, rule), own in path[path.policy.isin(SIZES)].groupby(["regime", "rule"]):
        at = own[own.policy == own.policy.iloc[0]].sort_values("x")
        found[regime, rule] = float(np.interp(REGIMES[str(regime)].target, at.x, at.curved_trace))
    ratios = []
    for row in pairs.to_dict("records"):
        rule = LOOPS[row["rule"]].rule if row["rule"] in LOOPS else row["rule"]
        base = found[row["regime"], row["against"]]
        ratios.append(found[row["regime"], rule] / base if base > 0 else np.nan)
    return pairs.assign(at_target=ratios)


def _line(row: Mapping[Hashable, Any]) -> dict[str, Any]:
    interval = "" if pd.isna(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]"
    return {
        "regime": row["regime"],
        "step size": row["policy"],
        "rule": row["rule"],
        "against": row["against"],
        "seeds": row["seeds"],
        "noise / signal": _text(row["noise_share"], "{:.1f}"),
        "ratio of tr(H Sigma)": _text(row["at_target"]),
        "predicted rollouts": _text(row["predicted"]),
        "realised rollouts": _text(row["realised"]) + interval,
        "smallest ratio seen": _text(row["resolvable"]),
        "note": "" if pd.isna(row["note"]) else row["note"],
    }


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """``figure``: predicted against realised; ``stationary``, ``step_sizes``, ``path``: what is behind it."""
    pairs = pairs_of(rows)
    return {
        "figure": _against(pairs[pairs.realised.notna()]),
        "stationary": _stationary(rows[rows.kind == "stationary"]),
        "step_sizes": _sizes(rows),
        "path": _paths(rows[rows.kind == "path"]),
    }


def _against(pairs: pd.DataFrame) -> Figure:
    """Realised against variance at own best step sizes, and elsewhere; and against the forecast."""
    figure, (own, other, law) = subplots(1, 3, figsize=(PAGE, 3.7), sharey=True)
    seen = pairs[pairs.resolvable <= _POWERFUL]
    # Where noise does not cost there is no ratio of tr(H Sigma); tr Sigma has one.
    seen = seen.assign(variance=seen.at_target.fillna(seen.trace_ratio))
    best = seen.policy.isin(("constant", "decaying"))
    regimes = list(dict.fromkeys(pairs.regime))
    _points(own, seen[best], "variance", regimes)
    _points(other, seen[~best], "variance", regimes)
    _points(law, seen, "predicted", regimes)
    own.set_title("SGD, own best step size")
    other.set_title("one step size for all, and Adam")
    law.set_title("all, as forecast")
    for axes in (own, other):
        axes.set_xlabel("ratio of variances, tr(H $\\Sigma$)")
    law.set_xlabel("predicted ratio of rollouts")
    own.set_ylabel("realised ratio of rollouts to the target")
    for axes, words, at, text in (
        (own, "P = 64: the\nsignal's curvature", (1.165, 1.09), (1.08, 0.89)),
        (own, "PPO clip,\n4 epochs", (1.0, 0.817), (1.05, 0.71)),
        (other, "one step size: noise costs\nnear the target only", (1.163, 1.035), (0.85, 0.74)),
    ):
        axes.annotate(words, at, text, fontsize=6, arrowprops={"arrowstyle": "-", "lw": 0.5, "color": "0.4"})
    handles = [
        *(
            Line2D([], [], marker="o", ls="", color=_COLOURS[i], label=regime)
            for i, regime in enumerate(regimes)
            if (seen.regime == regime).any()
        ),
        *(
            Line2D([], [], marker=_MARKERS[policy], ls="", color="0.3", label=policy)
            for policy in _MARKERS
            if (seen.policy == policy).any()
        ),
        Line2D([], [], marker="o", ls="", color="0.3", mfc="white", label="hollow: not variance-limited"),
        Line2D([], [], marker="o", ls="", color="0.3", ms=6.5, label="larger: planted"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=6)
    return figure


def _points(axes: Axes, pairs: pd.DataFrame, column: str, regimes: list[str]) -> None:
    """Realised ratios with their intervals, and the line of slope 1."""
    low, high = _DRAWN
    axes.plot(_DRAWN, _DRAWN, color="0.5", lw=0.8, zorder=1)
    for row in pairs.to_dict("records"):
        x, y, planted = row[column], row["realised"], row["rule"] == PLANTED
        if not (low <= x <= high and low <= y <= high):
            continue
        colour = _COLOURS[regimes.index(row["regime"])]
        axes.errorbar(
            x,
            y,
            yerr=[[y - row["low"]], [row["high"] - y]],
            fmt=_MARKERS[row["policy"]],
            color=colour,
            mfc="white" if pd.notna(row["note"]) or row["rule"] in LOOPS else colour,
            ms=6 if planted else 3.5,
            lw=0.6,
            zorder=3 if planted else 2,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    ticks = [0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_minor_locator(NullLocator())


def _stationary(rows: pd.DataFrame) -> Figure:
    policies = list(dict.fromkeys(rows.policy))
    figure, grid = subplots(1, max(1, len(policies)), figsize=(PAGE, 2.7), sharey=True, squeeze=False)
    for axes, policy in zip(grid[0], policies, strict=False):
        at = rows[rows.policy == policy]
        axes.axhline(1.0, color="0.4", lw=0.7)
        for place, rule in enumerate(dict.fromkeys(at.rule)):
            own = at[at.rule == rule]
            shifted = own.x * (1 + 0.06 * (place - 1))
            axes.errorbar(
                shifted,
                own.realised / own.predicted,
                yerr=1.96 * own.error / own.predicted,
                fmt="o",
                color=colour_of(rule),
                label=f"{rule}, trained",
                lw=0.8,
            )
            if own.exact.notna().all():
                axes.plot(
                    own.x, own.exact / own.predicted, "-", color=colour_of(rule), label=f"{rule}, exact chain"
                )
        axes.set_xscale("log")
        axes.xaxis.set_ticks(sorted(set(at.x)), [f"{x:g}" for x in sorted(set(at.x))])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("step size x largest curvature")
        axes.set_title(policy)
        axes.legend(fontsize=6)
    grid[0][0].set_ylabel("stationary loss over tr(H S) / 2")
    return figure


def _sizes(rows: pd.DataFrame) -> Figure:
    """Rollouts to the target by step size of the regime with most rules: lines predicted, points realised."""
    at = rows[(rows.kind == "size") & (rows.policy == "constant")]
    regimes = list(dict.fromkeys(at.regime))[:3]
    figure, grid = subplots(1, max(1, len(regimes)), figsize=(PAGE, 2.7), squeeze=False)
    for axes, regime in zip(grid[0], regimes, strict=False):
        own = at[at.regime == regime]
        for rule in ("maxpo", PLANTED, "pkpo-loo1", "predictive", "replay"):
            each = own[own.rule == rule]
            if not each.realised.notna().any():
                continue
            colour = "0.4" if rule == PLANTED else colour_of(rule)
            axes.plot(each.x, each.predicted, "-", color=colour, lw=1)
            axes.plot(each.x, each.realised, "o", color=colour, label=rule)
        least = own.realised.min()
        axes.set_ylim(0.7 * least, 2.2 * least)
        axes.set_title(regime)
        axes.set_xlabel("step size")
        axes.legend(fontsize=6)
    grid[0][0].set_ylabel("steps to the target")
    return figure


def _paths(rows: pd.DataFrame) -> Figure:
    """Along the exact path: success, diversity among what is correct, and noise over signal."""
    figure, (success, diversity, share) = subplots(1, 3, figsize=(PAGE, 2.8))
    for place, regime in enumerate(dict.fromkeys(rows.regime)):
        own = rows[(rows.regime == regime) & (rows.rule == rows.against)]
        own = own[own.policy == own.policy.iloc[0]]
        colour = _COLOURS[place]
        success.plot(own.x, own.success, "o-", color=colour, label=regime)
        diversity.plot(own.x, own.diversity, "o-", color=colour)
        share.plot(own.x, own.curved_trace / own.signal, "o-", color=colour)
    for axes, name in (
        (success, "P(highest reward)"),
        (diversity, "effective correct outcomes"),
        (share, "tr(H $\\Sigma$) / P over |g|$^2$"),
    ):
        axes.set_xlabel("max@K")
        axes.set_ylabel(name)
    diversity.set_yscale("log")
    share.set_yscale("symlog", linthresh=0.01)
    figure.legend(*success.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=6.5)
    return figure


def _text(value: Any, form: str = "{:.2f}") -> str:
    return "-" if pd.isna(value) else form.format(value)
