"""Groups of different sizes: rows that belong together by id, bucketed by size, never looped one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import array_api_compat
import numpy as np
import numpy.typing as npt

from .groups import Array, Namespace

Int = npt.NDArray[np.intp]


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

    def buckets(self) -> list[Int]:
        """Row numbers (groups, size) of the groups of each size."""
        starts = np.cumsum(self.sizes) - self.sizes
        return [
            self.order[starts[self.sizes == size][:, None] + np.arange(size)]
            for size in np.unique(self.sizes)
        ]


def by_id(group_ids: Any, rows: int, kept: npt.NDArray[np.bool_] | None = None) -> Groups:
    """Sort rows into groups by id.

    Parameters
    ----------
    group_ids
        One id a row: integers or strings, any array (on any device) or sequence of length ``rows``.
    rows
        Rows of the batch.
    kept
        Which rows take part; default all.

    Raises
    ------
    TypeError
        Ids that cannot be compared for equality in an array (floats, mixed objects).
    ValueError
        Another number of ids than rows.
    """
    ids = group_ids.cpu() if array_api_compat.is_torch_array(group_ids) else group_ids
    ids = np.asarray(ids)
    if ids.shape != (rows,):
        raise ValueError(
            f"group_ids have shape {ids.shape}: expected ({rows},), one id a row of rewards (rewards of "
            f"shape (B,))"
        )
    if ids.dtype == object and all(isinstance(each, str) for each in ids):
        ids = ids.astype(str)
    if ids.dtype.kind not in "iuUSb":
        raise TypeError(f"group_ids have dtype {ids.dtype}: they must be integers or strings")
    if kept is None:
        order = _stable_argsort(ids)
    else:
        row = np.flatnonzero(kept)
        order = row[_stable_argsort(ids[row])]
    ranked = ids[order]
    first = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]])) if len(order) else order
    return Groups(ranked[first], np.diff(first, append=len(order)), order)


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

    Rewards (B,) to advantages (B,): one gather, one call a size, one gather back.
    """
    device = array_api_compat.device(rewards)
    total = rewards.shape[0]
    buckets = groups.buckets()
    inside = np.zeros(total, dtype=bool)
    inside[groups.order] = True
    outside = np.flatnonzero(~inside)
    order = np.concatenate([*(rows.ravel() for rows in buckets), outside])
    gathered = xp.take(rewards, xp.asarray(order, device=device), axis=0)
    parts, start = [], 0
    for rows in buckets:
        dense = xp.reshape(gathered[start : start + rows.size], rows.shape)
        parts.append(xp.reshape(rule(dense), (-1,)))
        start += rows.size
    parts.append(xp.zeros(len(outside), dtype=rewards.dtype, device=device))
    back = np.empty(total, dtype=np.intp)
    back[order] = np.arange(total)
    return xp.take(xp.concat(parts), xp.asarray(back, device=device), axis=0)
