"""Batches of groups, put to a rule of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..core.arrays import Float
from ..core.precision import FLOAT64, Precision, recognise
from ..estimators import BatchEstimator
from .calling import Rule, describe, evaluate
from .kinds import OfBatches

#: Rewards that a rule gets at a time, where it takes several batches.
_ENTRIES = 1 << 18
#: Numbers that differ by less than this share of the largest one count as equal.
_SAME = 1e-9


def of_batches(rule: Rule | OfBatches, batches: Float, k: int) -> Float:
    """Advantages (B, P, n) of batches (B, P, n), each by itself. Raises the errors of ``evaluate``."""
    if not isinstance(rule, BatchEstimator):
        return np.stack([evaluate(rule, batch, k) for batch in batches])
    rows = max(1, _ENTRIES // batches[0].size)
    parts = [rule(batches[start : start + rows], k) for start in range(0, len(batches), rows)]
    return np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class BatchCalls:
    """A rule at one (n, K), on stacks of batches (B, P, n) in float64.

    ``scale``: what rounding is judged by, ``K max|R|`` of the rewards that it will meet.
    """

    rule: OfBatches
    n: int
    k: int
    scale: float

    @property
    def name(self) -> str:
        """The rule's."""
        return describe(self.rule)

    def __call__(self, batches: Float) -> Float:
        """Advantages (B, P, n), each batch by itself. Raises the errors of ``rules.evaluate``."""
        return of_batches(self.rule, batches, self.k)

    @cached_property
    def made(self) -> Precision:
        """The type that the rule computes in."""
        if isinstance(self.rule, BatchEstimator):
            return FLOAT64
        return recognise(self.rule, self.n, self.k)

    def first_different(self, one: tuple[Float, Float], two: tuple[Float, Float]) -> tuple[int, ...] | None:
        """Where two pairs of rewards and answers, (..., P, n) each, differ most; None where they do not.

        Both have the same rewards in each group, in any order, and ties may change places: what the rollouts
        of a reward get is compared by its sum and by that of its squares.
        """
        levels = np.unique(one[0])
        for power in (1, 2):
            a, b = (
                np.einsum("...n,...nl->...l", given**power, (rewards[..., None] == levels).astype(np.float64))
                for rewards, given in (one, two)
            )
            if not self.same(a, b):
                off = np.abs(a - b).max(axis=-1)
                return tuple(map(int, np.unravel_index(off.argmax(), off.shape)))
        return None

    def same(self, a: Float, b: Float) -> bool:
        """Whether two answers are equal to rounding."""
        size = max(float(np.abs(a).max()), float(np.abs(b).max()))
        if self.made != FLOAT64:
            size = max(size, self.scale)
        return bool(np.abs(a - b).max() <= max(_SAME, self.made.share(self.n)) * size)
