"""Running a study: the cells that are not stored yet, with progress, to a table of rows in a fixed order."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from . import sources
from .engines import ENGINES, Engine
from .locks import hold
from .presets import Preset
from .store import DamagedCellError, Store, cell_key, decode
from .study import Study
from .worker import WorkerDiedError

#: Rounds that end with a dead worker before the run gives up.
_ATTEMPTS = 3


class Terminated(KeyboardInterrupt):
    """SIGTERM, inside ``terminable``."""


@dataclass(frozen=True)
class Finished:
    """Rows in the order of the cells, the number of cells, and how many of them an earlier run had stored."""

    rows: pd.DataFrame
    cells: int
    reused: int


def run(
    study: Study,
    preset: Preset,
    *,
    console: Console,
    workers: int | None = None,
    engine: Engine = "local",
    store: Path | None = None,
    fresh: bool = False,
    wait: bool = False,
) -> Finished:
    """Measure every cell of a study that is not in the store, and return the rows of all.

    The rows are the same to the bit whatever the engine, the number of workers, the order in which cells
    finish, and however often the run was ended and started again, on machines that give the same bits for
    one cell. Memory holds the study's rows, some hundred bytes each, and the cells in flight.

    Parameters
    ----------
    workers
        Cells measured at once. None: one per core of this machine, or of the Ray cluster.
    engine
        ``"local"``, or ``"ray"``: the cluster at RAY_ADDRESS, or else one on this machine.
    store
        Folder in which finished cells are kept, at once and for later runs. None keeps them in memory.
    fresh
        Measure the stored cells again.
    wait
        Wait for a run that holds the study's part of the store, instead of raising HeldError.

    Raises
    ------
    WorkerDiedError
        Where workers died in three rounds; a round measures what the last one left.
    OSError
        Where the store cannot be written; ``filename`` says where, and the cells stored before are kept.
    """
    made_from = sources.describe(study.name)
    order = _keyed(study, preset, made_from)
    cells = dict(order)
    measured: dict[str, str] = {}
    with ExitStack() as stack:
        kept = None if store is None else Store(store / study.name, made_from)
        if kept:
            stack.enter_context(hold(kept.folder / ".lock", wait=wait, say=console.print))
            kept.sweep()
            if fresh:
                kept.forget(cells)
            measured = _stored(kept, cells, console)
        reused = len(measured)
        if reused:
            console.print(f"  {reused} of {len(cells)} cells kept from an earlier run")
        progress = stack.enter_context(_progress(console))
        task = progress.add_task(f"{study.name} ({preset})", total=len(cells), completed=reused)
        for attempt in range(1, _ATTEMPTS + 1):
            left = {key: cell for key, cell in cells.items() if key not in measured}
            try:
                for key, rows in ENGINES[engine](study.name, left, made_from, workers):
                    if kept:
                        kept.write(key, cells[key], rows)
                    measured[key] = rows
                    progress.advance(task)
                break
            except WorkerDiedError as error:
                if attempt == _ATTEMPTS:
                    raise
                lost = len(cells) - len(measured)
                console.print(f"  {error}; {lost} cells are left, try {attempt + 1} of {_ATTEMPTS}")
        if kept:
            kept.prune()
    table = pd.DataFrame([row for key, _ in order for row in decode(measured[key])])
    return Finished(table, len(cells), reused)


def count_stored(study: Study, preset: Preset, store: Path) -> tuple[int, int]:
    """How many cells of a study are in the store, and how many it has."""
    made_from = sources.describe(study.name)
    kept = Store(store / study.name, made_from)
    stored = {key: kept.holds(key) for key, _ in _keyed(study, preset, made_from)}
    return sum(stored.values()), len(stored)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, with Terminated. In the main thread alone."""

    def raise_(*_: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, raise_)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _keyed(study: Study, preset: Preset, made_from: dict[str, str]) -> list[tuple[str, Any]]:
    """The cells with their keys, in order; a cell that a study names twice has one key."""
    return [(cell_key(study.name, study.seed, cell, made_from), cell) for cell in study.cells(preset)]


def _stored(kept: Store, keys: Iterable[str], console: Console) -> dict[str, str]:
    """The cells that need not be measured; a damaged one is named, set aside and measured again."""
    found = {}
    for key in keys:
        try:
            rows = kept.read(key)
        except DamagedCellError as error:
            aside = kept.set_aside(error.path)
            console.print(f"  {error.path} is damaged ({error.reason}): kept as {aside.name}, measured again")
            continue
        if rows is not None:
            found[key] = rows
    return found


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)
