"""Angles and scales of updates by lag, clip and length; weights of prompts in loops, from stored rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from ...output.colours import colour_of
from ...output.style import PAGE, subplots

#: Line of each rule: those that lie on each other are told apart by their dashes.
DASHES: Mapping[str, str] = {
    "maxpo": "-",
    "pkpo-loo1": "-",
    "pkpo-s": "-",
    "replay": "--",
    "centered-replay": "--",
    "grpo": "-",
    "rloo": ":",
}
COLOURS: Mapping[str, str] = {"replay": "#009e73", "centered-replay": "#882255"}
SHAPES: Mapping[str, str] = {
    "right as long as wrong": "alike",
    "right short": "right ones short",
    "right long": "right ones long",
}
#: An angle below this is none.
_NO_ANGLE = 1e-9


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Defaults of frameworks, judged: angle and scale on fresh rollouts and after a lag."""
    chosen = rows[rows.part == "default"]
    lines = []
    for loss, of_loss in chosen.groupby("loss", sort=False):
        line: dict[str, object] = {"loss": loss}
        for rule, of_rule in of_loss.groupby("rule", sort=False):
            for _, row in of_rule.iterrows():
                when = "fresh" if row.x == 0 else f"KL {row.x:g}"
                line[f"{rule}, {when}: rad"] = _angle(row.angle)
                line[f"{rule}, {when}: scale"] = f"{row.scale:.3g}"
        lines.append(line)
    return pd.DataFrame(lines)


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """``figure``: what turns an update; ``weights``: what weighs prompts; ``off_policy``: old rollouts."""
    return {"figure": _turned(rows), "weights": _weighed(rows), "off_policy": _of_old_rollouts(rows)}


def _turned(rows: pd.DataFrame) -> Figure:
    success = rows.success[rows.part == "lag"].max()
    at = rows[rows.success == success]
    figure, grid = subplots(2, 3, figsize=(PAGE, 4.6))
    lag = at[(at.part == "lag") & (at.loss == "ppo")]
    clip = at[(at.part == "clip") & (at.setting == "KL 0.01")]
    _curves(grid[0][0], lag, "angle", "angle to grad J, rad")
    _curves(grid[1][0], lag, "scale", "scale")
    _curves(grid[0][1], clip, "angle", "")
    _curves(grid[1][1], clip, "scale", "")
    for axes in (grid[0][0], grid[1][0]):
        axes.set_xscale("log")
        axes.set_xlabel("KL(old || new), nats")
    for axes in (grid[0][1], grid[1][1]):
        axes.set_xlabel("clip range")
    grid[0][0].set_title(f"PPO's clip of 0.2, by lag  (p = {success:g})")
    grid[0][1].set_title("at KL 0.01, by clip range")
    _losses(grid[0][2], at[(at.part == "lag") & (at.rule == "maxpo")])
    _lengths(grid[1][2], at[(at.part == "length") & (at.rule == "maxpo")])
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=7, fontsize=6.5, handlelength=3)
    return figure


def _curves(axes: Axes, rows: pd.DataFrame, what: str, label: str) -> None:
    for rule, dashes in DASHES.items():
        curve = rows[rows.rule == rule]
        axes.plot(curve.x, curve[what], dashes, marker="o", ms=2.5, color=_colour(rule), label=rule)
    axes.set_ylabel(label)


def _losses(axes: Axes, rows: pd.DataFrame) -> None:
    for (loss, curve), colour in zip(rows.groupby("loss", sort=False), _PALETTE, strict=False):
        axes.plot(curve.x, curve.angle, "o-", ms=2.5, color=colour, label=loss)
    axes.set_xscale("log")
    axes.set_xlabel("KL(old || new), nats")
    axes.set_title("maxpo, other losses: rad")
    axes.legend(fontsize=5.5)


