"""The resume store: finished cells on disk, one file each, found by what they were measured from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from . import sources

_PLAIN = (str, int, float, type(None))


class DamagedCellError(Exception):
    """A stored cell whose content is not what was written; ``path`` is its file."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason


class Store:
    """The stored cells of one study: ``<folder>/<fingerprint of the sources>/<key>.json``.

    A file holds three lines: the SHA-256 of what follows, what the cell is, and its rows. It is written
    next to its final place, flushed to the disk and moved there, so that whatever ends the process leaves it
    whole or absent. One process writes at a time (``locks.hold``).
    """

    def __init__(self, folder: Path, made_from: dict[str, str]) -> None:
        self.folder = folder
        self.current = folder / sources.fingerprint(made_from)[:16]

    def path(self, key: str) -> Path:
        """Where the cell of this key is, or would be."""
        return self.current / f"{key}.json"

    def holds(self, key: str) -> bool:
        """Whether there is a file of this cell that can be looked at."""
        try:
            self.path(key).stat()
        except OSError:
            return False
        return True

    def read(self, key: str) -> str | None:
        """The encoded rows of a cell, None where it is not stored; DamagedCellError where they cannot be."""
        path = self.path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        checksum, _, rest = content.partition(b"\n")
        if hashlib.sha256(rest).hexdigest().encode() != checksum:
            raise DamagedCellError(path, "its checksum does not match its content")
        about, _, rows = rest.decode().partition("\n")
        if json.loads(about)["key"] != key:
            raise DamagedCellError(path, "it holds another cell")
        return rows

    def write(self, key: str, cell: Any, rows: str) -> None:
        """Store a cell's encoded rows; an OSError names the file, and leaves neither it nor a part of it."""
        rest = f"{json.dumps({'key': key, 'cell': repr(cell)})}\n{rows}".encode()
        path = self.path(key)
        temporary = path.with_suffix(".tmp")
        try:
            self.current.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        finally:
            temporary.unlink(missing_ok=True)

    def set_aside(self, path: Path) -> Path:
        """Rename a damaged file, so that it can be looked at and its cell measured again."""
        return path.replace(path.with_name(f"{path.name}.damaged"))

    def forget(self, keys: Iterable[str]) -> None:
        """Remove these cells."""
        for key in keys:
            self.path(key).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what a killed process left half written."""
        for path in self.current.glob("*.tmp"):
            path.unlink()

    def prune(self) -> None:
        """Remove the study's cells of all other sources and versions."""
        for folder in self.folder.iterdir():
            if folder.is_dir() and folder != self.current:
                shutil.rmtree(folder)


def cell_key(study: str, seed: int | None, cell: Any, made_from: dict[str, str]) -> str:
    """Digest of all that a cell's rows depend on: study, seed, settings, sources and versions.

    The preset is no part of it: a cell that two presets share is measured once. TypeError where a setting is
    not plain, as its digest would differ from run to run.
    """
    content = json.dumps([study, seed, _settings(cell, type(cell).__name__), sorted(made_from.items())])
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def encode(rows: Sequence[Any]) -> str:
    """Rows of one frozen dataclass as JSON: the text gives each value back to the bit, with its type.

    All NaN are one NaN. TypeError where a value is not a plain str, int, float or None.
    """
    columns = [field.name for field in fields(rows[0])] if rows else []
    lines = []
    for row in rows:
        if type(row) is not type(rows[0]):
            raise TypeError(f"rows of one study are of one type; got {type(rows[0])} and {type(row)}")
        line = [getattr(row, name) for name in columns]
        for name, value in zip(columns, line, strict=True):
            if type(value) not in _PLAIN:
                raise TypeError(
                    f"{type(row).__qualname__}.{name} = {value!r} is a {type(value).__name__}; "
                    "a row holds plain str, int, float or None: convert it where the row is made"
                )
        lines.append(line)
    return json.dumps({"columns": columns, "rows": lines}, separators=(",", ":"))


def decode(rows: str) -> list[dict[str, Any]]:
    """Rows as ``encode`` was given them, as dicts in the order of the fields."""
    content = json.loads(rows)
    return [dict(zip(content["columns"], line, strict=True)) for line in content["rows"]]


def _settings(value: Any, where: str) -> Any:
    """A cell's settings as JSON, with the types of its dataclasses."""
    if is_dataclass(value) and not isinstance(value, type):
        named = {f.name: _settings(getattr(value, f.name), f"{where}.{f.name}") for f in fields(value)}
        return [type(value).__qualname__, named]
    if isinstance(value, tuple):
        return [_settings(each, f"{where}[{index}]") for index, each in enumerate(value)]
    if type(value) in {*_PLAIN, bool}:
        return value
    raise TypeError(
        f"{where} = {value!r} is a {type(value).__name__}; a cell's setting is a plain str, int, float, bool "
        "or None, or a tuple or frozen dataclass of these"
    )
