"""The look of every figure: one style, the colours of verdicts, PNG and PDF."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import seaborn as sns
from matplotlib import rc_context, rcParams, style
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What a measurement says of a property, as fill colours of a verdict matrix.
VERDICTS: Mapping[str, str] = {
    "holds": "#a6d3ee",
    "other scale": "#f7eaa1",
    "policy": "#f3c07a",
    "fails": "#e58b73",
    "not claimed": "#ececec",
}


@dataclass(frozen=True)
class Verdict:
    """A cell of a verdict matrix: its verdict, a name of ``VERDICTS`` or a colour, and its text."""

    verdict: str
    text: str

    @property
    def colour(self) -> str:
        """The fill of the cell."""
        return VERDICTS.get(self.verdict, self.verdict)


def verdict_legend(axes: Axes, labels: Mapping[str, str], **options: Any) -> None:
    """What the colours of a verdict matrix say, below it: labels by verdict."""
    axes.legend(
        handles=[Patch(facecolor=VERDICTS[key], label=text) for key, text in labels.items()],
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=len(labels),
        handlelength=1.2,
        handleheight=1.0,
        columnspacing=1.2,
        **options,
    )


#: Width of a text column and of a page of a two-column paper, inches.
COLUMN, PAGE = 3.35, 6.9


#: What differs from matplotlib's own defaults: seaborn's white grid, in the sizes of a paper. The font is the
#: one that comes with matplotlib, so that a machine's fonts change nothing.
_STYLE: Mapping[str, Any] = {
    **sns.axes_style("whitegrid"),
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.7,
    "grid.linewidth": 0.4,
    "lines.linewidth": 1.4,
    "lines.markersize": 3.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
}


@contextmanager
def drawing() -> Iterator[None]:
    """The style of all figures while they are drawn and saved; no ``matplotlibrc`` has a say in it."""
    with style.context(["default", dict(_STYLE)]):
        yield


#: Bytes of a picture at most.
_LARGEST = 300_000


def subplots(*grid: int, figsize: tuple[float, float], **options: Any) -> tuple[Figure, Any]:
    """A figure with axes, as pyplot's function of this name gives them, of which no window system knows."""
    figure = Figure(figsize=figsize)
    return figure, figure.subplots(*grid, **options)


def save(figures: Mapping[str, Figure], folder: Path) -> dict[str, Path]:
    """Write each figure as PNG (300 dpi) and PDF; return the PNG paths by name.

    Files carry no time stamp, so that the same rows give the same bytes.
    """
    paths = {}
    for name, figure in figures.items():
        paths[name] = folder / f"{name}.png"
        _save_png(figure, paths[name])
        # The PNG's layout, which takes longer than to draw it, is the PDF's too.
        with rc_context({"figure.constrained_layout.use": False}):
            figure.set_layout_engine()
        figure.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None})
    return paths


def _save_png(figure: Figure, path: Path) -> None:
    """Save as PNG of at most 256 colours: a third of the size, with no loss that a reader could see.

    A picture that is still larger than the repository wants gets half as many.
    """
    pixels = BytesIO()
    figure.savefig(pixels, format="rgba")
    dpi = rcParams["savefig.dpi"]
    width, height = (int(inches * dpi) for inches in figure.get_size_inches())
    picture = Image.frombytes("RGBA", (width, height), pixels.getvalue())
    for colours in (256, 128, 64):
        flat = picture.convert("RGB").quantize(colours, dither=Image.Dither.NONE)
        flat.save(path, optimize=True, dpi=(dpi, dpi))
        if path.stat().st_size <= _LARGEST:
            return
