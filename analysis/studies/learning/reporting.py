"""Rows of what training gave: the tuning of a step size, the end of each run, and curves over the seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from maxpo_lab.core.arrays import Float

from ...measure.resampling import Interval
from ...measure.statistics import interquartile_mean, interquartile_mean_interval
from ...trainer import EXACT, Trace, World, signal
from .design import GROUPS, SEED, step_sizes
from .rows import Row
from .setting import Setting


def tuning_rows(setting: Setting, row: Row, tuned: Trace, place: int) -> Iterator[Row]:
    """Areas and ends at the step sizes of the grid, of the contestant in this place."""
    grid, _ = step_sizes(setting.cell.specimen, setting.condition)
    for rank, size in enumerate(grid):
        arm = place * len(grid) + rank
        area = _over_seeds(scored(setting.world, tuned.area()[arm]))
        yield replace(
            row,
            kind="tuning",
            step_size=size,
            step_size_rank=rank,
            runs=len(tuned.diverged[arm]),
            diverged=int(tuned.diverged[arm].sum()),
            max_at_k=float(interquartile_mean(scored(setting.world, tuned.objective[arm, :, -1]))),
            area=float(area.estimate),
            area_low=float(area.low),
            area_high=float(area.high),
        )


def run_rows(setting: Setting, row: Row, trace: Trace, arm: int, seeds: Sequence[int]) -> Iterator[Row]:
    """The end of every seed's run of an arm."""
    area = scored(setting.world, trace.area()[arm])
    final = scored(setting.world, trace.objective[arm, :, -1])
    mean = scored(setting.world, trace.mean_reward[arm, :, -1])
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


def curve_rows(setting: Setting, row: Row, trace: Trace, arm: int) -> Iterator[Row]:
    """The curve of an arm over its seeds."""
    top = _over_seeds(scored(setting.world, trace.objective[arm]).T)
    mean = _over_seeds(scored(setting.world, trace.mean_reward[arm]).T)
    signals = {} if row.choice == "best" or row.rule == EXACT else _signals(setting, row, trace, arm)
    for i, step in enumerate(trace.points):
        snr, cosine, signal_runs = signals.get(step, (None, None, None))
        entropy, entropy_runs = middle(trace.entropy[arm, :, i])
        diversity, diversity_runs = middle(trace.diversity[arm, :, i])
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
    setting: Setting, row: Row, trace: Trace, arm: int
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
        (snr, runs), (cosine, _) = middle([s.snr for s in each]), middle([s.cosine for s in each])
        found[step] = snr, cosine, runs
    return found


def scored(world: World, values: Float) -> Float:
    """Scores of runs: those that diverged get the lowest reward."""
    return np.where(np.isfinite(values), values, float(world.values[0]))


def _over_seeds(scores: Float) -> Interval:
    """Interquartile mean over the last axis, which are the runs of one task."""
    return interquartile_mean_interval(scores[..., None, :], seed=SEED)


def middle(values: npt.ArrayLike) -> tuple[float | None, int]:
    """Interquartile mean of the finite ones, None where there is none, and how many there are."""
    array = np.asarray(values, dtype=np.float64)
    finite = array[np.isfinite(array)]
    return (float(interquartile_mean(finite)) if finite.size else None), finite.size


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
