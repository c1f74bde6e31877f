"""A rule in a setting: its step size from the tuning seeds, and its reported runs; and the pilot's power."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd

from ...measure.power import smallest_seen
from .design import PILOT_SEEDS, REFERENCE, SETTINGS, TUNING_SEEDS, Contest, K, N, Pilot
from .rows import Row
from .start import questions, success_of, warm_start
from .training import Run, pass_at, rollouts_to_target, sampled, train


def contest(cell: Contest) -> list[Row]:
    """Rows of the tuning, the curves and the ends."""
    # Cells of other reported seeds share their tuning where one process measures both.
    rows = list(_tuning(replace(cell, seeds=0, first=0)))
    areas = pd.DataFrame(rows).groupby("learning_rate").area.mean()
    best = float(areas.idxmax())  # type: ignore[arg-type]
    for seed in range(cell.first, cell.first + cell.seeds):
        run = Run(cell.verifier, cell.rule, best, seed, cell.steps, cell.evaluations, cell.device)
        rows += _reported(cell, run)
    return rows


@cache
def _tuning(cell: Contest) -> tuple[Row, ...]:
    """A row of each step size and tuning seed."""
    rows = []
    for size in SETTINGS[cell.verifier].sizes:
        for seed in TUNING_SEEDS[: cell.tuning]:
            run = Run(cell.verifier, cell.rule, size, seed, cell.steps, cell.evaluations, cell.device)
            path = train(warm_start(cell.verifier, cell.size), run)
            found = {"area": path.area, "pass_at_k": float(path.pass_at_k[-1])}
            rows.append(_row(cell, run, kind="tuning", diverged=int(path.diverged), **found))
    return tuple(rows)


def _reported(cell: Contest, run: Run) -> Iterator[Row]:
    """The curve of a run, and its end."""
    setting, held_out = SETTINGS[cell.verifier], questions(cell.verifier)[1]
    model = warm_start(cell.verifier, cell.size)
    path = train(model, run)
    for step, found, reached in zip(path.points, path.curve, path.pass_at_k, strict=True):
        yield _row(
            cell,
            run,
            kind="curve",
            step=step,
            evaluated=setting.curve,
            pass_at_1=float(found.rewarded.mean()),
            pass_at_k=float(reached),
            diversity=float(found.diversity.mean()),
            diverged=int(path.diverged),
        )
    counted = (None, None) if setting.target is None else rollouts_to_target(run, path)
    estimate, error = (None, None) if path.diverged else sampled(path.trainer, held_out)
    exact = None if path.diverged else pass_at(K, success_of(model, held_out).rewarded)
    yield _row(
        cell,
        run,
        kind="run",
        step=cell.steps,
        evaluated=setting.curve,
        parameters=sum(each.numel() for each in model.parameters()),
        pass_at_1=float(path.curve[-1].rewarded.mean()),
        pass_at_k=float(path.pass_at_k[-1]),
        diversity=float(path.curve[-1].diversity.mean()),
        area=path.area,
        rollouts=counted[0],
        reached=None if counted[1] is None else int(counted[1]),
        diverged=int(path.diverged),
        held_out_pass_at_k=None if exact is None else float(exact.mean()),
        sampled_pass_at_k=estimate,
        sampled_pass_at_k_error=error,
    )


def _row(cell: Contest, run: Run, **columns: object) -> Row:
    own = {
        "verifier": cell.verifier,
        "rule": cell.rule,
        "k": K,
        "n": N,
        "size": cell.size,
        "device": cell.device,
        "learning_rate": run.learning_rate,
        "seed": run.seed,
    }
    return Row(**own, **columns)  # type: ignore[arg-type]


def pilot(cell: Pilot) -> Iterator[Row]:
    """The spread of runs of the reference rule, and what the reported seeds could see by it."""
    setting = SETTINGS[cell.verifier]
    runs = [
        Run(cell.verifier, REFERENCE, setting.sizes[1], seed, setting.steps, setting.evaluations)
        for seed in PILOT_SEEDS[: cell.runs]
    ]
    paths = [train(warm_start(cell.verifier), run) for run in runs]
    quantities = {
        "pass_at_k": [float(path.pass_at_k[-1]) for path in paths],
        "area": [path.area for path in paths],
    }
    if setting.target is not None:
        counted = [rollouts_to_target(run, path)[0] for run, path in zip(runs, paths, strict=True)]
        quantities["rollouts"] = np.log(counted).tolist()
    for quantity, found in quantities.items():
        spread = float(np.std(found, ddof=1))
        # Two rules with this spread: their seeds are not more alike than others.
        apart = smallest_seen(spread * math.sqrt(2 / cell.seeds), 2 * cell.seeds - 2)
        yield Row(
            kind="power",
            verifier=cell.verifier,
            rule=REFERENCE,
            k=K,
            n=N,
            learning_rate=setting.sizes[1],
            quantity=quantity,
            seeds=cell.seeds,
            spread=spread,
            visible=float(np.exp(apart)) if quantity == "rollouts" else apart,
        )
