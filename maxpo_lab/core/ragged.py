"""Groups of different sizes: rows that belong together by id, bucketed by size, never looped one by one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import array_api_compat
import numpy as np
import numpy.typing as npt

from .arrays import Array, Bool, Int, Namespace, on_host


@dataclass(frozen=True, eq=False)
class Groups:
    """Rows of a batch sorted into groups.

    Attributes
    ----------
    names
        The id of each group, shape (G,).
    sizes
        Rows of each group, shape (G,).
    order
        Row numbers, group after group, each group's in their order in the batch.
    """

    names: npt.NDArray[Any]
    sizes: Int
    order: Int

    def buckets_of_groups(self) -> list[Int]:
        """Numbers of the groups of each size, as in ``buckets``."""
        return [np.flatnonzero(self.sizes == size) for size in np.unique(self.sizes)]

    def buckets(self) -> list[Int]:
        """Row numbers (groups, size) of the groups of each size."""
        starts = np.cumsum(self.sizes) - self.sizes
        return [
            self.order[starts[self.sizes == size][:, None] + np.arange(size)]
            for size in np.unique(self.sizes)
        ]


class GroupIdError(ValueError):
    """An id that cannot be one: missing, or of another kind than the ids before it.

    Attributes
    ----------
    row
        Its index in ``group_ids``, or another argument of ids.
    reason
        The message without its place, for a caller that knows the row by another name.
    """

    def __init__(self, row: int, reason: str, argument: str = "group_ids") -> None:
        super().__init__(f"{argument}[{row}] {reason}")
        self.row = row
        self.reason = reason
        self.argument = argument

    def __reduce__(self) -> tuple[type[GroupIdError], tuple[int, str, str]]:
        return type(self), (self.row, self.reason, self.argument)


def by_id(group_ids: Any, rows: int, kept: Bool | None = None) -> Groups:
    """Sort rows into groups by id.

    Parameters
    ----------
    group_ids
        One id per row: integers of any size, text, bytes, UUIDs or booleans, all of one kind, in any array
        (on any device) or sequence of length ``rows``.
    rows
        Rows of the batch.
    kept
        Which rows take part; default all. The ids of the others are checked too.

    Returns
    -------
    Groups
        In the order of their ids where these are integers of an array's dtype, else of their first rows.

    Raises
    ------
    GroupIdError
        A missing id (None, NaN, NaT, pandas' NA, masked), or ids of two kinds: ``1`` and ``"1"`` are never
        one id, nor are ``1`` and ``True``.
    TypeError
        Ids of no kind that there is, e.g. floats.
    ValueError
        Another number of ids than rows.

    Notes
    -----
    Cost O(rows) plus the length of the text.
    """
    ids, names = _coded(group_ids, rows)
    if kept is None:
        order = _stable_argsort(ids)
    else:
        row = np.flatnonzero(kept)
        order = row[_stable_argsort(ids[row])]
    ranked = ids[order]
    first = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]])) if len(order) else order
    found = ranked[first]
    return Groups(found if names is None else names[found], np.diff(first, append=len(order)), order)


def codes(ids: Any, rows: int, argument: str) -> Int:
    """The number (rows,) of each row's id, equal where ids are; errors as ``by_id``, of this argument."""
    try:
        groups = by_id(ids, rows)
    except GroupIdError as error:
        raise GroupIdError(error.row, error.reason.replace("group_ids", argument), argument) from error
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("group_ids", argument)) from error
    found = np.empty(rows, dtype=np.intp)
    found[groups.order] = np.repeat(np.arange(len(groups.sizes)), groups.sizes)
    return found


#: What an id may be. A bool is an int to Python, and no group's number.
_KINDS: dict[str, tuple[type, ...]] = {
    "a bool": (bool, np.bool_),
    "an integer": (int, np.integer),
    "text": (str,),
    "bytes": (bytes,),
    "a UUID": (UUID,),
}


