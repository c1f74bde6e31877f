"""What a study is: cells to measure, one row type, a table and figures drawn from stored rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pandas as pd

from .comparison import Comparison
from .curves import Curves
from .presets import Preset

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Study:
    """One question, one folder under ``analysis/studies``.

    Attributes
    ----------
    name
        The folder's name, and that of its results.
    question
        What is asked, in one line.
    seed
        Root of every random stream of the study, or None where nothing is random.
    cells
        The independent units of work of a preset: frozen settings, each picklable.
    measure
        Rows of one cell: frozen dataclasses of one type, with plain numbers and strings. What the function's
        module imports, in the end, is what its cells are made from, and measured again for (``sources``).
    table
        The study's table for a paper, from its rows.
    draw
        The study's figures by file name, from its rows alone; ``"figure"`` is the headline.
    curves
        What is tracked step by step besides the rows, from the rows alone; None where nothing is.
    comparison
        How its rows are compared with those of another run; None where no row of two presets is the same.
    needs
        Packages, by the names they are imported by, without which the study is left out, in one line that
        says so.
    """

    name: str
    question: str
    seed: int | None
    cells: Callable[[Preset], Sequence[Any]]
    measure: Callable[[Any], Sequence[Any]]
    table: Callable[[pd.DataFrame], pd.DataFrame]
    draw: Callable[[pd.DataFrame], dict[str, Figure]]
    curves: Callable[[pd.DataFrame], Sequence[Curves]] | None = None
    comparison: Comparison | None = None
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Those of the needed packages that are not installed."""
        return tuple(package for package in self.needs if find_spec(package) is None)
