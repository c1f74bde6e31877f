"""A vector rule as a rule of row numbers: each is looked up in a table of rows."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import array_api_compat

from ...core.arrays import Array, Float, Namespace
from ..base import Estimator
from ..batch import BatchEstimator
from ..entry import Entry
from ..vector import VectorBatchEstimator, VectorEstimator


def _rows_at(xp: Namespace, rows: Float, numbers: Array) -> Array:
    """The rows (..., c) of numbers (...), in their library and on their device."""
    device = array_api_compat.device(numbers)
    table = xp.asarray(rows.copy(), device=device)
    flat = xp.astype(xp.reshape(numbers, (-1,)), xp.int64)
    return xp.reshape(xp.take(table, flat, axis=0), (*numbers.shape, rows.shape[1]))


@dataclass(frozen=True, kw_only=True, eq=False)
class NumberEstimator(Estimator):
    """A vector rule as a rule of row numbers (..., n)."""

    own: VectorEstimator
    rows: Float

    def why_not(self, n: int, k: int) -> str | None:
        """As the rule of rows."""
        return self.own.why_not(n, k)

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        """The rule on the rows that have these numbers."""
        return self.own.unchecked(xp, _rows_at(xp, self.rows, rewards), k)


@dataclass(frozen=True, kw_only=True, eq=False)
class NumberBatchEstimator(BatchEstimator):
    """A vector-batch rule as a rule of batches of row numbers (..., P, n)."""

    own: VectorBatchEstimator
    rows: Float

    def why_not(self, n: int, k: int) -> str | None:
        """As the rule of rows."""
        return self.own.why_not(n, k)

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        """The rule on the rows that have these numbers."""
        return self.own.unchecked(xp, _rows_at(xp, self.rows, rewards), k)


def of_numbers(rule: VectorEstimator, rows: Float) -> NumberEstimator:
    """The rule of a group on numbers of these rows (L, c)."""
    return NumberEstimator(**_entry(rule), own=rule, rows=rows)


def of_batches_of_numbers(rule: VectorBatchEstimator, rows: Float) -> NumberBatchEstimator:
    """The rule of a batch on numbers of these rows (L, c)."""
    return NumberBatchEstimator(**_entry(rule), own=rule, rows=rows)


def _entry(rule: Entry) -> dict[str, Any]:
    """What the catalogue says of a rule, for its form by number, which is defined on any."""
    return {each.name: getattr(rule, each.name) for each in fields(Entry)} | {"domain": "real"}