def _coded(group_ids: Any, rows: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """Ids (rows,) as integers, and the ids that these stand for (None: themselves)."""
    masked = np.ma.getmaskarray(group_ids) if isinstance(group_ids, np.ma.MaskedArray) else None
    listed = not hasattr(group_ids, "__array__") and not array_api_compat.is_array_api_obj(group_ids)
    listed = listed and isinstance(group_ids, Collection) and not isinstance(group_ids, (str, bytes))
    if listed:  # NumPy would make one array of 1 and "1", and floats of integers beyond 64 bits
        shape: tuple[int, ...] = (len(group_ids),)
    else:
        if array_api_compat.is_torch_array(group_ids) and group_ids.is_floating_point():
            raise TypeError(f"group_ids have dtype {group_ids.dtype}: they must be {_ALLOWED}")
        ids = on_host(group_ids)
        shape = ids.shape
    if shape != (rows,):
        raise ValueError(
            f"group_ids have shape {shape}: expected ({rows},), one id per row of rewards (rewards of "
            f"shape (B,))"
        )
    if masked is not None and masked.any():
        raise GroupIdError(int(np.argmax(masked)), f"is missing (masked): {_ONE_EACH}")
    if listed:
        return _factorised(list(group_ids))
    if ids.dtype.kind in "iub":
        return ids, None
    if ids.dtype.kind in "OUST":
        return _factorised(ids.tolist())
    if ids.dtype.kind in "fMm" and (missing := np.isnan(ids)).any():
        row = int(np.argmax(missing))
        raise GroupIdError(row, f"is missing ({ids[row]}): {_ONE_EACH}")
    raise TypeError(f"group_ids have dtype {ids.dtype}: they must be {_ALLOWED}")


_ALLOWED = "integers or strings (or bytes, UUIDs, booleans), all of one kind"
_ONE_EACH = "every rollout needs the id of its group; leave the row out, or give it an id of its own"


def _factorised(ids: list[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """Numbers for ids by a dict: linear in the ids, whatever their length. 64-bit integers as they are."""
    kinds = {each: _kind(each) for each in set(map(type, ids))}
    if None in kinds.values() and any(map(_is_number, ids)):
        return _factorised([each.item() if _is_number(each) else each for each in ids])
    if len(set(kinds.values())) > 1 or None in kinds.values():
        raise _misfit(ids, kinds)
    if "an integer" in kinds.values():
        try:
            return np.array(ids, dtype=np.int64), None
        except OverflowError:
            ids = list(map(int, ids))
    index: dict[Any, int] = {}
    codes = [index.setdefault(each, len(index)) for each in ids]
    names = np.empty(len(index), dtype=object)
    names[:] = list(index)
    return np.array(codes, dtype=np.intp), names


def _is_number(each: Any) -> bool:
    """An array of one number and no axis: what iterating over a tensor gives."""
    scalar = isinstance(each, np.generic) or each is np.ma.masked
    return not scalar and array_api_compat.is_array_api_obj(each) and each.ndim == 0


def _kind(kind: type) -> str | None:
    return next((name for name, types in _KINDS.items() if issubclass(kind, types)), None)


def _misfit(ids: list[Any], kinds: dict[type, str | None]) -> GroupIdError:
    """The error for ids that are not all of one kind: the first missing one, else the first other one."""
    for row, each in enumerate(ids):
        if kinds[type(each)] is None and is_missing(each):
            return GroupIdError(row, f"is missing ({each}): {_ONE_EACH}")
    first = kinds[type(ids[0])]
    row = next(row for row, each in enumerate(ids) if first is None or kinds[type(each)] != first)
    kind = kinds[type(ids[row])] or f"a {type(ids[row]).__name__}"
    first_id = f", and group_ids[0] is {shortened(repr(ids[0]))}, {first}" if row else ""
    return GroupIdError(row, f"is {shortened(repr(ids[row]))}, {kind}{first_id}: ids must be {_ALLOWED}")


def is_missing(value: Any) -> bool:
    """None, a NaN or NaT of any library, pandas' NA, or masked."""
    if value is None or value is np.ma.masked:
        return True
    try:
        return bool(value != value)  # noqa: PLR0124 - what makes a NaN one
    except (TypeError, ValueError):  # NA refuses to be true or false; so does an array, which is no NA
        return type(value).__name__ == "NAType"


def shortened(text: str) -> str:
    """An id in a message; a prompt's text only by its beginning."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


_LONGEST = 60


def _stable_argsort(ids: npt.NDArray[Any]) -> Int:
    """Stable argsort; integers of a range below 2^32 by 16 bits at a time, where NumPy sorts by radix."""
    if ids.dtype.kind in "iu" and len(ids):
        low = ids.min()
        span = int(ids.max()) - int(low)
        if span < 1 << 32:
            shifted = (ids - low).astype(np.uint32)
            order = np.argsort(shifted.astype(np.uint16), kind="stable")
            if span < 1 << 16:
                return order
            return order[np.argsort((shifted >> 16).astype(np.uint16)[order], kind="stable")]
    return np.argsort(ids, kind="stable")


def map_buckets(xp: Namespace, rewards: Array, groups: Groups, rule: Callable[[Array], Array]) -> Array:
    """Apply a rule for dense groups (g, size) to every bucket; rows in no group get 0.

    Rewards (B,), or rows (B, c), to advantages (B,): one gather, one call per size, one gather back.
    """
    buckets = groups.buckets()
    order = np.concatenate([rows.ravel() for rows in buckets]) if buckets else groups.order
    gathered, parts, start = of_rows(xp, rewards, order), [], 0
    for rows in buckets:
        dense = xp.reshape(gathered[start : start + rows.size, ...], (*rows.shape, *rewards.shape[1:]))
        parts.append(xp.reshape(rule(dense), (-1,)))
        start += rows.size
    none = gathered if rewards.ndim == 1 else gathered[:, 0]
    return to_rows(xp, xp.concat(parts) if parts else none, order, rewards.shape[0])


def of_rows(xp: Namespace, values: Array, rows: Int) -> Array:
    """Those of values (B,) at some rows, in their order."""
    return xp.take(values, xp.asarray(rows, device=array_api_compat.device(values)), axis=0)


def to_rows(xp: Namespace, values: Array, rows: Int, total: int) -> Array:
    """Values at these rows of ``total``, each once, and 0 at the others: by one gather."""
    device = array_api_compat.device(values)
    back = np.full(total, len(rows))
    back[rows] = np.arange(len(rows))
    padded = xp.concat([values, xp.zeros(1, dtype=values.dtype, device=device)])
    return xp.take(padded, xp.asarray(back, device=device), axis=0)
