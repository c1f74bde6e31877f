"""Weight by difficulty, noise to signal of a batch, and what a step does to pass@1, from stored rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from ...output.colours import colour_of
from ...output.style import PAGE, subplots
from .interference import cosines_of, critical
from .study import AGAINST, EASY, OWN, PAIR, TRAINED, TRAINED_K

CURVES = ("maxpo", "rloo", "grpo", "maxrl", "passk-training", "maxrl-pkpo", "verl-grpo-passk")


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per rule and setting: scale on the hardest and easiest prompt, direction, noise to signal."""
    lines = []
    for _, group in rows[rows.arrangement == OWN].groupby(["n", "k", "estimator"], sort=False):
        ordered = group.sort_values("success")
        first, last = ordered.iloc[0], ordered.iloc[-1]
        error = first.direction_error
        lines.append(
            {
                "n": first.n,
                "K": first.k,
                "estimator": first.estimator,
                "scale, hardest": first.scale,
                "scale, easiest": last.scale,
                "direction error": f"{error:.2g} rad" if error > 1e-9 else "0",
                "noise/signal within prompts": first["within"],
                "between prompts": first["between"],
                "cosine with pass@1": group.change.sum(),
            }
        )
    return pd.DataFrame(lines)


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """``figure``: weight of a prompt and noise of the batch; ``interference``: where pass@1 falls."""
    return {"figure": _apart(rows[rows.arrangement == OWN]), "interference": _shared(rows)}


def _apart(rows: pd.DataFrame) -> Figure:
    n, k = rows.n.iloc[0], rows.k.iloc[0]
    at = rows[(rows.n == n) & (rows.k == k)]
    figure, (left, right) = subplots(1, 2, figsize=(PAGE, 3.1))
    _weights(left, at)
    # verl-grpo-passk is in the table: its noise is ten times the others' and would hide them.
    _noise(right, at[at.estimator != "verl-grpo-passk"].groupby("estimator", sort=False).first())
    title = f"{at.prompts.iloc[0]} prompts, success probability 0.001 to 0.9, n = {n}, K = {k}"
    figure.suptitle(title, fontsize=8)
    return figure


