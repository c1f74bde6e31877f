r"""Unbiasedness for an objective of several rewards, decided on pairs of groups.

An objective ``sum_t w_t J_t`` of directions ``<v_t, R>`` is an L-statistic of each. A rule that is unbiased
for it pays a rollout, but for what does not depend on its own row, ``sum_t w_t h_t(<v_t, R_i>)``, with
``h_t`` the sum of the objective's increments over the gaps below. The numbers of rows are complete as rewards
are, so a rule is unbiased under every policy on some rows exactly if raising one entry of one row, the others
fixed, changes its mean advantage by the difference of these; any pairs that connect all rows decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ... import rules
from ...core.arrays import Float, Int
from ...moments import states
from ...objectives import VectorObjective, in_words, increments
from ..decide.claims import changes
from ..decide.pairs import Steps, mean_advantages
from .rows import RowSetting, plain_row, plain_rows, steps_of


@dataclass(frozen=True, eq=False)
class RowSteps(Steps[VectorObjective]):
    """Pairs of groups of rows of a ``table`` (L, c) that differ in one entry of one row.

    ``rests`` (S, L) are the counts of the others, ``rest`` (P,) says which; ``before`` and ``after`` (P,) are
    the numbers of the row.
    """

    table: Float
    rests: Int
    rest: Int
    before: Int
    after: Int

    def due(self, objective: VectorObjective) -> Float:
        """What an unbiased rule pays for each step, (P,)."""
        total = np.zeros(len(self.earned))
        increment = increments(objective.objective, self.n)
        for weight, values in objective.terms():
            heights = weight * _heights(values, self.rests, increment)
            total += heights[self.rest, self.after] - heights[self.rest, self.before]
        return total


def _heights(values: Float, rests: Int, increment: Float) -> Float:
    """What rows of these rewards (L,) are paid beside the others (S, L), over the lowest, (S, L)."""
    ascending, place = np.unique(values, return_inverse=True)
    below = rests @ (values[:, None] <= ascending[:-1]).astype(np.intp)  # (S, gaps)
    paid = np.diff(ascending) * increment[below]
    heights = np.concatenate([np.zeros((len(rests), 1)), np.cumsum(paid, axis=1)], axis=1)
    return np.asarray(heights[:, place.ravel()])


def steps_on(rule: rules.Rule, setting: RowSetting) -> RowSteps:
    """The steps of a rule of the numbers of the setting's rows."""
    table, n = setting.table, setting.n
    size = len(table)
    mean, largest = mean_advantages(
        rule, np.arange(float(size)), n=n, k=setting.k, equivariant=setting.equivariant
    )
    rests = states.counts(n - 1, size) if n > 1 else np.zeros((1, size), dtype=np.intp)
    rests = rests[np.argsort(rests @ np.arange(size), kind="stable")]  # the simplest first
    steps = steps_of(table)
    earned, sizes = [], []
    for rest in rests:
        with_one = [tuple((rest + (np.arange(size) == each)).tolist()) for each in range(size)]
        paid = [mean[key][each] for each, key in enumerate(with_one)]
        most = [largest[key] for key in with_one]
        earned += [paid[high] - paid[low] for low, high in steps]
        sizes += [max(most[low], most[high]) for low, high in steps]
    before, after = np.array(steps).T
    rewards = table[:, : len(setting.reward_weights)]
    return RowSteps(
        n=n,
        earned=np.array(earned),
        size=np.array(sizes),
        spread=float(np.ptp(rewards, axis=0) @ np.abs(setting.reward_weights)),
        precision=rules.precision_of(rule),
        table=table,
        rests=rests,
        rest=np.repeat(np.arange(len(rests)), len(steps)),
        before=np.tile(before, len(rests)),
        after=np.tile(after, len(rests)),
    )


def wrongly_paid(steps: RowSteps, setting: RowSetting, factor: float | None = None) -> str | None:
    """The first step that is not paid what an unbiased rule pays, in words; None where all are."""
    objective = setting.objective
    if factor is None:
        factor = steps.fit(objective).scale if setting.allow_scale else 1.0
    worst = steps.first_wrong(objective, factor)
    if worst is None:
        return None
    low, high = steps.table[steps.before[worst]], steps.table[steps.after[worst]]
    others = np.repeat(steps.table, steps.rests[steps.rest[worst]], axis=0)
    due, earned = factor * steps.due(objective)[worst], float(steps.earned[worst])
    wanted = "an unbiased rule" if factor == 1 else f"one of its scale, {factor:.4g},"
    return (
        f"n={steps.n}, K={setting.k}: with the others at {plain_rows(others)}, "
        f"{_step(low, high, len(setting.reward_weights))} {changes(earned)}; {wanted} for "
        f"{in_words(objective)} {changes(due, 'it')}"
    )


def _step(low: Sequence[float] | Float, high: Sequence[float] | Float, rewards: int) -> str:
    column = int(np.flatnonzero(np.asarray(low) != np.asarray(high))[0])
    ends = f"of a rollout at {plain_row(low)} from {low[column]:g} to {high[column]:g}"
    return f"raising reward {column + 1} {ends}" if column < rewards else f"raising the length {ends}"
