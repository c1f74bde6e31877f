"""A rule of rows behind a guard, and as a rule of the numbers of some rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import rules
from ...core.arrays import Float
from ...core.precision import FLOAT64, Precision, allowed, finest, ladder, recognise
from ...estimators import VectorBatchEstimator, VectorEstimator
from ..guard import Guard


@dataclass(frozen=True, eq=False)
class Taken:
    """A rule of rewards and lengths as one of rows (B, n, c), whose columns these are."""

    rule: rules.OfVectors
    rewards: int

    @property
    def name(self) -> str:
        """The rule's."""
        return rules.describe(self.rule)

    def __call__(self, rows: Any, k: int) -> Any:
        """What the rule gives."""
        if self.rule.takes_lengths:
            return self.rule(rows[..., : self.rewards], k, lengths=rows[..., self.rewards])
        return self.rule(rows[..., : self.rewards], k)


@dataclass(frozen=True, eq=False)
class RowRule:
    """A guarded rule of rows (B, n, c) of ``rewards`` rewards and perhaps a length, its answers looked at."""

    guard: Guard
    weights: tuple[float, ...]
    lengths: bool

    @property
    def name(self) -> str:
        """The rule's."""
        return self.guard.name

    @property
    def precision(self) -> Precision:
        """The type that the rule computes in."""
        return self.guard.precision

    @property
    def own(self) -> rules.OfVectors:
        """The rule itself."""
        taken = self.guard.rule
        if not isinstance(taken, Taken):
            raise TypeError(f"the guard of {self.name} holds no rule of rows")
        return taken.rule

    @property
    def rewards(self) -> int:
        """d, how many there are."""
        return len(self.weights)

    def __call__(self, rows: Any, k: int) -> Float:
        """Advantages (B, n). Raises the errors of ``rules.evaluate``."""
        return rules.evaluate(self.guard, np.asarray(rows, dtype=np.float64), k, rules.ADVANTAGES_OF_ROWS)

    def of_scalars(self, rewards: Any, k: int) -> Any:
        """What the rule gives, as it is, where all rewards of a rollout are those of rewards (B, n)."""
        return self.guard(self.rows(np.repeat(np.asarray(rewards)[..., None], self.rewards, axis=-1)), k)

    def rows(self, rewards: Float) -> Float:
        """Rewards (B, n, d) as rows of responses of one length."""
        if not self.lengths:
            return rewards
        return np.concatenate([rewards, np.ones_like(rewards[..., :1])], axis=-1)

    def unit(self, rows: Float, k: int) -> float:
        """``K max sum_d |w_d R_d|``: the size of the signals that such rules subtract from each other."""
        return k * float((np.abs(rows[..., : self.rewards]) @ np.abs(self.weights)).max())

    def tolerance(self, rows: Float, advantages: Float, k: int) -> Float:
        """What rounding may do to advantages (B, n) of rows (B, n, c): an error per group, (B, 1)."""
        size = np.maximum(np.abs(advantages).max(axis=-1), np.finfo(np.float64).tiny)
        coarsest = ladder(self.precision)[-1]
        given = allowed(coarsest, self.precision, size, self.unit(rows, k), advantages.shape[-1])
        return np.asarray(given)[:, None]

    def finest(self, rows: Float, advantages: Float, k: int, off: Float) -> Precision | None:
        """The finest type whose rounding explains errors ``off`` (B, n); None where none does."""
        size = np.maximum(np.abs(advantages).max(axis=-1), np.finfo(np.float64).tiny)
        return finest(off, self.precision, size, self.unit(rows, k), advantages.shape[-1])


@dataclass(frozen=True, eq=False)
class ByNumbers:
    """A rule of rows as one of the numbers (B, n) of the rows of a table."""

    rule: RowRule
    table: Float

    @property
    def name(self) -> str:
        """The rule's."""
        return self.rule.name

    @property
    def precision(self) -> Precision:
        """The type that the rule computes in."""
        return self.rule.precision

    def __call__(self, numbers: Any, k: int) -> Float:
        """Advantages of the rows that have these numbers."""
        return self.rule(self.table[np.asarray(numbers).astype(np.intp)], k)


def row_rule(rule: rules.OfVectors, weights: tuple[float, ...], *, n: int, k: int, seconds: float) -> RowRule:
    """The rule behind a guard, with the type that it computes in."""
    guard = Guard(Taken(rule, len(weights)), seconds)
    found = RowRule(guard, weights, rule.takes_lengths)
    own = isinstance(rule, VectorEstimator | VectorBatchEstimator)
    guard.precision = FLOAT64 if own else recognise(found.of_scalars, n, k)
    return found
