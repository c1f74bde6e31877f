"""Runs of TRL from one warm start, evaluated exactly; and the moments of every rule at a checkpoint."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from .checkpoints import variances
from .design import Cell, Training
from .rows import Row
from .training import run


def measure(cell: Cell) -> list[Row]:
    """The curve and the check of a run, or the moments at a checkpoint."""
    with _only_errors():
        return run(cell) if isinstance(cell, Training) else variances(cell)


@contextmanager
def _only_errors() -> Iterator[None]:
    """Without the warnings about how TRL and transformers call each other, which no study can mend."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
