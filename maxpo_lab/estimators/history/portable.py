"""Rules with history on any Array API namespace: two sorts, prefix sums, a bisection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import array_api_compat
import numpy as np

from ...core.arrays import Array, Float, Namespace, widest
from .tables import Tables


def evaluate(
    xp: Namespace,
    rewards: Array,
    y: Array,
    w: Array,
    *,
    tables: Sequence[Tables],
    shares: Sequence[Array | float | None],
    history_sorted: bool,
) -> Array:
    """Advantages (tables, B, n) of groups (B, n) against histories (B, m), in the rewards' dtype."""
    wide = widest(xp)
    order = xp.argsort(rewards, axis=-1)
    ranked = xp.astype(_rows(xp, rewards, order), wide, copy=False)
    if not history_sorted:
        by_value = xp.argsort(y, axis=-1)
        y, w = _rows(xp, y, by_value), _rows(xp, w, by_value)
    y, w = xp.astype(y, wide, copy=False), xp.astype(w, wide, copy=False)
    rise = ranked - ranked[:, :1]
    none = xp.zeros_like(y[:, :1])
    upto, sums = (
        xp.cumulative_sum(xp.concat([none, each], axis=-1), axis=-1) for each in (w, w * (y - ranked[:, :1]))
    )
    place = _at_or_below(xp, ranked, y) + _starts(xp, y, y.shape[1] + 1)
    weight = upto[:, -1:]
    scale = xp.where(weight > 0, weight, xp.ones_like(weight))
    missed = (_entries(xp, upto, place) * rise - _entries(xp, sums, place)) / scale  # mean of (R_(r) - y)^+
    beyond = sums[:, -1:] / scale - rise[:, -1:] + missed[:, -1:]
    gaps, under = (each[:, 1:] - each[:, :-1] for each in (ranked, missed))
    back = xp.argsort(order, axis=-1)
    advantages = []
    for made, share in zip(tables, shares, strict=True):
        s = _share(xp, weight, share, made)
        o, p, q, a, b, c = (_as(xp, row, ranked) for row in (*made.origin, *made.slope))
        first = xp.sum(gaps * (o + s * p) + s * (under * q), axis=-1, keepdims=True)
        first = first + s * (made.short * missed[:, :1] - made.reach * beyond)
        if made.own:
            first = first + (1 - s) * ranked[:, :1]
        steps = xp.concat([first, gaps * (a + s * b) + s * (under * c)], axis=-1)
        advantages.append(_rows(xp, xp.cumulative_sum(steps, axis=-1), back))
    return xp.astype(xp.stack(advantages, axis=0), rewards.dtype, copy=False)


def _share(xp: Namespace, weight: Array, share: Array | float | None, made: Tables) -> Array:
    """The share s of the history, (B, 1): 0 where there is none."""
    if share is None:
        share = weight / xp.where(weight > 0, weight + made.spare, xp.ones_like(weight))
    elif not isinstance(share, float):
        share = xp.astype(share, weight.dtype, copy=False)[:, None]
    return xp.where(weight > 0, xp.ones_like(weight) * share, xp.zeros_like(weight))


def _at_or_below(xp: Namespace, ranked: Array, y: Array) -> Array:
    """How many of the sorted y (B, m) are at or below each of ranked (B, n): bisection of all at once."""
    size = y.shape[1]
    step = 1 << (size.bit_length() - 1)
    start = _starts(xp, y, size)
    # The first comparison leaves less than ``step`` to search either way, whatever the size.
    passed = xp.astype(y[:, step - 1 : step] <= ranked, start.dtype)
    place = start + (size - step + 1) * passed
    while step > 1:
        step //= 2
        passed = xp.astype(_entries(xp, y, place + (step - 1)) <= ranked, start.dtype)
        place = place + step * passed
    return place - start


def _starts(xp: Namespace, rows: Array, size: int) -> Array:
    """Where each row begins, (B, 1), if rows of ``size`` entries are counted through."""
    return xp.arange(0, rows.shape[0] * size, size, device=array_api_compat.device(rows))[:, None]


def _entries(xp: Namespace, rows: Array, places: Array) -> Array:
    """Entries at places that are counted through all rows, in the places' shape."""
    found = xp.take(xp.reshape(rows, (-1,)), xp.reshape(places, (-1,)), axis=0)
    return xp.reshape(found, places.shape)


def _rows(xp: Namespace, rows: Array, order: Array) -> Array:
    """Each row in an order of its own."""
    return xp.take_along_axis(rows, order, axis=-1)


def _as(xp: Namespace, table: Float, like: Array) -> Any:
    """A table in the type of the sums, on their device."""
    values = np.array(table, dtype=np.dtype(str(like.dtype).rpartition(".")[2]))
    return xp.asarray(values, device=array_api_compat.device(like))
