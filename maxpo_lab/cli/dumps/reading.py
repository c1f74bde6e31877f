"""A tool's file as rewards: found by what it holds, not by its name."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from ...core.arrays import Float
from ..reward_files import Columns, RewardFile, RewardFileError, read_cells
from ..reward_files.base import Fault, refuse
from ..reward_files.reading import READERS
from . import code_results, evalscope, inspect_logs, lm_eval, rollouts
from .base import Dump, DumpError

#: What the command line asks for where nobody asked.
_DEFAULT = Columns("reward", "group")
_Recognises = Callable[[Mapping[str, Any]], bool]
_Read = Callable[[Sequence[Mapping[str, Any]]], Dump]
#: How an object of a file of JSON lines is recognised, and the file read.
_LINES: tuple[tuple[_Recognises, _Read], ...] = (
    (code_results.recognises_human_eval, code_results.read_human_eval),
    (rollouts.recognises_verl, rollouts.read_verl),
    (evalscope.recognises, evalscope.read),
)
#: Endings that no file of rewards has.
_OF_TOOLS = (".eval", ".json")
#: Fields named in a message.
_SHOWN = 12


def read_dump(path: Path, columns: Columns) -> RewardFile | None:
    """The rewards of a file that a known tool wrote, None where it is none, or has the columns itself.

    The columns asked for are names of the tool's fields: ``--reward`` a metric or a scorer.

    Raises
    ------
    RewardFileError
        A file of a known tool with several rewards of which none is named, or without one a rollout.
    """
    try:
        found = _dump(path, columns)
    except DumpError as error:
        raise RewardFileError(f"{path}: {error}") from error
    except OSError as error:
        raise RewardFileError(f"{path}: {error.strerror or error}") from error
    if found is None and path.suffix.lower() in _OF_TOOLS and path.exists():
        raise RewardFileError(
            f"{path}: no log of inspect-ai and no results of evalplus; of any other file the ending must be "
            f"one of {', '.join(READERS)}"
        )
    return None if found is None else _rewards(path, found, columns)


def _dump(path: Path, columns: Columns) -> Dump | None:
    ending = path.suffix.lower()
    if ending == ".eval" and zipfile.is_zipfile(path):
        content = inspect_logs.of_archive(path)
        return None if content is None else inspect_logs.read(content)
    if ending == ".json":
        return _of_json(path)
    if ending in (".jsonl", ".ndjson"):
        return _of_lines(path, columns)
    return _of_parquet(path, columns) if ending == ".parquet" else None


def _of_json(path: Path) -> Dump | None:
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        return None
    if inspect_logs.recognises(content):
        return inspect_logs.read(content)
    return code_results.read_evalplus(content) if code_results.recognises_evalplus(content) else None


def _of_lines(path: Path, columns: Columns) -> Dump | None:
    with path.open("rb") as lines:
        first = _object(next((line for line in lines if line.strip()), b""))
    if first is None or first.keys() >= {columns.reward, columns.group}:
        return None
    known: tuple[tuple[_Recognises, _Read], ...] = (
        (lm_eval.recognises, partial(lm_eval.read, asked=columns.reward)),
        *_LINES,
    )
    for recognises, read in known:
        if recognises(first):
            rows = []
            for number, line in enumerate(path.read_bytes().splitlines(), start=1):
                if line.strip():
                    row = _object(line)
                    if row is None or not recognises(row):
                        raise DumpError(f"line {number} is not like the first, which the tool wrote")
                    rows.append(row)
            return read(rows)
    return None


def _of_parquet(path: Path, columns: Columns) -> Dump | None:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional dependency, which the reader of rewards asks for
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        return None
    try:
        schema = parquet.read_schema(path)
    except pa.ArrowInvalid:
        return None
    if {columns.reward, columns.group} <= set(schema.names) or not rollouts.recognises_trl(schema.names):
        return None
    numbers = [
        each.name for each in schema if pa.types.is_floating(each.type) or pa.types.is_integer(each.type)
    ]
    return rollouts.read_trl(parquet.read_table(path).to_pylist(), numbers)


def _object(line: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _rewards(path: Path, dump: Dump, columns: Columns) -> RewardFile:
    """The records of a dump by the columns that are asked for, or its own."""
    reward, group = columns.reward, columns.group
    if reward == _DEFAULT.reward and reward not in dump.rewards:
        if not dump.decided:
            raise RewardFileError(
                f"{path}: {dump.tool} with several rewards: name one, --reward {_listed(dump.rewards)}"
            )
        reward = dump.rewards[0]
    if group == _DEFAULT.group:
        group = dump.group
    asked = replace(columns, reward=reward, group=group)
    known = dump.records[0].keys()
    for option, column in asked.by_option():
        if column not in known or (option == "--reward" and column not in dump.rewards):
            choices = (
                dump.rewards if option == "--reward" else [key for key in known if key not in dump.rewards]
            )
            raise RewardFileError(
                f"{path}: {dump.tool} have no {column!r} ({option}); choose from {_listed(choices)}"
            )
    numbers = list(range(1, len(dump.records) + 1))
    faults: list[Fault] = []

    def cells(name: str) -> list[Any]:
        return [record.get(name) for record in dump.records]

    rows = read_cells(asked, cells, cells, numbers, faults)
    refuse(path, "sample", faults)
    note = f"{dump.tool}: reward {reward}, prompt {group}"

    def render(column: str, _: Float) -> NoReturn:
        raise RewardFileError(f"{path}: column {column!r} cannot be added to {dump.tool}")

    return RewardFile(rows, numbers, "sample", render, notes=(note, *dump.notes))


def _listed(names: Any) -> str:
    shown = list(names)
    return ", ".join(map(str, shown[:_SHOWN])) + (", ..." if len(shown) > _SHOWN else "")
