"""What Weights & Biases wrote to a run's own file, record by record."""

from __future__ import annotations

import json
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2


def read_records(run: Path) -> list[Any]:
    """The records of a finished run's ``.wandb`` file, from its first to ``exit``.

    W&B's own process may still be writing when ``finish`` returns; a run that has not ended after half a
    minute is an error.
    """
    path = next(run.glob("run-*.wandb"))
    for _ in range(300):
        records = list(_whole_records(path.read_bytes()))
        if records and records[-1].HasField("exit"):
            return records
        time.sleep(0.1)
    raise AssertionError(f"{path} ends after {len(records)} records, without the one that ends a run")


def _whole_records(data: bytes) -> Iterator[Any]:
    """Records of which all has been written: blocks of 32 KiB, headers ``<IHB``, parts 1 or 2 3* 4."""
    position, parts = 7, []
    while position + 7 <= len(data):
        left = 32768 - position % 32768
        if left < 7:  # too little for a header: padding
            position += left
            continue
        checksum, length, kind = struct.unpack_from("<IHB", data, position)
        part = data[position + 7 : position + 7 + length]
        if len(part) < length:
            return
        assert checksum == zlib.crc32(part, zlib.crc32(bytes([kind])))
        parts.append(part)
        position += 7 + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(b"".join(parts))
            parts = []
            yield record


def read_items(items: Any) -> dict[tuple[str, ...], Any]:
    return {tuple(item.nested_key) or (item.key,): json.loads(item.value_json) for item in items}
