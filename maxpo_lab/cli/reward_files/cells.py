"""Cells of a file as rewards and as group ids; what cannot be read is added to a list of faults."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from ...core.arrays import Float
from .base import Columns, Fault, Ids, Rows

#: What a rollout may lack, as it may have given none.
_ANSWER = "answer"
_TRUTH = {"true": 1.0, "false": 0.0}
#: Characters of a cell shown in a message.
_WIDTH = 40
#: Digits of integers that Python prints.
_DIGITS = 4300


def read_cells(
    columns: Columns,
    cells: Callable[[str], Sequence[Any]],
    ids: Callable[[str], Sequence[Any]],
    numbers: Sequence[int],
    faults: list[Fault],
) -> Rows:
    """The columns of a file, by functions that give a column's cells: as numbers, and as ids."""
    rewards = as_rewards(cells(columns.reward), numbers, columns.reward, faults)
    group, cluster, answer = (
        None if column is None else as_ids(ids(column), numbers, column, faults, what=what)
        for column, what in (
            (columns.group, "group id"),
            (columns.cluster, "cluster id"),
            (columns.answer, _ANSWER),
        )
    )
    more = [as_rewards(cells(column), numbers, column, faults) for column in columns.more_rewards]
    lengths = columns.length and as_rewards(cells(columns.length), numbers, columns.length, faults)
    return Rows(
        rewards,
        group,
        cluster,
        answer,
        more_rewards=np.column_stack(more) if more else np.empty((len(rewards), 0)),
        lengths=None if columns.length is None else np.asarray(lengths),
    )


def as_rewards(cells: Sequence[Any], numbers: Sequence[int], column: str, faults: list[Fault]) -> Float:
    """Rewards (B,) of the cells of a column: NaN where one is missing.

    Missing is a null, a blank text and NaN in any spelling. Numbers may be text; booleans, and the texts true
    and false in upper or lower case, are 1 and 0.
    """
    rewards = []
    for number, cell in zip(numbers, cells, strict=True):
        value = _number(cell)
        if value is None:
            faults.append((number, f"reward {_shown(cell)} is not a number (column {column!r})"))
        elif math.isinf(value):
            faults.append((number, f"reward {_shown(cell)} is infinite as a float64 (column {column!r})"))
        rewards.append(math.nan if value is None else value)
    return np.array(rewards, dtype=np.float64)


def as_ids(
    cells: Sequence[Any], numbers: Sequence[int], column: str, faults: list[Fault], *, what: str
) -> Ids:
    """Ids of rows, numbered in the order in which they come.

    An id is an integer of any size, a text or a boolean, of the same kind in every row: 1 and "1" would be
    one group if kinds were mixed by turning them into text. A missing id (null, blank, NaN) is a fault,
    unless it is an answer, and so is any other kind: floats, dates, lists. ``what``: what messages call it.
    """
    codes, known = np.full(len(cells), -1, dtype=np.intp), dict[Any, int]()
    first: tuple[Any, str] | None = None
    for row, (number, cell) in enumerate(zip(numbers, cells, strict=True)):
        if _is_missing(cell):
            if what != _ANSWER:
                faults.append((number, f"no {what} in column {column!r}; every row needs one"))
            continue
        kind = "a number" if what == _ANSWER and _is_number(cell) else _kind(cell)
        if kind is None:
            text = f"{what} {_shown(cell)} in column {column!r} is neither an integer, a text nor a boolean"
            faults.append((number, text))
            continue
        first = first or (cell, kind)
        if kind != first[1]:
            text = f"{what} {_shown(cell)} in column {column!r} is {kind}, the first, {_shown(first[0])}, "
            text += first[1]
            faults.append((number, f"{text}; ids must be of one kind"))
            continue
        if isinstance(cell, Decimal) and cell.adjusted() < _DIGITS:
            cell = int(cell)  # noqa: PLW2901
        codes[row] = known.setdefault(cell, len(known))
    return Ids(codes, list(known))


def _is_missing(cell: Any) -> bool:
    if isinstance(cell, str | bytes):
        return not cell.strip()
    return cell is None or (isinstance(cell, float | Decimal) and math.isnan(cell))


def _number(cell: Any) -> float | None:
    """A cell as a number, NaN where it is missing, None where it is no number."""
    if _is_missing(cell):
        return math.nan
    if isinstance(cell, str):
        word = cell.strip().lower()
        if word in _TRUTH or "_" in word:  # float() would read 1_0 as 10
            return _TRUTH.get(word)
    try:
        return float(cell)
    except OverflowError:  # an integer beyond the largest float64
        return math.inf
    except (TypeError, ValueError):
        return None


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float | Decimal) and not isinstance(cell, bool)


def _kind(cell: Any) -> str | None:
    """The kind of an id, in words; None where it is no id."""
    if isinstance(cell, bool):
        return "a boolean"
    if isinstance(cell, int) or (isinstance(cell, Decimal) and cell.as_tuple().exponent == 0):
        return "an integer"
    if isinstance(cell, str):
        return "a text"
    return "bytes" if isinstance(cell, bytes) else None


def _shown(cell: Any) -> str:
    """A cell as a message shows it: its middle left out where it is long."""
    if isinstance(cell, tuple | dict):
        return "that is an object"
    if isinstance(cell, list):
        return "that is a list"
    text = str(cell) if isinstance(cell, Decimal) else repr(cell)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH // 2]}...{text[-_WIDTH // 4 :]}"
