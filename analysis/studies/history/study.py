"""Rules with history: by success rate, in batches with a learned lambda, on a path; rules of others."""

from __future__ import annotations

from collections.abc import Sequence

from ...run.presets import Preset
from . import batches, curves, path, remembering
from .remembering import VISITS as SEEN
from .rows import RATES, SPACES, Cell, Row

#: Lengths of history, in groups.
TIMES = (0, 1, 4, 16)
SETTINGS = ((8, 4), (16, 4), (8, 8), (8, 1), (16, 8))
VISITS = (8, 32, 128)


def cells(preset: Preset) -> Sequence[Cell]:
    """The cells of all parts.

    Curves at n = 8 and 16, K = 1, 4, n/2 and n; batches of 8 and 32 prompts; paths of 8 to 128 visits; rules
    with memory on 8 groups of 8, and on 2 to 32 rollouts of as many prompts.
    """
    points = {"smoke": 5, "standard": 21, "paper": 41}[preset]
    settings = SETTINGS[: {"smoke": 1, "standard": 2, "paper": 5}[preset]]
    sizes = (8,) if preset == "smoke" else (8, 16)
    visits = {"smoke": VISITS[:1], "standard": VISITS[:2], "paper": VISITS}[preset]
    draws = {"smoke": 8, "standard": 24, "paper": 64}[preset]
    alone = {"smoke": (4,), "standard": (2, 8), "paper": (2, 4, 8, 16, 32)}[preset]
    times, prompts = (
        (TIMES[2:3], (8,))
        if preset == "smoke"
        else (TIMES[2:3] if preset == "standard" else TIMES[1:3], (8, 32))
    )
    return [
        *(
            Cell("curve", n, k, each * n, space=space, points=points)
            for n in sizes
            for k in sorted({1, 4, n // 2, n})
            for space in SPACES
            for each in TIMES
        ),
        *(
            Cell("batch", n, k, each * n, history=history, prompts=size)
            for n, k in settings
            for each in times
            for history in RATES
            for size in prompts
        ),
        *(
            Cell("path", 8, k, space=space, visits=each)
            for space in path.SPACES[: 1 if preset == "smoke" else 3]
            for k in ((4,) if preset == "smoke" else (4, 8))
            for each in visits
        ),
        *(
            Cell("memory", n, 1, SEEN * n, space, history, draws, prompts=size, visits=SEEN)
            for n, groups in ((8, (8,)), (1, alone))
            for space in tuple(SPACES)[: 2 if preset == "paper" and n > 1 else 1]
            for history in (tuple(RATES)[:1] if preset == "smoke" else RATES)
            for size in groups
        ),
    ]


def measure(cell: Cell) -> list[Row]:
    """The rows of a cell, by its part."""
    parts = {
        "curve": curves.measure,
        "batch": batches.measure,
        "path": path.measure,
        "memory": remembering.measure,
    }
    return parts[cell.part](cell)
