"""Moments of every rule at a checkpoint, the power of a plan, and runs of TRL, evaluated exactly."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from .checkpoints import variances
from .contests import contest, pilot
from .design import Cell, Contest, Pilot
from .rows import Row


def measure(cell: Cell) -> list[Row]:
    """The runs of a contest, the power of a pilot, or the moments at a checkpoint."""
    with _only_errors():
        if isinstance(cell, Contest):
            return contest(cell)
        return list(pilot(cell)) if isinstance(cell, Pilot) else variances(cell)


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
