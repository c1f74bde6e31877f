"""JSON lines: the new key goes to the end of each object, whose text stays as it is."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from ...core.arrays import Float
from .base import Columns, Fault, RewardFile, check_new, refuse
from .cells import read_cells
from .text import read_text, split_end

#: White space of JSON; other blanks, as U+2028, are no part of it.
_BLANK = " \t\r\n"
_NAMES = {
    list: "a list",
    str: "a text",
    bool: "a boolean",
    type(None): "null",
    int: "a number",
    float: "a number",
    Decimal: "a number",
}


def read_json_lines(path: Path, columns: Columns) -> RewardFile:
    """Read one JSON object per line; empty lines are passed over. Objects may have different other keys.

    The literals NaN and Infinity are read, as Python writes them; a NaN is a missing reward.
    """
    text = read_text(path)
    faults: list[Fault] = []
    rows: dict[int, dict[str, Any]] = {}
    for number, line in enumerate(text.lines, start=1):
        if line.strip(_BLANK):
            row = _object(line)
            if isinstance(row, str):
                faults.append((number, row))
                continue
            faults += [
                (number, f"no {key!r} ({option}); there is {', '.join(row) or 'no key'}")
                for option, key in columns.by_option()
                if key not in row
            ]
            rows[number] = row
    refuse(path, "line", faults)
    numbers = list(rows)

    def cells(key: str) -> list[Any]:
        return [row[key] for row in rows.values()]

    found = read_cells(columns, cells, cells, numbers, faults)
    refuse(path, "line", faults)

    def render(column: str, values: Float) -> bytes:
        check_new(path, column, {key for row in rows.values() for key in row})
        key, given = json.dumps(column, ensure_ascii=False), iter(values)
        parts = [text.mark]
        for number, line in enumerate(text.lines, start=1):
            parts.append(_with(line, key, float(next(given))) if number in rows else line)
        return "".join(parts).encode()

    return RewardFile(found, numbers, "line", render)


def _object(line: str) -> dict[str, Any] | str:
    """The object of a line, or what is wrong with it."""
    try:
        found = _DECODER.decode(line)
    except json.JSONDecodeError as error:
        return f"not JSON ({error.msg}, character {error.pos + 1})"
    except RecursionError:
        return "brackets nested deeper than Python reads"
    if not isinstance(found, tuple):
        return f"a JSON value that is {_NAMES[type(found)]}, not an object"
    row = dict(found)
    if len(row) < len(found):
        keys = [key for key, _ in found]
        twice = next(key for place, key in enumerate(keys) if key in keys[:place])
        return f"the key {twice!r} twice"
    return row


def _integer(digits: str) -> int | Decimal:
    """An integer; one of more digits than Python turns into an int (4300) as a Decimal."""
    try:
        return int(digits)
    except ValueError:
        return Decimal(digits)


#: Reads an object as a tuple of pairs: told from an array, with a key that comes twice still seen.
_DECODER = json.JSONDecoder(object_pairs_hook=tuple, parse_int=_integer)


def _with(line: str, key: str, value: float) -> str:
    """The line of an object with one more key."""
    body, end = split_end(line, _BLANK)
    inside, pad = split_end(body.removesuffix("}"), _BLANK)
    return f"{inside}, {key}: {value!r}{pad}}}{end}"
