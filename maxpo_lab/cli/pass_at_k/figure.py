"""Results of pass@k as a figure: estimates against k with their intervals, and a comparison below."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import typer

from ...evaluation import PassAtK

#: Endings of files that a figure can be drawn to.
FORMATS = (".png", ".pdf", ".svg")
#: Okabe and Ito's blue and vermilion, told apart by colour-blind readers.
_COLOURS = ("#0072B2", "#D55E00")


def drawn(found: PassAtK, file: Path, other: Path | None, ending: str) -> bytes:
    """The figure in the format of an ending; bad usage where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - an optional dependency
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise typer.BadParameter("--plot needs matplotlib: pip install 'maxpo-lab[plot]'") from error
    compared = found.comparison
    figure = Figure(figsize=(4.2, 3.0 if compared is None else 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(
        2 if compared else 1, 1, squeeze=False, sharex=True, height_ratios=[2, 1] if compared else [1]
    )[:, 0]
    models = [(found, file)] + ([(compared.other, other)] if compared and other else [])
    alike = len({path.stem for _, path in models}) < len(models)
    order = np.argsort(found.k)
    k = found.k[order]
    for (model, path), colour in zip(models, _COLOURS, strict=False):
        name = _label(str(path) if alike else path.stem)
        axes[0].fill_between(k, model.low[order], model.high[order], color=colour, alpha=0.2, linewidth=0)
        axes[0].plot(k, model.estimate[order], "o-", color=colour, markersize=3.5, linewidth=1.2, label=name)
    axes[0].set_ylabel(found.label())
    axes[0].legend(frameon=False, fontsize=8)
    if compared is not None:
        centre = compared.difference[order]
        reach = np.stack([centre - compared.low[order], compared.high[order] - centre])
        axes[1].axhline(0.0, color="0.6", linewidth=0.8)
        axes[1].errorbar(k, centre, np.nan_to_num(reach), fmt="o", color="0.2", markersize=3.5, capsize=2)
        axes[1].set_ylabel("difference")
    axes[-1].set_xscale("log", base=2)
    axes[-1].set_xticks(k, [str(each) for each in k.tolist()])
    axes[-1].minorticks_off()
    axes[-1].set_xlabel(f"k (bands: {found.confidence:.0%} intervals over prompts)")
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    plain = {".png": {"Software": None}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
    figure.savefig(buffer, format=ending[1:], dpi=200, metadata=plain[ending])
    return buffer.getvalue()


def _label(name: str) -> str:
    """A name as matplotlib takes it: dollars are formulas to it, and a first underscore hides a label."""
    return (" " if name.startswith("_") else "") + name.replace("$", r"\$")
