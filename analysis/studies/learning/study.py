"""Every rule trains every specimen it is defined on, at a shared step size and at its own best one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from envs.specimen import ExactSpecimen
from maxpo_lab import get_estimator
from maxpo_lab.integrations.schedules import KSteps

from ...resampling import Interval
from ...statistics import interquartile_mean, interquartile_mean_interval
from ...training import EXACT, Arm, Trace, World, signal, train, world_of
from .design import (
    ALIKE,
    CONDITIONS,
    GROUPS,
    SEED,
    TASKS,
    Cell,
    Condition,
    cells,
    evaluation_points,
    optimiser_of,
    starting_point,
    step_sizes,
)

__all__ = ["SEED", "Cell", "Row", "cells", "measure"]

Float = npt.NDArray[np.float64]

#: Seeds of the runs that choose step sizes, apart from those of the runs that are reported.
TUNING = 1_000_000
#: Seeds of a specimen: under the same numbers two worlds of equal success would meet it at the same step.
_SEEDS = 2 * TUNING
#: Points, of those evaluated, at which the exact signal is taken.
SIGNALS = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one contestant, a rule with a schedule of K; ``kind`` says what it is.

    - ``run``: the end of one seed's run, its area under the curve of max@K and its steps to 90 % of the
      optimum, None where it does not get there.
    - ``curve``: interquartile means over the seeds after ``step`` steps, of max@K and pass@1 with 95 %
      intervals. The signal is that of the first seeds, at the shared step size. Entropy, diversity and
      signal are means of the finite values, whose numbers are ``entropy_runs``, ``diversity_runs`` and
      ``signal_runs``: a run that diverged has none, and a solved or lost one has no signal.
    - ``tuning``: the area at one step size over the tuning seeds, with its interval.
    - ``undefined``: the rule is not defined here, and why.

    ``choice`` is ``shared`` or ``best`` (step size), ``step_size_rank`` its place in the grid, from 0. A
    diverged run scores the lowest reward; ``diverged`` counts them. max@K is at the condition's K.
    """

    kind: Literal["run", "curve", "tuning", "undefined"]
    specimen: str
    condition: str
    rule: str
    schedule: str
    k: int
    n: int
    optimiser: str
    start: str
    choice: str | None = None
    step_size: float | None = None
    step_size_rank: int | None = None
    seed: int | None = None
    step: int | None = None
    runs: int | None = None
    diverged: int | None = None
    max_at_k: float | None = None
    max_at_k_low: float | None = None
    max_at_k_high: float | None = None
    mean_reward: float | None = None
    mean_reward_low: float | None = None
    mean_reward_high: float | None = None
    area: float | None = None
    area_low: float | None = None
    area_high: float | None = None
    steps_to_90: float | None = None
    entropy: float | None = None
    diversity: float | None = None
    snr: float | None = None
    cosine: float | None = None
    entropy_runs: int | None = None
    diversity_runs: int | None = None
    signal_runs: int | None = None
    undefined: str | None = None


@dataclass(frozen=True)
class Contestant:
    """A rule with a schedule of K, the row that it begins, and the step sizes it is shown at."""

    rule: str
    schedule: KSteps
    row: Row
    sizes: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class _Setting:
    """What all runs of a cell share."""

    cell: Cell
    condition: Condition
    specimen: ExactSpecimen
    world: World

    @property
    def points(self) -> tuple[int, ...]:
        return evaluation_points(self.cell.steps)

    @property
    def kept(self) -> tuple[int, ...]:
        """Points at which the signal is taken."""
        place = np.linspace(0, len(self.points) - 1, SIGNALS).round().astype(int)
        return tuple(self.points[i] for i in place) if self.cell.signal_seeds else ()

    def train(self, arms: Sequence[Arm], seeds: Sequence[int], keep: Sequence[int] = ()) -> Trace:
        return train(
            self.world,
            arms,
            n=self.condition.n,
            groups=GROUPS,
            steps=self.cell.steps,
            seeds=[_SEEDS * list(TASKS).index(self.cell.specimen) + seed for seed in seeds],
            optimiser=optimiser_of(self.condition),
            evaluate_k=self.condition.k,
            points=self.points,
            keep=keep,
        )


def measure(cell: Cell) -> list[Row]:
    """Tune every contestant on the tuning seeds, then run it on the others at both step sizes."""
    condition = CONDITIONS[cell.condition]
    specimen, start = starting_point(cell.specimen, condition)
    setting = _Setting(cell, condition, specimen, world_of(specimen, start))
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
        areas = _scored(setting.world, tuned.area()).reshape(len(field), len(grid), -1)
        for i, each in enumerate(field):
            rows += _tuning_rows(setting, each, tuned, i)
            middle = interquartile_mean(areas[i])
            best = grid[int((middle >= middle.max() - ALIKE).argmax())]
            field[i] = replace(each, sizes=(("shared", shared), ("best", best)))
        rows += _reported_rows(setting, field, [0] if exact else list(range(cell.seeds)))
    return rows


def _contestants(setting: _Setting) -> Iterator[Contestant | Row]:
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


