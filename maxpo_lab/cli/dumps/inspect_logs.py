"""inspect-ai logs, ``.eval`` and ``.json``: one sample an epoch, its scores by scorer."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .base import Dump, DumpError

#: The values of inspect's own scorers, as its ``value_to_float`` reads them.
_VALUES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0, "yes": 1.0, "no": 0.0}
#: The method of the zip format that Python's zipfile lacks before 3.14, and length of a local header.
_ZSTANDARD, _HEADER = 93, 30


def recognises(content: Any) -> bool:
    """Whether the value of a JSON file is a log of inspect-ai."""
    return isinstance(content, Mapping) and content.keys() >= {"version", "status", "eval"}


def read(content: Mapping[str, Any]) -> Dump:
    """The rollouts of a log."""
    samples = content.get("samples")
    if not samples:
        raise DumpError("it holds no samples: log with --log-samples")
    names = list(dict.fromkeys(name for sample in samples for name, _ in _scores(sample)))
    if not names:
        raise DumpError("none of its samples has a score")
    records = []
    for sample in samples:
        scores = dict(_scores(sample))
        answers = [
            each.get("answer") for each in (sample.get("scores") or {}).values() if isinstance(each, Mapping)
        ]
        rewards = {name: scores.get(name) for name in names}
        records.append({"id": sample["id"], "answer": answers[0] if answers else None, **rewards})
    notes = []
    if (status := content.get("status")) != "success":
        notes.append(f"the log's status is {status!r}: samples may be missing")
    return Dump("inspect-ai log", records, names, "id", decided=len(names) == 1, notes=tuple(notes))


def _scores(sample: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Names and values of a sample's scores; ``scorer.key`` where a scorer gives several."""
    found: list[tuple[str, Any]] = []
    for scorer, score in (sample.get("scores") or {}).items():
        value = score.get("value") if isinstance(score, Mapping) else score
        if isinstance(value, Mapping):
            found += [(f"{scorer}.{key}", _number(each)) for key, each in value.items()]
        else:
            found.append((scorer, _number(value)))
    return found


def _number(value: Any) -> Any:
    return _VALUES.get(value, _VALUES.get(value.lower(), value)) if isinstance(value, str) else value


def of_archive(path: Path) -> Mapping[str, Any] | None:
    """The content of an ``.eval`` file as that of a ``.json``, without transcripts; None of another zip."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if "header.json" in names:
            header = json.loads(_entry(path, archive, "header.json"))
        elif "_journal/start.json" in names:
            header = json.loads(_entry(path, archive, "_journal/start.json")) | {"status": "started"}
        else:
            return None
        parts = [name for name in names if name == "summaries.json"] or _journal(names)
        samples = [sample for name in parts for sample in json.loads(_entry(path, archive, name))]
    return {**header, "samples": samples}


def _journal(names: Sequence[str]) -> list[str]:
    """Summaries of a run that has not ended, in their order."""
    found = [name for name in names if name.startswith("_journal/summaries/")]
    return sorted(found, key=lambda name: int(Path(name).stem))


def _entry(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    """An entry of a zip, by any of the methods that inspect-ai uses."""
    entry = archive.getinfo(name)
    if entry.compress_type != _ZSTANDARD:
        return archive.read(name)
    try:
        import pyarrow  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        raise DumpError(
            "it is compressed with zstandard, which needs pyarrow: pip install 'maxpo-lab[parquet]', "
            "or log with --log-format json"
        ) from error
    with path.open("rb") as raw:
        raw.seek(entry.header_offset)
        name_length, more = struct.unpack("<HH", raw.read(_HEADER)[26:])
        raw.seek(name_length + more, 1)
        packed = raw.read(entry.compress_size)
    found: bytes = pyarrow.decompress(packed, decompressed_size=entry.file_size, codec="zstd", asbytes=True)
    return found
