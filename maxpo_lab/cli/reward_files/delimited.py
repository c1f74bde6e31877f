"""CSV and TSV: the new cell goes to the end of each record, whose text stays as it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ...core.arrays import Float
from .base import Columns, Fault, RewardFile, RewardFileError, check_columns, check_new, refuse
from .cells import read_cells
from .text import read_text, split_end


class _Record(NamedTuple):
    """A record, the number of its first line, and its text; an empty line has no fields."""

    number: int
    text: str
    fields: list[str]


def read_delimited(path: Path, columns: Columns) -> RewardFile:
    """Read CSV, or TSV by the ending. Quotes, line ends and empty lines are written back as they were."""
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    text = read_text(path)
    with _cells_of_any_size():
        records = list(_records(path, text.lines, delimiter))
    filled = [record for record in records if record.fields]
    if not filled:
        raise RewardFileError(f"{path} is empty: a header line is needed")
    head, width = filled[0], len(filled[0].fields)
    check_columns(path, head.fields, columns)
    faults: list[Fault] = [
        (row.number, f"{len(row.fields)} fields, the header has {width}")
        for row in filled
        if len(row.fields) != width
    ]
    rows = [row for row in filled[1:] if len(row.fields) == width]
    numbers = [row.number for row in rows]

    def cells(column: str) -> list[str]:
        place = head.fields.index(column)
        return [row.fields[place] for row in rows]

    found = read_cells(columns, cells, lambda column: list(map(_id, cells(column))), numbers, faults)
    refuse(path, "line", faults)

    def render(column: str, values: Float) -> bytes:
        check_new(path, column, set(head.fields))
        cells = iter([_quoted(column, delimiter), *(repr(float(value)) for value in values)])
        parts = [text.mark]
        for record in records:
            body, end = split_end(record.text)
            parts += [body, delimiter, next(cells), end] if record.fields else [record.text]
        return "".join(parts).encode()

    return RewardFile(found, numbers, "line", render)


def _records(path: Path, lines: list[str], delimiter: str) -> Iterator[_Record]:
    """Records with their text: the reader takes one line after the other until a record is complete."""
    taken: list[str] = []

    def given() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line

    number = 1
    try:
        for fields in csv.reader(given(), delimiter=delimiter, strict=True):
            yield _Record(number, "".join(taken), fields)
            number += len(taken)
            taken.clear()
    except csv.Error as error:
        raise RewardFileError(f"{path}, line {number}: {error}") from error


@contextmanager
def _cells_of_any_size() -> Iterator[None]:
    """Lift the csv module's limit of 131,072 characters per cell, which is global, and set it again."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _id(cell: str) -> str | None:
    """A cell as a group id: missing where it says NaN, as csv and pandas write one, and not a text."""
    return None if cell.strip().lower() == "nan" else cell


def _quoted(cell: str, delimiter: str) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="").writerow([cell])
    return text.getvalue()
