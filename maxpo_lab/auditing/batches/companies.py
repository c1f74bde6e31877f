"""A rule of a batch, seen from one group: a rule of that group for every company of others that it meets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import rules
from ...core.arrays import Float
from ...core.precision import Precision
from ...moments import states
from ...rules.samples import sample_batches, sample_groups

#: Groups put to a rule beside all companies together, at most; two companies are always tried.
_PUT = 1500
#: Companies that are drawn.
_DRAWN = 4


@dataclass(frozen=True, eq=False)
class Beside:
    """The rule of a group in a batch whose other groups ``others`` (P-1, n) are fixed: (B, n) to (B, n).

    Each group has a batch of its own, in which it is the first.
    """

    rule: rules.Rule
    others: Float
    name: str
    precision: Precision

    def __call__(self, groups: Any, k: int) -> Float:
        """What groups (B, n) get."""
        beside = np.broadcast_to(self.others, (len(groups), *self.others.shape))
        return rules.of_batches(self.rule, np.concatenate([np.asarray(groups)[:, None], beside], axis=1), k)[
            :, 0
        ]


def besides(rule: rules.Rule, values: Float, *, n: int, size: int) -> Iterator[Beside]:
    """The rule beside companies of ``size - 1`` groups of some reward levels, the simplest first.

    In pairs of groups: every count state of the other one where they are few, else some of them. In larger
    batches companies of the worst, of the best, and a few that are drawn with a fixed seed.
    """
    name, precision = rules.describe(rule), rules.precision_of(rule)
    for others in _companies(values, n, size - 1):
        yield Beside(rule, others, name, precision)


def _companies(values: Float, n: int, count: int) -> Iterator[Float]:
    if count == 1:
        level = sample_groups(n, len(values))
        level = level[np.argsort(level.sum(axis=1), kind="stable")]
        most = max(2, _PUT // states.number_of_counts(n, len(values)))
        for place in np.unique(np.linspace(0, len(level) - 1, min(most, len(level))).astype(int)):
            yield values[level[[place]]]
        return
    yield np.full((count, n), values[0])
    yield np.full((count, n), values[-1])
    yield from drawn(values, n, count, _DRAWN)


def drawn(values: Float, n: int, prompts: int, batches: int) -> Float:
    """Batches (batches, prompts, n) of prompts of any difficulty, the same every time."""
    rng = np.random.default_rng([7, prompts])
    return sample_batches(rng, values, (batches, prompts, n), spread=0.7)
