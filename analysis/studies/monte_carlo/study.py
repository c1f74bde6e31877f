"""The parts of the study: agreement, devices, error, coverage and detection."""

from __future__ import annotations

from collections.abc import Sequence

from ...run.presets import Preset
from . import agreement, detection, intervals
from .agreement import Agreement, Devices
from .detection import Detection
from .intervals import Repeated
from .rows import Row

Cell = Agreement | Devices | Repeated | Detection


def cells(preset: Preset) -> Sequence[Cell]:
    """The cells of all parts."""
    return [*agreement.cells(preset), *intervals.cells(preset), *detection.cells(preset)]


def measure(cell: Cell) -> list[Row]:
    """Rows of one cell."""
    return cell.rows()