def _lengths(axes: Axes, rows: pd.DataFrame) -> None:
    for (_, of_loss), colour in zip(rows.groupby("loss", sort=False), _PALETTE, strict=False):
        for shape, dashes in zip(SHAPES, ("-", "--", ":"), strict=True):
            curve = of_loss[of_loss.setting == shape]
            axes.plot(curve.x, np.maximum(curve.angle, 1e-4), dashes, marker="o", ms=2.5, color=colour)
    axes.set_yscale("log")
    axes.set_xlabel("longest word, tokens")
    axes.set_title("maxpo, means over tokens: rad")
    for loss, colour in zip(rows.loss.unique(), _PALETTE, strict=False):
        axes.plot([], [], color=colour, label=f"{loss}{', 8 prompts' if loss == 'token-mean' else ''}")
    for shape, dashes in zip(SHAPES.values(), ("-", "--", ":"), strict=True):
        axes.plot([], [], dashes, color="0.3", label=shape)
    axes.legend(fontsize=5.5, ncols=2, loc="center", bbox_to_anchor=(0.5, 0.27), columnspacing=1)


def _weighed(rows: pd.DataFrame) -> Figure:
    chosen = rows[rows.part == "weight"]
    names = list(chosen.setting.unique())
    figure, grid = subplots(2, 4, figsize=(PAGE, 4.2), sharex=True)
    for axes, name in zip(grid.ravel(), names, strict=False):
        for rule, dashes in DASHES.items():
            curve = chosen[(chosen.setting == name) & (chosen.rule == rule)]
            axes.plot(curve.x, curve.scale, dashes, color=_colour(rule), label=rule)
        axes.axhline(1.0, color="0.6", lw=0.6, zorder=0)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(0.3, 30)
        axes.set_title(name)
    for axes in grid[1]:
        axes.set_xlabel("success probability p")
    for axes in grid[:, 0]:
        axes.set_ylabel("weight over its own\nwithout the loop")
    for axes in grid.ravel()[len(names) :]:
        axes.set_visible(False)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=7, fontsize=6.5, handlelength=3)
    return figure


#: What to make of old rollouts: a rule under a loss, how it is called, and its line; two lie on each other.
_OLD = {
    ("maxpo", "off-policy"): ("maxpo, one ratio a rollout", "-", "#e69f00", 3.0),
    ("maxpo", "identity"): ("maxpo, no ratio", "--", "#e69f00", 1.3),
    ("maxpo", "ppo"): ("maxpo, PPO's clip", ":", "#e69f00", 1.3),
    ("off-policy max@k", "off-policy"): ("off-policy max@k", "-", "#0072b2", 1.3),
}


def _of_old_rollouts(rows: pd.DataFrame) -> Figure:
    chosen = rows[rows.part == "off-policy"]
    chosen = chosen[chosen.success == chosen.success.max()]
    figure, (angle, scale, noise) = subplots(1, 3, figsize=(PAGE, 2.5))
    for (rule, loss), (label, dashes, colour, width) in _OLD.items():
        curve = chosen[(chosen.rule == rule) & (chosen.loss == loss)]
        for axes, what in ((angle, curve.angle), (scale, curve.scale), (noise, curve.noise)):
            axes.plot(curve.x, what, dashes, marker="o", ms=2.5, lw=width, color=colour, label=label)
    for axes, title in (
        (angle, "angle to grad J, rad"),
        (scale, "scale"),
        (noise, "tr Cov / |scale grad J|²"),
    ):
        axes.set_xscale("log")
        axes.set_xlabel("KL(old || new), nats")
        axes.set_title(title)
    noise.set_yscale("log")
    noise.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    noise.yaxis.set_major_formatter("{x:g}")
    noise.yaxis.set_minor_locator(NullLocator())
    scale.axhline(1.0, color="0.6", lw=0.6, zorder=0)
    handles, labels = angle.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=6.5, handlelength=3)
    return figure


_PALETTE = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#000000", "#882255")


def _colour(rule: str) -> str:
    return COLOURS.get(rule) or colour_of(rule)


def _angle(angle: float) -> str:
    if np.isnan(angle):
        return ""
    return f"{angle:.2g}" if angle > _NO_ANGLE else "0"
