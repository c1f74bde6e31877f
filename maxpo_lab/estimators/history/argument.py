"""The argument ``history=``: earlier rewards of each group's prompt, checked and put into rows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from numbers import Real
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...core.arrays import Float, on_host, once
from ...core.precision import as_real

#: What the rewards of a history may be: any reals, or 0 and 1 alone; its weights: a share, or 0 and 1 alone.
Rewards = Literal["real", "binary"]
Weights = Literal["share", "whole"]

Rows = tuple[Float, Float]


def as_histories(
    history: Any,
    *,
    groups: int,
    ids: Sequence[Hashable] | None = None,
    rule: str = "replay",
    rewards: Rewards = "real",
    weights: Weights = "share",
) -> Rows:
    """Check a history and return rewards and weights as rows (groups, m), ascending, padded by weight 0.

    Parameters
    ----------
    history
        One entry a group: a sequence in the order of the groups, or a mapping from their ids, where an id
        that is no key has no history. An entry is rewards (m,), or a tuple of rewards and weights, (m,) each;
        None or an empty one is no history. Without weights all are 1. Or rows already: an array (groups, m),
        or a tuple of two, of rewards and weights; a weight of 0 pads a row.
    groups
        How many groups there are.
    ids
        The id of each, where there are any.
    rule, rewards, weights
        The rule's name, and what it takes: ``"binary"`` rewards are 0 and 1 alone, ``"whole"`` weights too.

    Returns
    -------
    y, w
        float64, (groups, m) each, m >= 1. What is sorted need not be sorted again: ``history_sorted=True``.

    Raises
    ------
    TypeError
        Neither a sequence nor a mapping; an entry without real numbers; keys of another kind than the ids.
    ValueError
        Another number of entries than groups, a mapping without ids, a NaN or an infinity, rewards that the
        rule does not take, weights of another length or outside [0, 1].
    """
    _refuse_masks(history)
    if (rows := _as_rows(history)) is not None:
        return _checked_rows(*rows, groups=groups, rule=rule, rewards=rewards, weights=weights)
    named = _by_group(history, groups, ids)
    found = [_entry(entry, name, rule, rewards, weights) for name, entry in named]
    longest = max([1, *(len(values) for values, _ in found)])
    y, w = np.zeros((2, groups, longest))
    for row, (values, shares) in enumerate(found):
        if len(values):
            order = np.argsort(values, kind="stable")
            y[row] = values[order[-1]]
            y[row, : len(values)], w[row, : len(values)] = values[order], shares[order]
    return y, w


def _refuse_masks(history: Any) -> None:
    """Refuse masked rewards or weights, of which nobody knows what lies under the mask: weights say it."""
    parts = history.values() if isinstance(history, Mapping) else history
    listed = isinstance(parts, tuple | list) or isinstance(history, Mapping)
    for each in (history, *(parts if listed else ())):
        if any(
            isinstance(part, np.ma.MaskedArray) for part in (each if isinstance(each, tuple) else (each,))
        ):
            raise TypeError(
                "history holds a masked array: leave masked rewards out, or give them weight 0 as "
                "(rewards, weights)"
            )


def _as_rows(history: Any) -> tuple[Any, Any] | None:
    """Arrays (groups, m) of rewards and weights; weights are None where all are 1. None for anything else."""
    if getattr(history, "ndim", 0) == 2:
        return history, None
    if isinstance(history, tuple) and [getattr(part, "ndim", 0) for part in history] == [2, 2]:
        return history[0], history[1]
    return None


def _checked_rows(
    values: Any, shares: Any, *, groups: int, rule: str, rewards: Rewards, weights: Weights
) -> Rows:
    """The same of rows: a history that is held so, and in ascending order, is looked at and not copied."""
    y = _numbers(values, "history")
    w = np.broadcast_to(1.0, y.shape) if shares is None else _numbers(shares, "weights of history")
    if y.shape == w.shape and all_are_one(w):
        w = np.broadcast_to(1.0, y.shape)  # which is known of it from here on
    if y.shape != w.shape or len(y) != groups:
        raise ValueError(
            f"history has shape {y.shape} and weights {w.shape} for {groups} groups: (groups, m) each"
        )
    if not y.shape[1]:
        return np.zeros((groups, 1)), np.zeros((groups, 1))
    _refuse_values(y, once(w), "history", rule=rule, rewards=rewards, weights=weights)
    if _ascending(y):
        return y, w
    order = np.argsort(y, axis=-1, kind="stable")
    return np.take_along_axis(y, order, axis=-1), np.take_along_axis(w, order, axis=-1)


def all_are_one(weights: Float) -> bool:
    """Whether every weight is 1; a first row that says no saves a look at the others."""
    held = once(weights)
    return bool((held[:1] == 1).all() and (held == 1).all())


def _ascending(rows: Float) -> bool:
    """Whether each row is: pairs of neighbours in memory, less those of two rows."""
    flat = rows.reshape(-1)
    rises = flat[1:] >= flat[:-1]
    rises[rows.shape[1] - 1 :: rows.shape[1]] = True
    return bool(rises.all())


def _by_group(history: Any, groups: int, ids: Sequence[Hashable] | None) -> list[tuple[str, Any]]:
    """What each group's history is called in messages, and it."""
    if isinstance(history, Mapping):
        if ids is None:
            raise ValueError(
                "history is a mapping from ids, and there are no group_ids: pass them, or a sequence with "
                "one entry a group"
            )
        kinds, known = {_kind(each) for each in ids}, {_kind(each) for each in history}
        if history and not kinds & known:
            raise TypeError(
                f"history has {' and '.join(sorted(known))} for keys, group_ids are "
                f"{' and '.join(sorted(kinds))}: they must be of one kind, e.g. {next(iter(ids))!r}"
            )
        return [(f"history[{each!r}]", history.get(each)) for each in map(_plain, ids)]
    if isinstance(history, str | bytes) or not (
        hasattr(history, "__len__") and hasattr(history, "__getitem__")
    ):
        raise TypeError(
            f"history is a {type(history).__name__}: it must be a sequence with one entry a group, or a "
            f"mapping from group_ids"
        )
    if len(history) != groups:
        raise ValueError(
            f"history has {len(history)} entries for {groups} groups: one a group, in their order"
        )
    return [(f"history[{row}]", history[row]) for row in range(groups)]


