"""Running a study: its cells in processes, with progress, to a table of rows in a fixed order."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import joblib
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .study import Preset, Study, get_study


def run(study: Study, preset: Preset, *, workers: int, console: Console) -> pd.DataFrame:
    """Measure every cell of a study and return its rows, one a line, in the order of the cells.

    Cells are independent and run in ``workers`` processes; the rows do not depend on how many.
    """
    cells = study.cells(preset)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    rows: list[Any] = []
    with Progress(*columns, console=console, transient=not console.is_terminal) as progress:
        task = progress.add_task(f"{study.name} ({preset})", total=len(cells))
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
            parallel = joblib.Parallel(n_jobs=workers, return_as="generator")
            for measured in parallel(joblib.delayed(_measure)(study.name, cell) for cell in cells):
                rows.extend(measured)
                progress.advance(task)
    return pd.DataFrame([asdict(row) for row in rows])


def _measure(name: str, cell: Any) -> list[Any]:
    """One cell, in a worker: the study is found by name, so that only settings travel."""
    return list(get_study(name).measure(cell))
