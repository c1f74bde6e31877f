"""Parquet: the new column comes last; codecs, row groups, types and metadata stay as they are."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from ...core.arrays import Float
from .base import Columns, Fault, RewardFile, RewardFileError, check_columns, check_new, refuse
from .cells import read_cells


def read_parquet(path: Path, columns: Columns) -> RewardFile:
    """Read one Parquet file. Needs pyarrow."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional dependency
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise RewardFileError(
            f"{path}: reading Parquet needs pyarrow, which is not installed: pip install "
            f"'maxpo-lab[parquet]', or pass CSV or JSON lines"
        ) from error
    data = path.read_bytes()
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        names = file.schema_arrow.names
        check_columns(path, names, columns)
        table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise RewardFileError(f"{path} is not Parquet that pyarrow reads: {error}") from error
    faults: list[Fault] = []
    numbers = list(range(1, table.num_rows + 1))

    def cells(column: str) -> list[Any]:
        return _cells(path, table, column)

    found = read_cells(columns, cells, cells, numbers, faults)
    refuse(path, "row", faults)

    def render(column: str, values: Float) -> bytes:
        check_new(path, column, set(names))
        wider = table.append_column(column, pa.array(values))
        codecs = _codecs(file.metadata)
        codecs[column] = codecs.get(columns.reward, "SNAPPY")
        buffer = io.BytesIO()
        with pq.ParquetWriter(buffer, wider.schema, compression=codecs) as writer:
            start = 0
            for part in range(file.metadata.num_row_groups):
                rows = file.metadata.row_group(part).num_rows
                writer.write_table(wider.slice(start, rows), row_group_size=max(rows, 1))
                start += rows
        return buffer.getvalue()

    held: dict[Any, type[np.floating[Any]]] = {pa.float16(): np.float16, pa.float32(): np.float32}
    kind = table.schema.field(columns.reward).type
    return RewardFile(found, numbers, "row", render, held.get(kind, np.float64))


def _cells(path: Path, table: Any, column: str) -> list[Any]:
    """A column as Python's own values; RewardFileError where it holds what they cannot be.

    Dates beyond the year 9999, time zones that this machine does not know, text that is not UTF-8.
    """
    try:
        return list(table[column].to_pylist())
    except (ArithmeticError, LookupError, NotImplementedError, ValueError) as error:
        kind = table.schema.field(column).type
        raise RewardFileError(f"{path}: column {column!r} ({kind}) cannot be read: {error}") from error


def _codecs(metadata: Any) -> dict[str, str]:
    """The codec of each leaf column in the first row group, as the writer names it."""
    first = metadata.row_group(0)
    columns = [first.column(place) for place in range(first.num_columns)]
    return {column.path_in_schema: column.compression.replace("UNCOMPRESSED", "NONE") for column in columns}