def _plain(key: Hashable) -> Hashable:
    """An id as a key of Python's own: NumPy's text, numbers and bytes find theirs."""
    return key.item() if isinstance(key, np.generic) else key


def _kind(key: Any) -> str:
    kind: type[Any] = type(_plain(key))
    if kind in (bool, str):
        return "booleans" if kind is bool else "text"
    return "numbers" if issubclass(kind, Real) else f"{kind.__name__} objects"


def _entry(entry: Any, name: str, rule: str, rewards: Rewards, weights: Weights) -> Rows:
    """Rewards and weights of one group's history."""
    if entry is None:
        return np.zeros(0), np.zeros(0)
    pair = isinstance(entry, tuple) and len(entry) == 2 and all(_is_row(part) for part in entry)
    values = _row(entry[0] if pair else entry, name)
    shares = _row(entry[1], f"weights of {name}") if pair else np.ones(len(values))
    if len(shares) != len(values):
        raise ValueError(f"{name} has {len(values)} rewards and {len(shares)} weights: one each")
    _refuse_values(values, shares, name, rule=rule, rewards=rewards, weights=weights)
    return values, shares


def _is_row(part: Any) -> bool:
    return hasattr(part, "__len__") and getattr(part, "ndim", 1) == 1 and not isinstance(part, str | bytes)


def _row(values: Any, name: str) -> Float:
    """One row of real numbers."""
    row = _numbers(values, name)
    if row.ndim != 1:
        raise ValueError(
            f"{name} has shape {row.shape}: it must be a row (m,) of one group's earlier rewards"
        )
    return row


def _numbers(values: Any, name: str) -> Float:
    """Real numbers of any library in float64; a NumPy array of these is not copied."""
    if type(values) is np.ndarray and values.dtype == np.float64:
        return values
    return as_real(on_host(values) if hasattr(values, "__dlpack__") else values, name)


def _refuse_values(
    values: Float, shares: Float, name: str, *, rule: str, rewards: Rewards, weights: Weights
) -> None:
    """Refuse what is no reward or no weight of this rule, by its place."""
    finite = "every reward and every weight of a history must be finite"
    if not np.isfinite(
        values.sum()
    ):  # as no sum with a NaN or an infinity is; one that overflows proves nothing
        _refuse(~np.isfinite(values), values, name, finite)
    if rewards == "binary":
        whole = f"{rule} is defined for 0/1 rewards alone; use replay"
        _refuse((values != 0) & (values != 1), values, name, whole)
    if not (shares.size == 0 or (shares.min() >= 0 and shares.max() <= 1)):  # a NaN is neither
        outside = f"weights must be in [0, 1], 1 for a reward as good as a fresh one (rule {rule})"
        _refuse(~((shares >= 0) & (shares <= 1)), shares, f"weights of {name}", outside)
    if weights == "whole":
        part = f"weights of {rule} must be 0 or 1, as a subset has no place for part of a reward; use replay"
        _refuse((shares != 0) & (shares != 1), shares, f"weights of {name}", part)


def _refuse(bad: npt.NDArray[np.bool_], values: Float, name: str, reason: str) -> None:
    if bad.any():
        place = np.unravel_index(int(np.argmax(bad)), bad.shape)
        where = "".join(f"[{index}]" for index in place)
        raise ValueError(f"{name}{where} is {values[place]:g}: {reason}")
