"""Files of rewards: CSV, TSV, JSON lines and Parquet in, the same with an advantage column out."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

#: Malformed rows named in one message.
_SHOWN = 5


class RewardFileError(ValueError):
    """A file that cannot be read as rewards; the message names file, line and remedy."""


@dataclass(frozen=True)
class RewardFile:
    """Rewards of a file, row by row, and how to write the file back with one more column.

    ``rewards`` (B,) holds NaN where a reward is missing, ``lines`` (B,) the number of each row's line;
    ``groups`` (B,) is None where the whole file is one group.
    """

    rewards: npt.NDArray[np.float64]
    lines: list[int]
    groups: list[Any] | None
    render: Callable[[str, npt.NDArray[np.float64]], bytes]


def read(path: Path, *, reward: str, group: str | None) -> RewardFile:
    """Read a file by its ending: ``.csv``, ``.tsv``, ``.jsonl`` (or ``.ndjson``), ``.parquet``.

    Raises
    ------
    RewardFileError
        No such file, another ending, no such column, or malformed rows, named by their line numbers; Parquet
        without pyarrow.
    """
    readers = {
        ".csv": _read_delimited,
        ".tsv": _read_delimited,
        ".jsonl": _read_json_lines,
        ".ndjson": _read_json_lines,
        ".parquet": _read_parquet,
    }
    if path.suffix.lower() not in readers:
        raise RewardFileError(f"{path}: the ending must be one of {', '.join(readers)}")
    try:
        return readers[path.suffix.lower()](path, reward, group)
    except UnicodeDecodeError as error:
        raise RewardFileError(f"{path} is not UTF-8 text: {error}") from error
    except OSError as error:
        raise RewardFileError(f"{path}: {error.strerror or error}") from error


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. Raises RewardFileError where it cannot be written."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RewardFileError(f"{path}: {error.strerror or error}") from error


def _read_delimited(path: Path, reward: str, group: str | None) -> RewardFile:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        lines = list(_delimited_rows(path, reader))
    if not lines:
        raise RewardFileError(f"{path} is empty: a header line is needed")
    header = lines[0][1]
    rows = [(line, dict(zip(header, fields, strict=False)), fields) for line, fields in lines[1:]]
    _check_columns(path, header, reward, group)
    bad = [
        f"line {line}: {len(fields)} fields, the header has {len(header)}"
        for line, _, fields in rows
        if len(fields) != len(header)
    ]
    rewards = _numbers(((line, row.get(reward)) for line, row, _ in rows), bad)
    _refuse(path, bad)

    def render(column: str, values: npt.NDArray[np.float64]) -> bytes:
        _check_new(path, column, header)
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        writer.writerow([*header, column])
        writer.writerows([*row[2], repr(float(v))] for row, v in zip(rows, values, strict=True))
        return text.getvalue().encode()

    groups = None if group is None else [row[group] for _, row, _ in rows]
    return RewardFile(rewards, [line for line, _, _ in rows], groups, render)


def _delimited_rows(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    try:
        for fields in reader:
            if fields:
                yield reader.line_num, fields
    except csv.Error as error:
        raise RewardFileError(f"{path}, line {reader.line_num}: {error}") from error


def _read_json_lines(path: Path, reward: str, group: str | None) -> RewardFile:
    bad: list[str] = []
    rows: list[tuple[int, dict[str, Any]]] = []
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except json.JSONDecodeError as error:
            bad.append(f"line {line}: not JSON ({error.msg})")
            continue
        if not isinstance(row, dict):
            bad.append(f"line {line}: a JSON {type(row).__name__}, not an object")
            continue
        bad += [f"line {line}: no {key!r}" for key in (reward, group) if key is not None and key not in row]
        rows.append((line, row))
    rewards = _numbers(((line, row.get(reward)) for line, row in rows), bad)
    _refuse(path, bad)

    def render(column: str, values: npt.NDArray[np.float64]) -> bytes:
        _check_new(path, column, [key for _, row in rows for key in row])
        lines = [
            json.dumps(row | {column: float(v)}, ensure_ascii=False)
            for (_, row), v in zip(rows, values, strict=True)
        ]
        return "".join(f"{line}\n" for line in lines).encode()

    groups = None if group is None else [row[group] for _, row in rows]
    return RewardFile(rewards, [line for line, _ in rows], groups, render)


def _read_parquet(path: Path, reward: str, group: str | None) -> RewardFile:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional dependency
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise RewardFileError(
            f"{path}: reading Parquet needs pyarrow, which is not installed: pip install pyarrow, or "
            f"pass CSV or JSON lines"
        ) from error
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise RewardFileError(f"{path} is not Parquet: {error}") from error
    _check_columns(path, table.column_names, reward, group)
    bad: list[str] = []
    rewards = _numbers(enumerate(table[reward].to_pylist(), start=1), bad, place="row")
    _refuse(path, bad)

    def render(column: str, values: npt.NDArray[np.float64]) -> bytes:
        _check_new(path, column, table.column_names)
        buffer = io.BytesIO()
        pq.write_table(table.append_column(column, pa.array(values)), buffer)
        return buffer.getvalue()

    groups = None if group is None else table[group].to_pylist()
    return RewardFile(rewards, list(range(1, len(rewards) + 1)), groups, render)


def _check_columns(path: Path, header: list[str], reward: str, group: str | None) -> None:
    if len(set(header)) != len(header):
        raise RewardFileError(f"{path}: the header names a column twice: {', '.join(header)}")
    for option, column in (("--reward", reward), ("--group", group)):
        if column is not None and column not in header:
            raise RewardFileError(
                f"{path} has no column {column!r} ({option}); it has {', '.join(header)}"
                + ("; --one-group takes the whole file as one group" if option == "--group" else "")
            )


def _check_new(path: Path, column: str, header: list[str]) -> None:
    if column in header:
        raise RewardFileError(f"{path} has a column {column!r} already; name another one with --column")


def _numbers(
    cells: Iterator[tuple[int, Any]] | enumerate[Any], bad: list[str], *, place: str = "line"
) -> npt.NDArray[np.float64]:
    """Rewards as numbers, NaN where a cell is empty or null; anything else is added to ``bad``."""
    values = []
    for line, cell in cells:
        value = math.nan
        if cell not in (None, ""):
            try:
                value = float(cell)
            except (TypeError, ValueError):
                bad.append(f"{place} {line}: reward {cell!r} is not a number")
            if isinstance(cell, bool):
                value = float(cell)
            if math.isinf(value):
                bad.append(f"{place} {line}: reward {cell!r} is infinite")
        values.append(value)
    return np.array(values, dtype=np.float64)


def _refuse(path: Path, bad: list[str]) -> None:
    if bad:
        ordered = sorted(bad, key=lambda text: int(text.split()[1].rstrip(":")))
        more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise RewardFileError(f"{path}: {'; '.join(ordered[:_SHOWN])}{more}; nothing was written")
