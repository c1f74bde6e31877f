"""The runs of a cell: every rule at sizes around the best that is expected of it, and at the shared one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from maxpo_lab.core.arrays import Float
from maxpo_lab.integrations.schedules import KSteps

from ...trainer import Arm, Trace, train
from .design import ELSEWHERE, OPTIMISERS, Cell
from .expected import Expected
from .measured import Curves
from .subjects import AGAIN, LOOPS, Loop, Trained, trained
from .worlds import Subject

#: Seeds of the reference's second self are others than anyone's.
_OTHER = 1_000_000
#: Steps that are evaluated, and how far beyond the longest time that is expected runs go on, in its units.
POINTS, BEYOND = 40, 1.3
#: Fewest seeds of a rule: those that take long get fewer, as their ratio needs no more.
FEWEST = 16


@dataclass(frozen=True, eq=False)
class Runs:
    """Curves of a rule at its own sizes and at the shared one, and where it stands at the end of that.

    Steps are counted in batches of rollouts. ``ends`` are max@K, pass@1 and diversity, means over the seeds.
    """

    own: Curves
    shared: Curves
    ends: tuple[float, float, float]
    diverged: int

    @property
    def last(self) -> int:
        """Steps of the runs."""
        return round(float(self.own.steps[-1]))


def runs(cell: Cell, subject: Subject, said: Expected, rule: str) -> Runs:
    """The runs of a rule, or of a loop around one."""
    regime = said.regime
    loop = LOOPS.get(rule, Loop(rule, "identity"))
    _, least, _ = said.forecasts[loop.rule].best
    # Steps that share rollouts divide the way among them.
    sizes = said.sizes(loop.rule) / loop.epochs
    slow = least / said.forecasts[regime.reference].best[1]
    seeds = cell.seeds if loop.rule == rule else cell.seeds // 2
    seeds = 2 * ceil(max(min(FEWEST, seeds), seeds * min(1.0, 2 / slow)) / 2)
    steps = regime.steps or _long_enough(said, loop.rule)
    first = _OTHER if rule == AGAIN else 0
    given = trained(loop.rule, k=regime.k_of(rule), amount=said.amount, reference=regime.reference)
    found = _trained(
        cell,
        subject,
        said,
        given,
        [*sizes, said.shared / loop.epochs],
        loop=loop,
        steps=steps,
        seeds=range(first, first + seeds),
    )
    counted = np.asarray(found.points, dtype=np.float64) / loop.epochs
    return Runs(
        own=Curves(sizes, counted, found.objective[:-1]),
        shared=Curves(np.array([said.shared]), counted, found.objective[-1:]),
        ends=_ends(found),
        diverged=int(found.diverged.sum()),
    )


def _long_enough(said: Expected, rule: str) -> int:
    """Steps until the target at the smallest size: as much longer as it is smaller than the best."""
    least, sizes, shared = said.forecasts[rule].best[1], said.sizes(rule), said.at_shared[rule]
    longest = max(least * float(sizes[-3] / sizes[0]), shared if np.isfinite(shared) else 0.0)
    return ceil(BEYOND * min(longest, 4 * least))


def elsewhere(cell: Cell, subject: Subject, said: Expected, rule: str) -> tuple[Runs, float]:
    """The runs of a rule that climbs something else, and their size: the first step as long as the shared."""
    if rule not in ELSEWHERE:
        raise ValueError(f"rule={rule!r}: climbs max@K, so it has a time to the target; use runs")
    regime = said.regime
    reference, own = (said.noises[each].mean[0] for each in (regime.reference, rule))
    size = said.shared * float(np.linalg.norm(reference) / np.linalg.norm(own))
    steps = ceil(4 * said.forecasts[regime.reference].best[1])
    found = _trained(
        cell,
        subject,
        said,
        rule,
        [size],
        loop=Loop(rule, "identity"),
        steps=steps,
        seeds=range(cell.seeds),
    )
    curves = Curves(np.array([size]), np.asarray(found.points, dtype=np.float64), found.objective)
    return Runs(curves, curves, _ends(found), int(found.diverged.sum())), size


def _trained(
    cell: Cell,
    subject: Subject,
    said: Expected,
    rule: Trained,
    sizes: Sequence[float],
    *,
    loop: Loop,
    steps: int,
    seeds: Sequence[int],
) -> Trace:
    regime = said.regime
    schedule = KSteps({0: regime.k_of(loop.rule)})
    arms = [
        Arm(rule=rule, step_size=float(size), schedule=schedule, loss=loop.loss, decay=said.decay)
        for size in sizes
    ]
    steps *= loop.epochs
    return train(
        subject.world,
        arms,
        n=regime.n,
        groups=regime.groups,
        steps=steps,
        seeds=list(seeds),
        optimiser=OPTIMISERS[cell.policy],
        evaluate_k=regime.k,
        points=evaluated(steps),
        epochs=loop.epochs,
        lag=loop.lag,
    )


def evaluated(steps: int) -> tuple[int, ...]:
    """Steps from 0 to all of them, closer together at the start: the least times are the ones asked for."""
    share = np.linspace(0.0, 1.0, POINTS)
    return tuple(sorted({round(steps * x) for x in (share + share**2) / 2}))


def _ends(found: Trace) -> tuple[float, float, float]:
    """Means over the seeds at the end of the last arm's runs, of those that are finite."""
    values: list[Float] = [
        found.objective[-1, :, -1],
        found.mean_reward[-1, :, -1],
        found.diversity[-1, :, -1],
    ]
    a, b, c = (
        float(np.mean(each[np.isfinite(each)])) if np.isfinite(each).any() else np.nan for each in values
    )
    return a, b, c
