"""Batches of groups, put to a rule of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..core.arrays import Float
from ..core.precision import FLOAT64, Precision, recognise
from ..estimators import BatchEstimator
from .calling import describe, evaluate
from .kinds import OfBatches

#: Rewards that a rule gets at a time, where it takes several batches.
_ENTRIES = 1 << 18
#: Numbers that differ by less than this share of the largest one count as equal.
_SAME = 1e-9


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
        if not isinstance(self.rule, BatchEstimator):
            return np.stack([evaluate(self.rule, batch, self.k) for batch in batches])
        rows = max(1, _ENTRIES // batches[0].size)
        parts = [self.rule(batches[start : start + rows], self.k) for start in range(0, len(batches), rows)]
        return np.concatenate(parts)

    @cached_property
    def made(self) -> Precision:
        """The type that the rule computes in."""
        if isinstance(self.rule, BatchEstimator):
            return FLOAT64
        return recognise(self.rule, self.n, self.k)

    def same(self, a: Float, b: Float) -> bool:
        """Whether two answers are equal to rounding."""
        size = max(float(np.abs(a).max()), float(np.abs(b).max()))
        if self.made != FLOAT64:
            size = max(size, self.scale)
        return bool(np.abs(a - b).max() <= max(_SAME, self.made.share(self.n)) * size)