def _weights(axes: Axes, rows: pd.DataFrame) -> None:
    for name in CURVES:
        curve = rows[rows.estimator == name]
        label = "maxpo, every unbiased rule" if name == "maxpo" else name
        # Over the hardest prompt's weight: a common factor is a matter of the step size.
        weight = curve.scale / curve.scale.iloc[0]
        axes.plot(curve.success, weight, "o-", color=colour_of(name), label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(1e-3, 2e3)
    axes.set_xlabel("success probability of the prompt")
    axes.set_ylabel("weight of its pass@K gradient\n(hardest prompt = 1)")
    axes.legend(fontsize=6, loc="lower left")


def _noise(axes: Axes, batch: pd.DataFrame) -> None:
    place = np.arange(len(batch))[::-1]
    between = batch["between"]
    total = batch.within + between
    axes.barh(place, batch.within, color="#88ccee", label="within prompts")
    axes.barh(place, between, left=batch.within, color="#ddcc77", label="between prompts")
    for y, error, end in zip(place, batch.direction_error, total, strict=True):
        text = f"{error:.2f} rad" if error > 1e-9 else "exact"
        axes.text(end + 0.01 * total.max(), y, text, va="center", fontsize=6)
    axes.set_yticks(place, list(batch.index), family="monospace", fontsize=6.5)
    axes.set_xlim(0, 1.2 * float(total.max()))
    axes.set_xlabel(
        "tr Cov / |c grad J|$^2$ of a batch of 8 prompts\n(beside the bar: error of its direction)"
    )
    axes.grid(visible=False, axis="y")
    axes.legend(fontsize=6, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2)


def _shared(rows: pd.DataFrame) -> Figure:
    """Cosine of the pass@4 update with the gradient of pass@1; and where it is 0 for other rules and K."""
    figure, grid = subplots(2, 2, figsize=(PAGE, 5.2))
    (pair, batch), (critical, path) = grid
    cosines = cosines_of(rows[rows.arrangement.isin([PAIR, AGAINST])])
    at = cosines[(cosines.estimator == "maxpo") & (cosines.k == 4)]
    drawn = at[at.arrangement == PAIR]
    image = _map(pair, drawn.pivot_table(index="similarity", columns="hardest", values="cosine"))
    pair.set_xlabel(f"success rate of the harder prompt\n(the other: {EASY:g})")
    pair.set_ylabel("opposed   -   similarity   -   alike")
    pair.set_title("two prompts, maxpo, K = 4")
    _critical(critical, cosines[cosines.arrangement == PAIR])
    against = at[at.arrangement == AGAINST]
    _map(batch, against.pivot_table(index="similarity", columns="border", values="cosine"))
    batch.set_xlabel("prompts below this success rate\nare opposed to those above")
    batch.set_ylabel("similarity of any two prompts, +-")
    batch.set_title(f"{against.prompts.iloc[0]} prompts, maxpo, K = 4")
    figure.colorbar(image, ax=grid[0], label="cosine of the update with grad pass@1")
    _path(path, rows[rows.arrangement == TRAINED])
    return figure


def _map(axes: Axes, cosine: pd.DataFrame) -> QuadMesh:
    x, y = cosine.columns.to_numpy(), cosine.index.to_numpy()
    image = axes.pcolormesh(x, y, cosine.to_numpy(), cmap="RdBu", vmin=-1, vmax=1, shading="nearest")
    if cosine.to_numpy().min() < 0:
        axes.contour(x, y, cosine.to_numpy(), levels=[0.0], colors="black", linewidths=1.2)
    axes.set_xscale("log")
    axes.grid(visible=False)
    return image


def _critical(axes: Axes, cosines: pd.DataFrame) -> None:
    """The similarity below which pass@1 falls, by linear interpolation between those that were measured."""
    found = critical(cosines)
    for name, k in found[["estimator", "k"]].drop_duplicates().itertuples(index=False):
        curve = found[(found.estimator == name) & (found.k == k)]
        if curve.similarity.isna().all():
            continue
        dashes = {2: ":", 4: "-", 8: "--"}[k]
        axes.plot(curve.hardest, curve.similarity, dashes, color=colour_of(name), label=f"{name}, K = {k}")
    axes.set_xscale("log")
    axes.set_ylim(-1, 0.75)
    axes.set_yticks(np.linspace(-1, 0, 6))
    axes.set_xlabel(f"success rate of the harder prompt\n(the other: {EASY:g})")
    axes.set_title("similarity below which pass@1 falls")
    axes.legend(fontsize=6, loc="upper left")


def _path(axes: Axes, rows: pd.DataFrame) -> None:
    """Each network's cosines on its way, and how often they are negative; nothing without networks."""
    if rows.empty:
        axes.set_axis_off()
        return
    axes.axhline(0.0, color="0.4", lw=0.6)
    cosine = rows.groupby(["k", "path", "step"]).change.sum()
    for k, colour in zip(TRAINED_K, ("#88ccee", "#0072b2", "#882255", "#ddcc77"), strict=True):
        own = cosine[k].unstack()
        label = f"K = {k}: below 0 at {float((own < 0).to_numpy().mean()):.0%}"
        if k == TRAINED_K[1]:
            for line in own.to_numpy():
                axes.plot(own.columns, line, "-", color=colour, lw=0.5, alpha=0.7)
        axes.plot(own.columns, own.median(), "-", color=colour, lw=1.8, label=label)
    axes.set_ylim(-1, 1.05)
    axes.set_xlabel("steps along the exact gradient of pass@1")
    axes.set_ylabel("cosine of the update\nwith grad pass@1")
    axes.set_title(f"{rows.path.nunique()} transformers (thin: each, K = {TRAINED_K[1]}; thick: median)")
    axes.legend(fontsize=6, loc="lower left")
