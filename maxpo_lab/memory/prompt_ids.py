"""Prompts by 64-bit numbers that are the same in every process and on every machine."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt

from ..core.arrays import Int64

Word = npt.NDArray[np.uint64]

#: What integers and booleans begin with, so that ``1`` and ``True`` are two prompts.
_SALT = {"integer": 0x9E3779B97F4A7C15, "boolean": 0xD1B54A32D192ED03}


def hashed(names: npt.NDArray[Any]) -> Int64:
    """64 bits (G,) for each of the ids (G,), as ``core.ragged.by_id`` names them.

    Integers of 64 bits are mixed one to one, so that no two of them meet; text, bytes, UUIDs and larger
    integers are hashed (BLAKE2b). Among a million of these the chance that two meet is 3e-8; they would share
    a history, which is another history and no bias. Python's own ``hash`` differs from process to process.
    """
    if names.dtype.kind == "b":
        return _mixed(names.astype(np.uint64), _SALT["boolean"])
    if names.dtype.kind == "i" or (
        names.dtype.kind == "u" and not (names.dtype.itemsize == 8 and (names >> np.uint64(63)).any())
    ):
        return _mixed(names.astype(np.int64).view(np.uint64), _SALT["integer"])
    return np.array([_digest(each) for each in names.tolist()], dtype=np.int64)


def _mixed(words: Word, salt: int) -> Int64:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014), a bijection of 64 bits."""
    words = words + np.uint64(salt)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (words ^ (words >> np.uint64(31))).view(np.int64)


def _digest(each: Any) -> int:
    if isinstance(each, bool):
        return int(hashed(np.array([each]))[0])
    if isinstance(each, int):
        if -(2**63) <= each < 2**63:
            return int(hashed(np.array([each], dtype=np.int64))[0])
        kind, content = b"integer", str(each).encode()
    elif isinstance(each, bytes):
        kind, content = b"bytes", each
    elif isinstance(each, UUID):
        kind, content = b"UUID", each.bytes
    else:
        kind, content = b"text", str(each).encode("utf-8", "surrogatepass")
    return int.from_bytes(
        hashlib.blake2b(content, digest_size=8, person=kind).digest(), "little", signed=True
    )
