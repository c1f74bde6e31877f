"""Rules with history, evaluated: on the CPU in NumPy, elsewhere by the array library."""

from __future__ import annotations

from ...core.arrays import Array, Namespace
from ...kernels.engine import as_given, as_host
from .tables import Tables

#: Tables, and the share s of each group that has history: an array (...), a number, or None for the fair one.
Setting = tuple[Tables, Array | float | None]


def with_history(
    xp: Namespace, rewards: Array, y: Array, w: Array, settings: tuple[Setting, ...], *, history_sorted: bool
) -> Array:
    """Advantages (settings, ..., n) of groups (..., n) against histories (..., m), from one sort of each.

    Sums run in float64 (see ``widest`` for JAX), results have the dtype of the rewards. Errors are some eps
    of K times the range of group and history together. A group's bits do not depend on the others. Cost
    O(n log n + m log m + n log m) a group, less the sort of a history that is sorted. Nothing waits for an
    accelerator.
    """
    from . import on_host, portable  # noqa: PLC0415 - a loop without history needs none of it

    shape = (len(settings), *rewards.shape)
    rows, past, weights = (xp.reshape(each, (-1, each.shape[-1])) for each in (rewards, y, w))
    tables = [made for made, _ in settings]
    shares = [
        share if share is None or isinstance(share, float) else xp.reshape(share, (-1,))
        for _, share in settings
    ]
    host = [as_host(each) for each in (rows, past, weights)]
    if any(each is None for each in host):
        found = portable.evaluate(
            xp, rows, past, weights, tables=tables, shares=shares, history_sorted=history_sorted
        )
        return xp.reshape(found, shape)
    of_host = [share if share is None or isinstance(share, float) else as_host(share) for share in shares]
    found = on_host.evaluate(
        host[0], host[1], host[2], tables=tables, shares=of_host, history_sorted=history_sorted
    )
    return as_given(rewards, found.reshape(shape))
