"""Every contestant trains every specimen it is defined on: tuned on seeds of its own, shown on others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from maxpo_lab.core.arrays import Float

from ...trainer import EXACT, world_of
from .contestants import Contestant
from .design import ALIKE, CHOICES, SEED, Cell, N, cells, starting_point
from .reporting import curve_rows, law_of, law_rows, run_rows, tuning_row
from .rows import Row
from .setting import TUNING, Setting

__all__ = ["SEED", "Cell", "Row", "cells", "measure"]


def measure(cell: Cell) -> list[Row]:
    """Tune every contestant, then run it at the step sizes that it is shown at."""
    specimen, start = starting_point(cell.specimen)
    setting = Setting(cell, specimen, world_of(specimen, start))
    place = Row(
        kind="run",
        section=cell.section,
        specimen=cell.specimen,
        start=float(specimen.max_at_k(start, 1)),
        n=N,
        evaluated_k=setting.k,
        budget=setting.budget,
    )
    rows = list(law_rows(setting, place)) if cell.section == "rules" else []
    exact = [Contestant(EXACT, setting.k)] if cell.section != "loops" else []
    field = []
    for each in cell.contestants:
        reason = each.why_not(N, setting.world.values.numpy())
        if reason:
            rows.append(replace(_named(place, each), kind="undefined", undefined=reason))
        else:
            field.append(each)
    # The exact gradient has no seeds: one run tells all.
    rows += _trained(setting, place, exact, [TUNING], [0])
    rows += _trained(
        setting,
        place,
        field,
        list(range(TUNING, TUNING + cell.tuning_seeds)),
        list(range(cell.seeds)),
    )
    return rows


def _named(place: Row, contestant: Contestant) -> Row:
    return replace(
        place,
        rule=contestant.rule,
        k=contestant.k,
        loop=contestant.loop,
        annealed=int(contestant.annealed),
    )


def _trained(
    setting: Setting, place: Row, field: list[Contestant], tuning: list[int], seeds: list[int]
) -> Iterator[Row]:
    """Tuning, runs and curves; two choices that coincide are trained once."""
    grid = setting.task.grid
    if not field:
        return
    tuned = setting.train([(each, size) for each in field for size in grid], tuning)
    shown: dict[tuple[Contestant, float], list[Row]] = {}
    for i, each in enumerate(field):
        own = tuned[i * len(grid) : (i + 1) * len(grid)]
        for rank, runs in enumerate(own):
            yield tuning_row(replace(_named(place, each), step_size=grid[rank], step_size_rank=rank), runs)
        ranks = {
            "shared": grid.index(setting.task.shared),
            "best": _best([float(runs.area().mean()) for runs in own]),
            "best for pass@1": _best([float(runs.mean_area().mean()) for runs in own]),
        }
        for choice in CHOICES[setting.cell.section]:
            rank = ranks[choice]
            row = replace(_named(place, each), choice=choice, step_size=grid[rank], step_size_rank=rank)
            shown.setdefault((each, grid[rank]), []).append(row)
    law = law_of(setting)
    for runs, rows in zip(setting.train(list(shown), seeds, keep=setting.kept), shown.values(), strict=True):
        for row in rows:
            yield from run_rows(row, runs, seeds, law)
            yield from curve_rows(setting, row, runs)


def _best(areas: list[float]) -> int:
    """The smallest step size that is as good as the best."""
    found: Float = np.asarray(areas)
    return int((found >= found.max() - ALIKE).argmax())
