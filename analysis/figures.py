"""The look of every figure: one style, one colour an estimator, PNG and PDF."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import seaborn as sns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: One colour an estimator in all figures (Okabe and Ito's palette, safe for colour-blind readers).
COLOURS: Mapping[str, str] = {
    "reinforce": "#7f7f7f",
    "rloo": "#56b4e9",
    "batch-mean": "#8c6d31",
    "grpo": "#e69f00",
    "pkpo-s": "#cc79a7",
    "pkpo-loo": "#009e73",
    "pkpo-loo1": "#d55e00",
    "maxpo": "#0072b2",
    "canonical": "#332288",
}

#: What a measurement says of a property, as fill colours of a verdict matrix.
VERDICTS: Mapping[str, str] = {
    "holds": "#a6d3ee",
    "other scale": "#f6d58a",
    "fails": "#eda083",
    "not claimed": "#ececec",
}

#: Width of a text column and of a page of a two-column paper, inches.
COLUMN, PAGE = 3.35, 6.9


@contextmanager
def style() -> Iterator[None]:
    """The project's matplotlib style, for the time of drawing."""
    settings: dict[Any, Any] = {
        "font.size": 8,
        "axes.titlesize": 8,
        "axes.labelsize": 8,
        "legend.fontsize": 7.5,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "axes.linewidth": 0.7,
        "grid.linewidth": 0.4,
        "lines.linewidth": 1.4,
        "lines.markersize": 3.5,
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
        "pdf.fonttype": 42,
        "savefig.dpi": 300,
    }
    with sns.axes_style("whitegrid"), mpl.rc_context(settings):
        yield


def save(figures: Mapping[str, Figure], folder: Path) -> dict[str, Path]:
    """Write each figure as PNG (300 dpi) and PDF; return the PNG paths by name.

    Files carry no time stamp, so that the same rows give the same bytes.
    """
    paths = {}
    with style():
        for name, figure in figures.items():
            paths[name] = folder / f"{name}.png"
            figure.savefig(paths[name], metadata={"Software": None})
            figure.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None})
    return paths
