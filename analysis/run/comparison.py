"""Rows of two runs of one study: which of them are the same row, and whether they say the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

#: Standard errors of the difference beyond which two sampled numbers disagree: once in 10^9 if normal.
SURPRISE = 6.1
#: Digits of a setting that is a float: two grids may reach a point by sums that differ in the last bits.
_DIGITS = 6
#: Differences of a column that are shown.
_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How the rows of a study are compared with those of another run of it.

    Attributes
    ----------
    keys
        Columns that say which row it is; rows with other keys are of other cells. Floats by six digits.
    among
        A query of the rows that are compared, where some have no key of their own; empty: all.
    relative
        What two numbers may differ by, over the larger: rounding, where versions or machines differ.
    absolute
        By column, what they may differ by however small they are: the rounding of what is 0 in exact
        arithmetic, an angle or a bias, and cancels.
    resolution
        By column, that of what rounding can make of its numbers, which they may differ by.
    errors
        By sampled column, that of its standard error: the two numbers may differ by ``SURPRISE`` standard
        errors of their difference. That of the fresh number is the stored one by the root of how much less
        was drawn for it, whatever the fresh run says: errors that it has too large excuse nothing.
    draws
        An expression of columns: how much was drawn for a row. Empty, or not there: as much in both runs.
    unstable
        Queries of rows in which rounding grows, as it does on a path past a saddle, and by how much their
        numbers may differ.
    apart
        Columns that are not compared, as they depend on how much a preset samples, by a query of the rows of
        which that is so; empty: of all.
    """

    keys: tuple[str, ...]
    among: str = ""
    relative: float = 1e-9
    absolute: Mapping[str, float] = field(default_factory=dict)
    resolution: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    draws: str = ""
    unstable: Mapping[str, float] = field(default_factory=dict)
    apart: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """A number, or a text, that two runs of one row give differently."""

    row: str
    column: str
    stored: object
    fresh: object

    def __str__(self) -> str:
        return f"{self.column} of {self.row}: stored {_said(self.stored)}, fresh {_said(self.fresh)}"


@dataclass(frozen=True)
class Compared:
    """What a comparison found.

    Attributes
    ----------
    rows, shared
        Fresh rows, and those of them that are stored too.
    differing
        How many numbers of each column differ, of those of which any does.
    differences
        The first few of each.
    """

    rows: int
    shared: int
    differing: Mapping[str, int]
    differences: tuple[Difference, ...]


def compare(stored: pd.DataFrame, fresh: pd.DataFrame, how: Comparison) -> Compared:
    """Compare the rows that two runs share, column by column.

    Raises
    ------
    ValueError
        Where a key column is missing, or one of the stored rows is in the fresh ones, or the keys name two
        rows of one run.
    """
    if missing := [column for column in stored if column not in fresh]:
        listed = ", ".join(map(str, missing))
        raise ValueError(f"the fresh rows have no column {listed}, which the stored ones have")
    left, right = (_keyed(rows, how, name) for rows, name in ((stored, "stored"), (fresh, "fresh")))
    shared = right.index[right.index.isin(left.index)]
    rows = len(right)
    left, right = left.loc[shared], right.loc[shared]
    off = {
        column: _differ(left, right, column, how)
        for column in left.columns
        if column not in {*how.keys, *how.errors.values()} and how.apart.get(column) != ""
    }
    found = [
        Difference(_row(how.keys, shared[at]), column, left[column].iloc[at], right[column].iloc[at])
        for column, wrong in off.items()
        for at in np.flatnonzero(wrong)[:_SHOWN]
    ]
    counts = {column: int(wrong.sum()) for column, wrong in off.items() if wrong.any()}
    return Compared(rows, len(shared), counts, tuple(found))


def _keyed(rows: pd.DataFrame, how: Comparison, name: str) -> pd.DataFrame:
    keys = how.keys
    if missing := [key for key in keys if key not in rows]:
        raise ValueError(f"the {name} rows have no column {', '.join(missing)}; they have {list(rows)}")
    if how.among:
        rows = rows.query(how.among, engine="python")
    index = pd.MultiIndex.from_arrays([_settings(rows[key]) for key in keys], names=keys)
    if twice := list(index[index.duplicated()].unique()[:1]):
        raise ValueError(f"the {name} rows have two of {_row(keys, twice[0])}; give more keys")
    return rows.set_axis(index)


def _settings(column: pd.Series) -> pd.Series:
    """A key column in which equal settings are equal values."""
    if pd.api.types.is_float_dtype(column):
        return column.map(lambda value: "" if np.isnan(value) else f"{value:.{_DIGITS}g}")
    if pd.api.types.is_integer_dtype(column):
        return column.map(str)
    return column.astype(object).where(column.notna(), "")


def _differ(left: pd.DataFrame, right: pd.DataFrame, column: str, how: Comparison) -> np.ndarray:
    """Where a column of two tables of the same rows differs."""
    if apart := how.apart.get(column):
        kept = ~_meeting(left, apart)
        wrong = np.zeros(len(left), dtype=bool)
        wrong[kept] = _differ(left[kept], right[kept], column, replace(how, apart={}))
        return wrong
    one, other = left[column], right[column]
    if not (pd.api.types.is_numeric_dtype(one) and pd.api.types.is_numeric_dtype(other)):
        same = (one.to_numpy(object) == other.to_numpy(object)) | (
            one.isna().to_numpy() & other.isna().to_numpy()
        )
        return np.asarray(~same, dtype=bool)
    a, b = one.to_numpy(float), other.to_numpy(float)
    allowed = how.relative * np.fmax(np.abs(a), np.abs(b)) + how.absolute.get(column, 0.0)
    for query, within in how.unstable.items():
        allowed = allowed + within * _meeting(left, query)
    if (bound := how.resolution.get(column)) is not None:
        allowed = allowed + np.nan_to_num(np.fmax(left[bound].to_numpy(float), right[bound].to_numpy(float)))
    if (error := how.errors.get(column)) is not None:
        stored_error = np.nan_to_num(left[error].to_numpy(float))
        allowed = allowed + SURPRISE * stored_error * np.sqrt(1.0 + _times_fewer(left, right, how.draws))
    with np.errstate(invalid="ignore"):
        near = np.abs(a - b) <= allowed
    return np.asarray(~(near | (a == b) | (np.isnan(a) & np.isnan(b))), dtype=bool)


def _times_fewer(stored: pd.DataFrame, fresh: pd.DataFrame, draws: str) -> np.ndarray:
    """How many times what was drawn for a fresh row was drawn for the stored one; 1 where none says."""
    if not draws:
        return np.ones(len(stored))
    found: list[Any] = [rows.reset_index(drop=True).eval(draws, engine="python") for rows in (stored, fresh)]
    one, other = (each.to_numpy(float) for each in found)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where((one > 0) & (other > 0), one / other, 1.0))


def _meeting(rows: pd.DataFrame, query: str) -> np.ndarray:
    """Which rows meet a query."""
    places = rows.reset_index(drop=True).assign(place=range(len(rows)))
    found = np.zeros(len(rows), dtype=bool)
    found[places.query(query, engine="python").place] = True
    return found


def _row(keys: tuple[str, ...], place: tuple[object, ...]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in zip(keys, place, strict=True) if value != "")


def _said(value: object) -> str:
    return f"{value:.8g}" if isinstance(value, float) else str(value)
