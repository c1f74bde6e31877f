"""What all runs of a cell share: its specimen as a world, its points, and how contestants are trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from envs.base.specimen import ExactSpecimen

from ...trainer import EXACT, SGD, World, train
from .contestants import LOOPS, Contestant
from .design import EVALUATED, GROUPS, TARGET, TASKS, Cell, N, Task, evaluation_points
from .runs import Runs

#: Seeds of the runs that choose step sizes, apart from those of the runs that are reported.
TUNING = 1_000_000
#: Seeds of a specimen: under the same numbers two worlds of equal success would meet it at the same step.
_SEEDS = 2 * TUNING
#: Points, of those evaluated, at which the exact signal is taken.
SIGNALS = 5
#: Rollouts of a batch.
BATCH = GROUPS * N


@dataclass(frozen=True)
class Setting:
    """What all runs of a cell share."""

    cell: Cell
    specimen: ExactSpecimen
    world: World

    @property
    def task(self) -> Task:
        """What is trained."""
        return TASKS[self.cell.specimen]

    @property
    def k(self) -> int:
        """K of max@K as it is evaluated."""
        return EVALUATED[self.cell.section]

    @property
    def budget(self) -> int:
        """Rollouts of a run."""
        return self.cell.steps * BATCH

    @property
    def points(self) -> tuple[int, ...]:
        """Batches after which policies are evaluated."""
        return evaluation_points(self.cell.steps)

    @property
    def kept(self) -> tuple[int, ...]:
        """Points at which the signal is taken."""
        place = np.linspace(0, len(self.points) - 1, SIGNALS).round().astype(int)
        return tuple(self.points[i] for i in place) if self.cell.signal_seeds else ()

    def train(
        self, arms: Sequence[tuple[Contestant, float]], seeds: Sequence[int], *, keep: Sequence[int] = ()
    ) -> list[Runs]:
        """Contestants at step sizes, with seeds of the specimen's own."""
        found: dict[int, Runs] = {}
        kinds = {LOOPS[contestant.loop] for contestant, _ in arms}
        for epochs, lag in sorted({(loop.epochs, loop.lag) for loop in kinds}):
            places = [
                i
                for i, (contestant, _) in enumerate(arms)
                if (LOOPS[contestant.loop].epochs, LOOPS[contestant.loop].lag) == (epochs, lag)
            ]
            trace = train(
                self.world,
                [contestant.arm(size, self.cell.steps) for contestant, size in (arms[i] for i in places)],
                n=N,
                groups=GROUPS,
                steps=self.cell.steps * epochs,
                seeds=[_SEEDS * list(TASKS).index(self.cell.specimen) + seed for seed in seeds],
                optimiser=SGD(),
                evaluate_k=self.k,
                points=[step * epochs for step in self.points],
                keep=keep,
                epochs=epochs,
                lag=lag,
                budget=self.budget,
                spacing=self.task.spacing,
            )
            for arm, place in enumerate(places):
                rollouts = trace.rollouts[arm]
                if arms[place][0].rule == EXACT:  # which draws none: as if it drew what the others do
                    rollouts = np.broadcast_to(BATCH * np.asarray(trace.points, dtype=float), rollouts.shape)
                found[place] = Runs.of(
                    trace,
                    arm,
                    rollouts=rollouts,
                    budget=self.budget,
                    target=TARGET * self.world.optimum,
                    lowest=float(self.world.values[0]),
                )
        return [found[place] for place in range(len(arms))]
