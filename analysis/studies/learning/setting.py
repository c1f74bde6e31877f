"""What all runs of a cell share: its specimen as a world, its points, and how its arms are trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from envs.base.specimen import ExactSpecimen

from ...trainer import Arm, Trace, World, train
from .design import GROUPS, TASKS, Cell, Condition, evaluation_points, optimiser_of

#: Seeds of the runs that choose step sizes, apart from those of the runs that are reported.
TUNING = 1_000_000
#: Seeds of a specimen: under the same numbers two worlds of equal success would meet it at the same step.
_SEEDS = 2 * TUNING
#: Points, of those evaluated, at which the exact signal is taken.
SIGNALS = 5


@dataclass(frozen=True)
class Setting:
    """What all runs of a cell share."""

    cell: Cell
    condition: Condition
    specimen: ExactSpecimen
    world: World

    @property
    def points(self) -> tuple[int, ...]:
        """Steps that are evaluated."""
        return evaluation_points(self.cell.steps)

    @property
    def kept(self) -> tuple[int, ...]:
        """Points at which the signal is taken."""
        place = np.linspace(0, len(self.points) - 1, SIGNALS).round().astype(int)
        return tuple(self.points[i] for i in place) if self.cell.signal_seeds else ()

    def train(self, arms: Sequence[Arm], seeds: Sequence[int], keep: Sequence[int] = ()) -> Trace:
        """Train arms with seeds of the specimen's own."""
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
