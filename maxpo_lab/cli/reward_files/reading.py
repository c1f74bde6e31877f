"""A file of rewards by its ending."""

from __future__ import annotations

from pathlib import Path

from .base import Columns, RewardFile, RewardFileError
from .delimited import read_delimited
from .json_lines import read_json_lines
from .parquet import read_parquet

READERS = {
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".parquet": read_parquet,
}
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


def read(path: Path, columns: Columns) -> RewardFile:
    """Read a file by its ending: ``.csv``, ``.tsv``, ``.jsonl`` (or ``.ndjson``), ``.parquet``.

    What is written back is the file as it was, with one more column: byte order mark, line ends, quotes,
    empty lines and the spelling of numbers in text; codecs, row groups, types and metadata in Parquet.

    Raises
    ------
    RewardFileError
        No such file, another ending, no rows, no such column, or malformed rows, named by their numbers;
        Parquet without pyarrow.
    """
    if path.suffix.lower() not in READERS:
        compressed = path.suffix.lower() in COMPRESSED
        raise RewardFileError(
            f"{path}: the ending must be one of {', '.join(READERS)}"
            + ("; decompress the file first" if compressed else "")
        )
    try:
        content = READERS[path.suffix.lower()](path, columns)
    except OSError as error:
        raise RewardFileError(f"{path}: {error.strerror or error}") from error
    if not content.numbers:
        raise RewardFileError(f"{path} has no rows: a group needs at least one reward")
    return content
