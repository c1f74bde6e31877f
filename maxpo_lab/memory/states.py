"""What a memory is in a checkpoint: arrays by name, with a checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.arrays import on_host
from .table import COLUMNS, Table

State = dict[str, npt.NDArray[Any]]

#: Of the arrays below: a state of another number is of another release.
VERSION = 1
#: Type and number of axes of each array; of those with axes the first is the prompts'.
_ARRAYS: Mapping[str, tuple[Any, int]] = {
    "version": (np.int64, 0),
    "keep": (np.int64, 0),
    "aged": (np.int64, 0),
    "step": (np.int64, 0),
    "along": (np.float64, 0),
    "apart": (np.float64, 0),
    **{name: (dtype, 2 if wide else 1) for name, (dtype, wide) in COLUMNS.items()},
}


def packed(table: Table, *, step: int, along: float, apart: float) -> State:
    """A copy of a table and of what is learned. Rewards are as wide as the fullest row."""
    fullest = max(1, int(table.count[: table.size].max(initial=0)))
    found: State = {
        "version": np.array(VERSION, np.int64),
        "keep": np.array(table.keep, np.int64),
        "aged": np.array(table.aged, np.int64),
        "step": np.array(step, np.int64),
        "along": np.array(along, np.float64),
        "apart": np.array(apart, np.float64),
    }
    for name, (_, wide) in COLUMNS.items():
        rows = getattr(table, name)[: table.size]
        found[name] = rows[:, :fullest].copy() if wide else rows.copy()
    return found | {"checksum": _checksum(found)}


def unpacked(state: Any, *, keep: int, aged: bool) -> tuple[Table, int, float, float]:
    """The table, the step and the two averages of a state.

    Raises
    ------
    TypeError
        No mapping.
    ValueError
        Not a state of a ``Replay`` (the arrays that are missing or too many), one of another version or of
        another ``keep``, with or without ages, or a damaged one: another type or shape, or bytes that the
        checksum is not of.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"state is a {type(state).__name__}: it must be what Replay.state_dict() gave")
    wanted = {*_ARRAYS, "checksum"}
    if set(state) != wanted:
        missing, unknown = sorted(wanted - set(state)), sorted(map(str, set(state) - wanted))
        said = [f"no {', '.join(missing)}"] if missing else []
        said += [f"{', '.join(unknown)}, which none has"] if unknown else []
        raise ValueError(f"state is not one of Replay.state_dict(): it holds {' and '.join(said)}")
    arrays = {name: np.asarray(on_host(state[name])) for name in wanted}
    _refuse_other("version", arrays, VERSION, "load it with the release of maxpo-lab that wrote it")
    _refuse_other("keep", arrays, keep, "make the Replay with the keep of the state")
    _refuse_other("aged", arrays, int(aged), "half_life is None where it is 0, and a number where it is 1")
    for name, (dtype, axes) in _ARRAYS.items():
        if arrays[name].dtype != dtype or arrays[name].ndim != axes:
            raise ValueError(
                f"state is damaged: {name} has dtype {arrays[name].dtype} and shape {arrays[name].shape}, "
                f"not {np.dtype(dtype)} and {axes} axes"
            )
    sizes = {name: len(arrays[name]) for name, (_, axes) in _ARRAYS.items() if axes}
    widths = {name: arrays[name].shape[1] for name in ("rewards", "steps")}
    if (
        len(set(sizes.values())) > 1
        or not (1 <= widths["rewards"] <= keep)
        or widths["steps"] != (widths["rewards"] if aged else 0)
    ):
        raise ValueError(
            f"state is damaged: its arrays are of different sizes, {sizes} rows, {widths} columns"
        )
    if not np.array_equal(_checksum(arrays), arrays["checksum"]):
        raise ValueError("state is damaged: its checksum is of other bytes; load another checkpoint")
    table = Table(keep, aged)
    table.reserve(sizes["ids"])
    for name, (_, wide) in COLUMNS.items():
        rows = getattr(table, name)[: table.size]
        (rows[:, : arrays[name].shape[1]] if wide else rows)[...] = arrays[name]
    table.index_anew()
    return table, int(arrays["step"]), float(arrays["along"]), float(arrays["apart"])


def _refuse_other(name: str, arrays: State, own: int, remedy: str) -> None:
    if arrays[name].ndim == 0 and arrays[name].dtype.kind in "iu" and int(arrays[name]) != own:
        raise ValueError(f"state has {name}={int(arrays[name])}, this Replay needs {name}={own}: {remedy}")


def _checksum(arrays: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.uint8]:
    found = hashlib.blake2b(digest_size=16)
    for name in _ARRAYS:
        array = np.ascontiguousarray(arrays[name])
        found.update(f"{name}{array.dtype}{array.shape}".encode())
        found.update(array.data)
    return np.frombuffer(found.digest(), np.uint8).copy()
