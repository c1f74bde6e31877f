"""What Weights & Biases wrote to a run's own file, record by record."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2


def read_records(run: Path) -> Iterator[Any]:
    """The records of a run's ``.wandb`` file: blocks of 32 KiB, headers ``<IHB``, parts 1 or 2 3* 4."""
    data = next(run.glob("run-*.wandb")).read_bytes()
    position, parts = 7, []
    while position < len(data):
        left = 32768 - position % 32768
        if left < 7:  # too little for a header: padding
            position += left
            continue
        checksum, length, kind = struct.unpack_from("<IHB", data, position)
        part = data[position + 7 : position + 7 + length]
        assert checksum == zlib.crc32(part, zlib.crc32(bytes([kind])))
        parts.append(part)
        position += 7 + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(b"".join(parts))
            parts = []
            yield record
    assert not parts


def read_items(items: Any) -> dict[tuple[str, ...], Any]:
    return {tuple(item.nested_key) or (item.key,): json.loads(item.value_json) for item in items}