def _why_not(setting: _Setting, name: str, schedule: KSteps) -> str | None:
    rule = get_estimator(name)
    reasons = [rule.why_not(setting.condition.n, k) for k in schedule.starts.values()]
    return next(filter(None, reasons), None) or rule.why_not_rewards(setting.world.values.numpy())


def _tuning_rows(setting: _Setting, each: Contestant, tuned: Trace, place: int) -> Iterator[Row]:
    grid, _ = step_sizes(setting.cell.specimen, setting.condition)
    for rank, size in enumerate(grid):
        arm = place * len(grid) + rank
        area = _over_seeds(_scored(setting.world, tuned.area()[arm]))
        yield replace(
            each.row,
            kind="tuning",
            step_size=size,
            step_size_rank=rank,
            runs=len(tuned.diverged[arm]),
            diverged=int(tuned.diverged[arm].sum()),
            max_at_k=float(interquartile_mean(_scored(setting.world, tuned.objective[arm, :, -1]))),
            area=float(area.estimate),
            area_low=float(area.low),
            area_high=float(area.high),
        )


def _reported_rows(setting: _Setting, field: Sequence[Contestant], seeds: Sequence[int]) -> Iterator[Row]:
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
            yield from _run_rows(setting, row, trace, arm, seeds)
            yield from _curve_rows(setting, row, trace, arm)


def _run_rows(setting: _Setting, row: Row, trace: Trace, arm: int, seeds: Sequence[int]) -> Iterator[Row]:
    area = _scored(setting.world, trace.area()[arm])
    final = _scored(setting.world, trace.objective[arm, :, -1])
    mean = _scored(setting.world, trace.mean_reward[arm, :, -1])
    reached = trace.steps_to(0.9 * setting.world.optimum)[arm]
    for i, seed in enumerate(seeds):
        yield replace(
            row,
            seed=seed,
            runs=1,
            diverged=int(trace.diverged[arm, i]),
            max_at_k=float(final[i]),
            mean_reward=float(mean[i]),
            area=float(area[i]),
            steps_to_90=_number(reached[i]),
            entropy=_number(trace.entropy[arm, i, -1]),
            diversity=_number(trace.diversity[arm, i, -1]),
        )


def _curve_rows(setting: _Setting, row: Row, trace: Trace, arm: int) -> Iterator[Row]:
    top = _over_seeds(_scored(setting.world, trace.objective[arm]).T)
    mean = _over_seeds(_scored(setting.world, trace.mean_reward[arm]).T)
    signals = {} if row.choice == "best" or row.rule == EXACT else _signals(setting, row, trace, arm)
    for i, step in enumerate(trace.points):
        snr, cosine, signal_runs = signals.get(step, (None, None, None))
        entropy, entropy_runs = _middle(trace.entropy[arm, :, i])
        diversity, diversity_runs = _middle(trace.diversity[arm, :, i])
        yield replace(
            row,
            kind="curve",
            step=step,
            runs=trace.objective.shape[1],
            diverged=int((~np.isfinite(trace.objective[arm, :, i])).sum()),
            max_at_k=float(top.estimate[i]),
            max_at_k_low=float(top.low[i]),
            max_at_k_high=float(top.high[i]),
            mean_reward=float(mean.estimate[i]),
            mean_reward_low=float(mean.low[i]),
            mean_reward_high=float(mean.high[i]),
            entropy=entropy,
            diversity=diversity,
            snr=snr,
            cosine=cosine,
            entropy_runs=entropy_runs,
            diversity_runs=diversity_runs,
            signal_runs=signal_runs,
        )


def _signals(
    setting: _Setting, row: Row, trace: Trace, arm: int
) -> dict[int, tuple[float | None, float | None, int]]:
    """Exact SNR and cosine at the kept points, interquartile means over the first seeds; how many of them."""
    found = {}
    for step, theta in trace.theta.items():
        ended = trace.objective[arm, : setting.cell.signal_seeds, trace.points.index(step)]
        each = [
            signal(setting.specimen, point, row.rule, n=row.n, k=row.k, groups=GROUPS)
            for point, value in zip(theta[arm], ended, strict=False)
            if np.isfinite(value)
        ]
        (snr, runs), (cosine, _) = _middle([s.snr for s in each]), _middle([s.cosine for s in each])
        found[step] = snr, cosine, runs
    return found


def _scored(world: World, values: Float) -> Float:
    """Scores of runs: those that diverged get the lowest reward."""
    return np.where(np.isfinite(values), values, float(world.values[0]))


def _over_seeds(scores: Float) -> Interval:
    """Interquartile mean over the last axis, which are the runs of one task."""
    return interquartile_mean_interval(scores[..., None, :], seed=SEED)


def _middle(values: npt.ArrayLike) -> tuple[float | None, int]:
    """Interquartile mean of the finite ones, None where there is none, and how many there are."""
    array = np.asarray(values, dtype=np.float64)
    finite = array[np.isfinite(array)]
    return (float(interquartile_mean(finite)) if finite.size else None), finite.size


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
