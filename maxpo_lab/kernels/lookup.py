"""Entries of a column, in a graph that torch.compile records or outside of one."""

from __future__ import annotations

from ..core.arrays import Array, Namespace
from ..core.tracing import compiles
from .tables import Column


def look_up(column: Column, places: Array, n: int, k: int, xp: Namespace) -> Array:
    """Entries of a column at whole numbers ``places``, in their shape and on their device."""
    if compiles(places):
        from .traced import looked_up  # noqa: PLC0415 - torch is there

        return looked_up(places, column.number, n, k)
    return column.entries(places, n, k, xp)
