"""What is read of a file of rewards, and what is said of a malformed one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...core.arrays import Float, Int

#: Malformed rows named in one message.
_SHOWN = 5

#: ``(number, text)``: what is wrong with the row of this number.
Fault = tuple[int, str]


class RewardFileError(ValueError):
    """A file that cannot be read as rewards; the message names file, line and remedy."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of a file's rows: ``codes`` (B,), the number of each row's group, and ``ids`` of the groups."""

    codes: Int
    ids: list[Any]


@dataclass(frozen=True, eq=False)
class RewardFile:
    """Rewards of a file, row by row, and how to write the file back with one more column.

    ``rewards`` (B,) holds NaN where a reward is missing, ``numbers`` (B,) the number of each row, which is
    that of its first line in a text (``place`` is ``"line"``) and counted from 1 in Parquet (``"row"``);
    ``groups`` is None where the whole file is one group.
    """

    rewards: Float
    numbers: list[int]
    place: Literal["line", "row"]
    groups: Groups | None
    render: Callable[[str, Float], bytes]


def refuse(path: Path, place: str, faults: list[Fault]) -> None:
    """Raise RewardFileError with the first faults of a file, in the order of its rows, if it has any."""
    if faults:
        ordered = sorted(faults, key=lambda fault: fault[0])
        named = "; ".join(f"{place} {number}: {text}" for number, text in ordered[:_SHOWN])
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise RewardFileError(f"{path}: {named}{more}; nothing was written")


def check_columns(path: Path, header: Sequence[str], reward: str, group: str | None) -> None:
    """Refuse a header that names a column twice, or lacks one that is asked for."""
    if len(set(header)) != len(header):
        raise RewardFileError(f"{path}: the header names a column twice: {', '.join(header)}")
    for option, column in (("--reward", reward), ("--group", group)):
        if column is not None and column not in header:
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
