"""What is read of a file of rewards, and what is said of a malformed one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...core.arrays import Float, Int

#: Malformed rows named in one message.
_SHOWN = 5

#: ``(number, text)``: what is wrong with the row of this number.
Fault = tuple[int, str]


class RewardFileError(ValueError):
    """A file that cannot be read as rewards; the message names file, line and remedy."""


@dataclass(frozen=True)
class Columns:
    """What is read of a file: the column of the rewards, and those of ids, None where there is none to read.

    ``group`` is the prompt of a rollout, ``cluster`` what its prompt belongs to, ``answer`` what it answered.
    ``more_rewards`` are those of further rewards, ``length`` is that of a rollout's length.
    """

    reward: str
    group: str | None = None
    cluster: str | None = None
    answer: str | None = None
    more_rewards: tuple[str, ...] = ()
    length: str | None = None

    def by_option(self) -> list[tuple[str, str]]:
        """``("--reward", "score")`` and so on, of the columns to read."""
        options = ("reward", "group", "cluster", "answer", "length")
        found = [(f"--{each}", column) for each in options if (column := getattr(self, each)) is not None]
        return [*found, *(("--reward", column) for column in self.more_rewards)]


@dataclass(frozen=True, eq=False)
class Ids:
    """Ids of a file's rows: ``codes`` (B,), the number of each row's id or -1 where it has none, and ``ids``.

    Only answers may be missing.
    """

    codes: Int
    ids: list[Any]

    def by_row(self) -> list[Any]:
        """The id of each row, None where it has none."""
        return [None if code < 0 else self.ids[code] for code in self.codes.tolist()]


@dataclass(frozen=True, eq=False)
class Rows:
    """What the columns hold: ``rewards`` (B,), NaN where one is missing, and ids by the name of their column.

    ``groups`` is None where the whole file is one group, ``clusters``, ``answers`` and ``lengths`` where none
    were asked for. ``more_rewards`` (B, d-1) are those of the further columns.
    """

    rewards: Float
    groups: Ids | None
    clusters: Ids | None
    answers: Ids | None
    more_rewards: Float
    lengths: Float | None

    def all_rewards(self) -> Float:
        """Rewards (B, d) of all columns."""
        return np.column_stack([self.rewards, self.more_rewards])


@dataclass(frozen=True, eq=False)
class RewardFile:
    """Rows of a file, and how to write the file back with one more column.

    ``numbers`` (B,) holds the number of each row, which is that of its first line in a text (``place`` is
    ``"line"``) and counted from 1 in Parquet (``"row"``) and in a tool's own file (``"sample"``). ``held`` is
    the type of the rewards in the file: that of a column of float16 or float32 in Parquet, else float64.
    ``notes`` say how the file was read, where that was not as it was asked for.
    """

    rows: Rows
    numbers: list[int]
    place: Literal["line", "row", "sample"]
    render: Callable[[str, Float], bytes]
    held: type[np.floating[Any]] = np.float64
    notes: tuple[str, ...] = ()


def refuse(path: Path, place: str, faults: list[Fault]) -> None:
    """Raise RewardFileError with the first faults of a file, in the order of its rows, if it has any."""
    if faults:
        ordered = sorted(faults, key=lambda fault: fault[0])
        named = "; ".join(f"{place} {number}: {text}" for number, text in ordered[:_SHOWN])
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise RewardFileError(f"{path}: {named}{more}; nothing was written")


def check_columns(path: Path, header: Sequence[str], columns: Columns) -> None:
    """Refuse a header that names a column twice, or lacks one that is asked for."""
    if len(set(header)) != len(header):
        raise RewardFileError(f"{path}: the header names a column twice: {', '.join(header)}")
    for option, column in columns.by_option():
        if column not in header:
            raise RewardFileError(
                f"{path} has no column {column!r} ({option}); it has {', '.join(header)}"
                + ("; --one-group takes the whole file as one group" if option == "--group" else "")
            )


def check_new(path: Path, column: str, header: set[str]) -> None:
    """Refuse a name for the new column that the file uses already, or that is no text."""
    if column in header:
        raise RewardFileError(f"{path} has a column {column!r} already; name another one with --column")
    if any("\ud800" <= character <= "\udfff" for character in column):
        raise RewardFileError(f"--column {column!r} is not text that can be written as UTF-8")
