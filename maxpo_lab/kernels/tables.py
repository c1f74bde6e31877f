"""Coefficients of rank-linear rules on a device, alone or several stacked, each made once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import array_api_compat
import numpy as np

from ..core.arrays import Array, Namespace
from ..core.coefficients import Coefficients, Vector

#: What is kept at most: a table is O(n), and keeps what gave its coefficients alive.
KEPT = 256


@dataclass(frozen=True, eq=False)
class Tables:
    r"""A rank-linear rule on one device, ready to be multiplied with gaps.

    Attributes
    ----------
    up, down
        What each gap pays to those above and below it, (..., n): with a 0 for the gap that is not there.
    from_zero
        For a rule with an offset: its sums are counted from reward 0, not from the lowest, so that
        ``offset R_(1)`` is not there to cancel. A gap around 0 is two gaps, and 0 itself is a level: what
        rises above it takes ``above`` and ``below``, what falls below it ``above - offset`` and
        ``below - offset``. Rewards [-1e16, 1] have gaps 1e16 and 1, and the 1 survives wherever the rule
        gives 0 to the other. Error: a few eps of ``sum_j |dA_i/dR_j R_j|``. The two tables of what falls, and
        two shares (..., 1) of the reward itself, above 0 and below.
    """

    up: Array
    down: Array
    from_zero: tuple[Array, Array, Array, Array] | None = None


def tables(
    xp: Namespace,
    *,
    offset: float | Array,
    above: Array,
    below: Array,
    penalties: Array | None = None,
) -> Tables:
    """What ``from_tables`` multiplies the sorted rewards with: the rule, as ``rank_linear`` takes it."""
    if isinstance(offset, (int, float)) and not offset:
        zero = _like(xp, 0.0, above)
        return Tables(up=xp.concat([zero, above], axis=-1), down=xp.concat([below, zero], axis=-1))
    offset = _like(xp, offset, above)
    zero = xp.zeros_like(offset)
    over, under = (
        (above - offset, below - offset) if penalties is None else (penalties[0, ...], penalties[1, ...])
    )
    success = xp.concat([offset, above], axis=-1)
    failure = xp.concat([under, -offset], axis=-1)
    # What all of a rule's coefficients have in common multiplies the reward itself, where it rounds nothing:
    # all of reinforce and of pkpo-s at K = 1, which give the rewards back.
    own, cost = _common(xp, success), _common(xp, -failure)
    return Tables(
        up=success - own,
        down=xp.concat([below, zero], axis=-1),
        from_zero=(xp.concat([zero, over], axis=-1), failure + cost, own, cost),
    )


def tables_on(
    coefficients: Callable[[int, int], Coefficients], n: int, k: int, xp: Namespace, device: Any
) -> Tables:
    """The tables of the rule with these coefficients at (n, k), for a namespace and device: made once.

    The latest ``KEPT`` are kept, with the callables that gave the coefficients, by which they are found
    again. Cost O(n) the first time.
    """
    made: Tables = _kept(coefficients, n, k, xp, _hashable(device))
    return made


def vector_on(vector: Callable[[int, int], Vector], n: int, k: int, xp: Namespace, device: Any) -> Array:
    """A vector that depends on (n, k) alone, for a namespace and device: kept as ``tables_on`` keeps."""
    return _kept(vector, n, k, xp, _hashable(device))


def look_up(vector: Callable[[int, int], Vector], places: Array, n: int, k: int, xp: Namespace) -> Array:
    """Entries of ``vector_on`` at whole numbers ``places``, in their shape and on their device."""
    column = vector_on(vector, n, k, xp, array_api_compat.device(places))
    return xp.reshape(xp.take(column, xp.reshape(places, (-1,)), axis=0), places.shape)


def stacked(xp: Namespace, made: Mapping[int, Tables]) -> tuple[tuple[list[int], Tables], ...]:
    """Tables (n,) of rules by their places, as at most two stacks (rules, 1, n), with the places of each.

    Those that count from reward 0 are apart from those that count from the lowest one. Apart, and with the
    tables that each would use alone, every rule gives to the bit what it gives alone.
    """
    by_origin = (
        [place for place, each in made.items() if (each.from_zero is not None) == from_zero]
        for from_zero in (False, True)
    )
    return tuple((places, _stack(xp, [made[each] for each in places])) for places in by_origin if places)


def _stack(xp: Namespace, made: Sequence[Tables]) -> Tables:
    """Tables of several rules of one kind."""

    def rows(vectors: Sequence[Array]) -> Array:
        return xp.stack(list(vectors), axis=0)[:, None, ...]

    below_zero = [each.from_zero for each in made if each.from_zero is not None]
    over, failure, own, cost = (
        (rows(each) for each in zip(*below_zero, strict=True)) if below_zero else [None] * 4
    )
    return Tables(
        up=rows([each.up for each in made]),
        down=rows([each.down for each in made]),
        from_zero=(over, failure, own, cost) if below_zero else None,
    )


@dataclass(frozen=True)
class _Named:
    """A device that has no hash, as CuPy's has none: it is the one of its name."""

    name: str
    device: Any = field(compare=False)


def _hashable(device: Any) -> Hashable:
    try:
        hash(device)
    except TypeError:
        return _Named(repr(device), device)
    return device  # type: ignore[no-any-return]


@lru_cache(maxsize=KEPT)
def _kept(source: Callable[[int, int], Any], n: int, k: int, xp: Namespace, device: Any) -> Any:
    """What a callable gives at (n, k), on a device: tables of coefficients, else the vector itself."""
    made = source(n, k)
    put = partial(xp.asarray, device=device.device if isinstance(device, _Named) else device, copy=True)
    if not isinstance(made, Coefficients):
        return put(made)
    penalties = None if made.penalties is None else put(np.stack(made.penalties))
    above, below = put(made.above), put(made.below)
    return tables(xp, offset=float(made.offset), above=above, below=below, penalties=penalties)


def _common(xp: Namespace, coefficients: Array) -> Array:
    """The coefficient (..., 1) nearest to 0 where all have one sign, else 0."""
    least = xp.min(coefficients, axis=-1, keepdims=True)
    most = xp.max(coefficients, axis=-1, keepdims=True)
    return xp.clip(least, 0.0, None) + xp.clip(most, None, 0.0)


def _like(xp: Namespace, value: float | Array, coefficients: Array) -> Array:
    """A number, or an array (..., 1), as an array (..., 1) next to coefficients (..., n-1)."""
    shape = (*coefficients.shape[:-1], 1)
    if isinstance(value, (int, float)):
        device = array_api_compat.device(coefficients)
        return xp.full(shape, float(value), dtype=coefficients.dtype, device=device)
    return xp.broadcast_to(value, shape)
