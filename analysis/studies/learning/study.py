"""Every rule trains every specimen it is defined on, at a shared step size and at its own best one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from maxpo_lab import get_estimator
from maxpo_lab.integrations.schedules import KSteps

from ...measure.statistics import interquartile_mean
from ...trainer import EXACT, Arm, world_of
from .design import ALIKE, CONDITIONS, SEED, Cell, cells, starting_point, step_sizes
from .reporting import curve_rows, run_rows, scored, tuning_rows
from .rows import Row
from .setting import TUNING, Setting

__all__ = ["SEED", "Cell", "Row", "cells", "measure"]


@dataclass(frozen=True)
class Contestant:
    """A rule with a schedule of K, the row that it begins, and the step sizes it is shown at."""

    rule: str
    schedule: KSteps
    row: Row
    sizes: tuple[tuple[str, float], ...] = ()


def measure(cell: Cell) -> list[Row]:
    """Tune every contestant on the tuning seeds, then run it on the others at both step sizes."""
    condition = CONDITIONS[cell.condition]
    specimen, start = starting_point(cell.specimen, condition)
    setting = Setting(cell, condition, specimen, world_of(specimen, start))
    grid, shared = step_sizes(cell.specimen, condition)
    found = list(_contestants(setting))
    rows = [each for each in found if isinstance(each, Row)]
    contestants = [each for each in found if isinstance(each, Contestant)]
    for exact in (False, True):
        field = [each for each in contestants if (each.rule == EXACT) == exact]
        # The exact gradient has no seeds: one run tells all.
        tuning = range(TUNING, TUNING + (1 if exact else cell.tuning_seeds))
        every = [
            Arm(rule=each.rule, step_size=size, schedule=each.schedule) for each in field for size in grid
        ]
        tuned = setting.train(every, list(tuning))
        areas = scored(setting.world, tuned.area()).reshape(len(field), len(grid), -1)
        for i, each in enumerate(field):
            rows += tuning_rows(setting, each.row, tuned, i)
            middle = interquartile_mean(areas[i])
            best = grid[int((middle >= middle.max() - ALIKE).argmax())]
            field[i] = replace(each, sizes=(("shared", shared), ("best", best)))
        rows += _reported_rows(setting, field, [0] if exact else list(range(cell.seeds)))
    return rows


def _contestants(setting: Setting) -> Iterator[Contestant | Row]:
    """The exact gradient and every rule with every schedule; a row with the reason where it is undefined."""
    cell, condition = setting.cell, setting.condition
    for name, schedule in condition.schedules(cell.steps).items():
        for rule in (EXACT, *cell.rules):
            row = Row(
                kind="run",
                specimen=cell.specimen,
                condition=cell.condition,
                rule=rule,
                schedule=name,
                k=condition.k,
                n=condition.n,
                optimiser=condition.optimiser,
                start=condition.start,
            )
            reason = None if rule == EXACT else _why_not(setting, rule, schedule)
            if reason:
                yield replace(row, kind="undefined", undefined=reason)
            else:
                yield Contestant(rule, schedule, row)


def _why_not(setting: Setting, name: str, schedule: KSteps) -> str | None:
    rule = get_estimator(name)
    reasons = [rule.why_not(setting.condition.n, k) for k in schedule.starts.values()]
    return next(filter(None, reasons), None) or rule.why_not_rewards(setting.world.values.numpy())


def _reported_rows(setting: Setting, field: Sequence[Contestant], seeds: Sequence[int]) -> Iterator[Row]:
    """Runs and curves of all contestants at their step sizes; two that coincide are trained once."""
    arms = [
        Arm(rule=each.rule, step_size=size, schedule=each.schedule)
        for each in field
        for _, size in each.sizes
    ]
    distinct = list(dict.fromkeys(arms))
    trace = setting.train(distinct, seeds, setting.kept)
    grid, _ = step_sizes(setting.cell.specimen, setting.condition)
    for each in field:
        for choice, size in each.sizes:
            arm = distinct.index(Arm(rule=each.rule, step_size=size, schedule=each.schedule))
            row = replace(each.row, choice=choice, step_size=size, step_size_rank=grid.index(size))
            yield from run_rows(setting, row, trace, arm, seeds)
            yield from curve_rows(setting, row, trace, arm)
