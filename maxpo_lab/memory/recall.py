"""What is remembered of the prompts of a step, and the step put into memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.arrays import Bool, Float, Int
from . import answers as of_answers
from .batches import Batch
from .table import Step, Table


@dataclass(frozen=True, eq=False)
class Past:
    """What was remembered of the prompts of G groups before a step.

    Attributes
    ----------
    rows
        Of the table, -1 for a prompt that it does not have.
    y, w
        Rewards, ascending, and their weights, (G, m); weight 0 pads.
    count, age
        How many rewards, and the steps since the latest, (G,).
    fade
        What the counts of answers have faded to since, (G,).
    """

    rows: Int
    y: Float
    w: Float
    count: Step
    age: Int
    fade: Float

    @classmethod
    def of(cls, table: Table, batch: Batch, step: int, half_life: float | None) -> Past:
        """At the step to come, which is number ``step``."""
        rows = table.find(batch.prompts)
        y, steps, count = table.read(rows)
        there = np.arange(y.shape[1], dtype=np.int32) < count[:, None]
        full = bool((count == y.shape[1]).all())
        age = np.where(count > 0, step - table.seen[rows], 0)
        if half_life is not None:
            w = np.where(there, np.exp2((steps - step) / half_life), 0.0)
            order = np.argsort(y, axis=-1)
            y, w = (np.take_along_axis(each, order, axis=-1) for each in (y, w))
            return cls(rows, y, w, count, age, np.exp2(-age / half_life))
        fade = np.ones(len(rows))
        if full:  # the usual case, in the least time
            y.sort(axis=-1)
            return cls(rows, y, np.broadcast_to(1.0, y.shape), count, age, fade)
        y[~there] = np.inf
        y.sort(axis=-1)  # what there is comes first, in order
        return cls(rows, np.where(there, y, _last(y, count)), there.astype(np.float64), count, age, fade)

    def one_answer(self, table: Table, batch: Batch) -> Bool:
        """Which prompts are taken to have one right answer, (G,), by their earlier groups and all others'.

        ValueError where such a prompt has earlier rewards other than 0 and 1.
        """
        known = np.where(self.rows >= 0, self.fade, 0.0)
        equal, pairs = (known * each[self.rows] for each in (table.equal, table.pairs))
        totals = float(table.equal[: table.size].sum()), float(table.pairs[: table.size].sum())
        one = of_answers.shares(equal, pairs, totals) > of_answers.ONE_ANSWER
        graded = ((self.y != 0) & (self.y != 1) & (self.w > 0)).any(axis=-1)
        if (bad := one & graded).any():
            raise ValueError(
                f"answers, and group {batch.name(int(np.argmax(bad)))} has earlier rewards other than 0 and "
                f"1: plug-in-floor is defined for 0/1 rewards alone; leave answers out"
            )
        return np.asarray(one)


def remember(table: Table, batch: Batch, past: Past, answers: Int | None, step: int) -> None:
    """Put a step's rewards into the table; the groups of one prompt one after the other."""
    rows = table.add(batch.prompts, past.rows)
    turn = _turns(rows)
    once = not turn.any()
    for number in range(int(turn.max(initial=0)) + 1):
        for groups, places in batch.buckets:
            if once:
                now, own = slice(None), rows[groups]
            else:
                now = turn[groups] == number
                own = rows[groups[now]]
            values = batch.flat[places[now]]
            if not len(own):
                continue
            if answers is not None:
                kept = max(0.0, 1 - places.shape[1] / table.keep)  # a window of about as many rollouts
                if not number:
                    kept = kept * past.fade[groups[now]]
                equal, pairs = of_answers.agreement(answers[places[now]], values == 1)
                table.equal[own] = kept * table.equal[own] + equal
                table.pairs[own] = kept * table.pairs[own] + pairs
            table.record(own, values, step)


def _last(y: Float, count: Step) -> Float:
    """The largest of the first ``count`` of each row, 0 of none, (G, 1)."""
    last = np.take_along_axis(y, np.maximum(count - 1, 0)[:, None], axis=-1)
    return np.where(count[:, None] > 0, last, 0.0)


def _turns(rows: Int) -> Int:
    """How often each row was there before, (G,)."""
    ranked = np.sort(rows)
    if (ranked[1:] != ranked[:-1]).all():
        return np.zeros(len(rows), np.intp)
    order = np.argsort(rows, kind="stable")
    ranked = rows[order]
    start = np.ones(len(rows), np.bool_)
    start[1:] = ranked[1:] != ranked[:-1]
    place = np.arange(len(rows))
    found = np.empty(len(rows), np.intp)
    found[order] = place - np.maximum.accumulate(np.where(start, place, 0))
    return found
