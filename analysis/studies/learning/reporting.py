"""Rows of what training gave: the tuning of a step size, the end of each run, and curves over the seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from maxpo_lab.core.arrays import Float

from ...measure.resampling import Interval
from ...measure.statistics import interquartile_mean, interquartile_mean_interval
from ...trainer import signal
from .contestants import ON_POLICY
from .design import GROUPS, SEED, SIGNALS, N
from .law import Law
from .rows import Row
from .runs import Runs
from .setting import BATCH, Setting


def tuning_row(row: Row, runs: Runs) -> Row:
    """Areas and ends at a step size."""
    return replace(
        row,
        kind="tuning",
        runs=len(runs.diverged),
        diverged=int(runs.diverged.sum()),
        max_at_k=_middle_at_end(runs, runs.objective),
        mean_reward=_middle_at_end(runs, runs.mean_reward),
        area=float(runs.area().mean()),
        mean_area=float(runs.mean_area().mean()),
    )


def run_rows(row: Row, runs: Runs, seeds: Sequence[int], law: Law) -> Iterator[Row]:
    """What became of every seed."""
    top, mean = (runs.scored(runs.after(runs.budget, each)) for each in (runs.objective, runs.mean_reward))
    entropy, diversity = (runs.after(runs.budget, each) for each in (runs.entropy, runs.diversity))
    first = runs.first_success.min(axis=-1, initial=np.inf, where=~np.isnan(runs.first_success))
    scores = {
        "area": runs.area(),
        "mean_area": runs.mean_area(),
        "to_target": runs.to_target(),
        "diversity_at_target": runs.on_arrival(runs.diversity),
        "first_success": first,
        "first_chance": [
            law.first(int(each) // BATCH) if np.isfinite(each) and row.section == "rules" else np.nan
            for each in first
        ],
        "all_solved": runs.first_success.max(axis=-1),
        "max_at_k": top,
        "mean_reward": mean,
        "entropy": entropy,
        "diversity": diversity,
    }
    for i, seed in enumerate(seeds):
        own: dict[str, Any] = {name: _number(values[i]) for name, values in scores.items()}
        yield replace(row, seed=seed, runs=1, diverged=int(runs.diverged[i]), **own)


def curve_rows(setting: Setting, row: Row, runs: Runs) -> Iterator[Row]:
    """The curve over the seeds, by rollouts."""
    signals = _signals(setting, row, runs) if row.choice == "shared" else {}
    for step in setting.points:
        spent = step * BATCH
        top, mean = (
            _over_seeds(runs.scored(runs.after(spent, each))) for each in (runs.objective, runs.mean_reward)
        )
        diversity, diversity_runs = _middle(runs.after(spent, runs.diversity))
        entropy, _ = _middle(runs.after(spent, runs.entropy))
        snr, cosine, signal_runs = signals.get(step, (None, None, None))
        yield replace(
            row,
            kind="curve",
            rollouts=float(spent),
            runs=len(runs.diverged),
            diverged=int((~np.isfinite(runs.after(spent, runs.objective))).sum()),
            max_at_k=float(top.estimate),
            max_at_k_low=float(top.low),
            max_at_k_high=float(top.high),
            mean_reward=float(mean.estimate),
            mean_reward_low=float(mean.low),
            mean_reward_high=float(mean.high),
            entropy=entropy,
            diversity=diversity,
            diversity_runs=diversity_runs,
            snr=snr,
            cosine=cosine,
            signal_runs=signal_runs,
        )


def law_rows(setting: Setting, row: Row) -> Iterator[Row]:
    """The chances that a policy at the start has solved the first prompt, and all of them; the means."""
    law, steps = law_of(setting), setting.cell.steps
    yield replace(
        row,
        kind="expected",
        first_success=law.mean_first(steps) * BATCH,
        all_solved=law.mean_all(steps) * BATCH,
    )
    for step in setting.points:
        yield replace(
            row,
            kind="law",
            rollouts=float(step * BATCH),
            first_success=law.first(step),
            all_solved=law.all(step),
        )


def law_of(setting: Setting) -> Law:
    """The law of the cell's start."""
    world = setting.world
    with torch.no_grad():
        masses = world.masses(world.start[None, None])[0, 0].numpy()
    best = [int(np.flatnonzero(own)[-1]) for own in masses]
    return Law(masses[np.arange(len(best)), best], N, GROUPS)


def _signals(setting: Setting, row: Row, runs: Runs) -> dict[int, tuple[float | None, float | None, int]]:
    """Exact SNR and cosine at the kept points, interquartile means over the first seeds; how many of them."""
    if row.rule not in SIGNALS or row.loop != ON_POLICY:
        return {}
    found = {}
    for step, theta in runs.theta.items():
        ended = runs.objective[: setting.cell.signal_seeds, runs.points.index(step)]
        each = [
            signal(setting.specimen, point, row.rule, n=N, k=setting.k, groups=GROUPS)
            for point, value in zip(theta, ended, strict=False)
            if np.isfinite(value)
        ]
        (snr, count), (cosine, _) = _middle([s.snr for s in each]), _middle([s.cosine for s in each])
        found[step] = snr, cosine, count
    return found


def _middle_at_end(runs: Runs, values: Float) -> float:
    return float(interquartile_mean(runs.scored(runs.after(runs.budget, values))))


def _over_seeds(scores: Float) -> Interval:
    """Interquartile mean of the runs of one task."""
    return interquartile_mean_interval(scores[None], seed=SEED)


def _middle(values: npt.ArrayLike) -> tuple[float | None, int]:
    """Interquartile mean of the finite ones, None where there is none, and how many there are."""
    array = np.asarray(values, dtype=np.float64)
    finite = array[np.isfinite(array)]
    return (float(interquartile_mean(finite)) if finite.size else None), finite.size


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
