"""Predicted against realised, the loss of a constant step size, step sizes and paths, from stored rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...output.colours import colour_of
from ...output.style import PAGE, subplots
from .subjects import AGAIN, LOOPS, PLANTED

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
_DRAWN = (0.5, 2.0)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per regime, policy and rule: the exact ratio of variances, predicted and realised ratios, power."""
    lines = []
    for row in rows[rows.kind == "pair"].itertuples():
        lines.append(
            {
                "regime": row.regime,
                "step size": row.policy,
                "rule": row.rule,
                "against": row.against,
                "seeds": row.seeds,
                "noise / signal": _text(row.noise_share, "{:.1f}"),
                "ratio of tr(H Sigma)": _text(row.variance_ratio),
                "predicted rollouts": _text(row.predicted),
                "realised rollouts": _text(row.realised)
                + ("" if np.isnan(row.low) else f" [{row.low:.2f}, {row.high:.2f}]"),
                "smallest ratio seen": _text(row.resolvable),
                "note": row.note or "",
            }
        )
    return pd.DataFrame(lines)


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """``figure``: predicted against realised; ``stationary``, ``step_sizes``, ``path``: what is behind it."""
    pairs = rows[(rows.kind == "pair") & rows.realised.notna()]
    return {
        "figure": _against(pairs),
        "stationary": _stationary(rows[rows.kind == "stationary"]),
        "step_sizes": _sizes(rows),
        "path": _paths(rows[rows.kind == "path"]),
    }


def _against(pairs: pd.DataFrame) -> Figure:
    figure, (left, right) = subplots(1, 2, figsize=(PAGE, 4.3), sharey=True)
    regimes = list(dict.fromkeys(pairs.regime))
    for axes, column in ((left, "variance_ratio"), (right, "predicted")):
        axes.plot(_DRAWN, _DRAWN, color="0.5", lw=0.8, zorder=1)
        for row in pairs.itertuples():
            x = getattr(row, column)
            if np.isnan(x) or not _DRAWN[0] <= x <= _DRAWN[1] or not _DRAWN[0] <= row.realised <= _DRAWN[1]:
                continue
            hollow = bool(row.note) or row.rule in LOOPS
            colour = _COLOURS[regimes.index(row.regime)]
            axes.errorbar(
                x,
                row.realised,
                yerr=[[row.realised - row.low], [row.high - row.realised]],
                fmt=_MARKERS[row.policy],
                color=colour,
                mfc="white" if hollow else colour,
                ms=6 if row.rule == PLANTED else 4,
                lw=0.6,
                zorder=3 if row.rule == PLANTED else 2,
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(*_DRAWN)
        axes.set_ylim(*_DRAWN)
        ticks = [0.5, 0.7, 1.0, 1.4, 2.0]
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
            axis.set_minor_locator(_none())
    left.set_xlabel("ratio of variances, tr(H $\\Sigma$) along the exact path")
    right.set_xlabel("predicted ratio of rollouts, from exact moments\nand the policy of the step size")
    left.set_ylabel("realised ratio of rollouts to the target")
    left.set_title("all policies of the step size")
    right.set_title("each policy with its own law")
    handles = [
        *(
            Line2D([], [], marker="o", ls="", color=_COLOURS[i], label=regime)
            for i, regime in enumerate(regimes)
        ),
        *(
            Line2D([], [], marker=_MARKERS[policy], ls="", color="0.3", label=policy)
            for policy in _MARKERS
            if (pairs.policy == policy).any()
        ),
        Line2D([], [], marker="o", ls="", color="0.3", mfc="white", label="not variance-limited, or a loop"),
        Line2D([], [], marker="o", ls="", color="0.3", ms=6.5, label="planted (larger)"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=6.5)
    return figure


def _none() -> object:
    from matplotlib.ticker import NullLocator  # noqa: PLC0415 - one use

    return NullLocator()


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
        axes.set_xlabel("step size x largest curvature")
        axes.set_title(policy)
        axes.legend(fontsize=6)
    grid[0][0].set_ylabel("stationary loss over tr(H S) / 2")
    return figure


def _sizes(rows: pd.DataFrame) -> Figure:
    """Rollouts to the target by step size of the regime with most rules: lines predicted, points realised."""
    at = rows[(rows.kind == "size") & (rows.policy == "constant")]
    regimes = [name for name in dict.fromkeys(at.regime)][:3]
    figure, grid = subplots(1, max(1, len(regimes)), figsize=(PAGE, 2.7), squeeze=False)
    for axes, regime in zip(grid[0], regimes, strict=False):
        own = at[at.regime == regime]
        for rule in ("maxpo", PLANTED, "pkpo-loo1", "predictive", "replay"):
            each = own[own.rule == rule]
            if not each.realised.notna().any():
                continue
            colour = "0.4" if rule == PLANTED else _colour(rule)
            axes.plot(each.x, each.predicted, "-", color=colour, lw=1)
            axes.plot(each.x, each.realised, "o", color=colour, label=rule)
        axes.set_xscale("log")
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
        (diversity, "effective number of correct outcomes"),
        (share, "tr(H $\\Sigma$) / P over |g|$^2$"),
    ):
        axes.set_xlabel("max@K")
        axes.set_ylabel(name)
    diversity.set_yscale("log")
    share.set_yscale("symlog", linthresh=0.01)
    figure.legend(*success.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=6.5)
    return figure


def _colour(rule: str) -> str:
    return colour_of("maxpo" if rule == AGAIN else rule)


def _text(value: float | None, form: str = "{:.2f}") -> str:
    return "-" if value is None or np.isnan(value) else form.format(value)
