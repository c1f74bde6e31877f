"""What stored rows give for a reading, number by number."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from .claim import Reading, Take, Through

_TAKEN: Mapping[Take, Callable[[pd.Series], float]] = {
    "max": lambda values: float(values.max()),
    "min": lambda values: float(values.min()),
    "mean": lambda values: float(values.mean()),
    "median": lambda values: float(values.median()),
    "sum": lambda values: float(values.sum()),
    "rows": lambda values: float(len(values)),
}
#: Values that are one: rows that say the same number, but for rounding.
_SAME = 1e-9


class SeveralNumbersError(ValueError):
    """Rows that were to say one number say several: a row was changed, or ``where`` is too wide."""


@dataclass(frozen=True)
class Value:
    """A number, of how many rows it is made, its standard error (0 where nothing is sampled), and the draws.

    ``draws``: the least that was drawn for a row of it; 0 where that is not said.
    """

    number: float
    rows: int
    error: float = 0.0
    draws: float = 0.0

    def error_of(self, fresh: Value) -> float:
        """Standard error of a fresh value less this stored one, by what was drawn for either."""
        fewer = self.draws / fresh.draws if self.draws and fresh.draws else 1.0
        return self.error * math.sqrt(1.0 + fewer)


def values_of(reading: Reading, rows: pd.DataFrame) -> list[Value]:
    """The numbers of a reading, in the order in which they are said; ``rows`` are those of its study.

    Raises
    ------
    SeveralNumbersError
        Where ``take`` is ``"one"`` and the rows give several numbers.
    """
    if reading.through:
        rows = _through(reading.through, rows)
    found = _selected(rows, reading.where)
    under = _selected(rows, reading.over) if reading.over else None
    numbers = []
    for at, of, take in product(reading.at, reading.ofs, reading.takes):
        value = _value(reading, _selected(found, at), of, take)
        if under is not None:
            below = _value(reading, _selected(under, at), of, take)
            several = value.rows and below.rows
            number = value.number / below.number if several else float("nan")
            value = replace(value, number=number, rows=value.rows if several else 0)
        numbers.append(value)
    return numbers


#: What functions made of rows, by the identity of both.
_MADE: dict[tuple[Through, int], pd.DataFrame] = {}


def _through(made_by: Through, rows: pd.DataFrame) -> pd.DataFrame:
    """What a function makes of rows, once for as long as they live: many readings share a table."""
    key = made_by, id(rows)
    if key not in _MADE:
        _MADE[key] = made_by(rows)
        weakref.finalize(rows, _MADE.pop, key, None)
    return _MADE[key]


def _selected(rows: pd.DataFrame, query: str) -> pd.DataFrame:
    return rows.query(query, engine="python") if query else rows


def _value(reading: Reading, rows: pd.DataFrame, of: str, take: Take) -> Value:
    found: Any = rows.eval(of, engine="python") if len(rows) else []
    values = pd.Series(found, dtype=float).dropna()
    if not len(values):
        return Value(0.0 if take == "rows" else float("nan"), 0)
    read = rows.loc[values.index]
    error = float(read[reading.error].max()) if reading.error else 0.0
    drawn: Any = read.eval(reading.draws, engine="python") if reading.draws else 0.0
    draws = float(np.min(drawn))
    if take != "one":
        return Value(_TAKEN[take](values), len(values), error, draws)
    low, high = float(values.min()), float(values.max())
    if high - low > _SAME * max(abs(low), abs(high)):
        raise SeveralNumbersError(
            f"{reading.words!r}: {len(values)} rows give numbers from {low:.6g} to {high:.6g}; "
            "narrow where, or take max, min or mean"
        )
    return Value(low, len(values), error, draws)
