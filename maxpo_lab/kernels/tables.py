"""Rank-linear rules as tables: what the gaps of sorted rewards are multiplied with, made once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, fields
from functools import lru_cache
from itertools import count
from typing import Any, Protocol, Self
from weakref import WeakValueDictionary

import array_api_compat
import numpy as np

from ..core.arrays import Array, Float, Namespace, widest
from ..core.coefficients import Coefficients, Vector

#: What is kept at most: a table is O(n). It is found by its rule's number and does not keep the rule.
KEPT = 256
#: Largest group whose sums all start from its lowest reward.
_FROM_THE_END = 24


class Source(Protocol):
    """What gives a rule its coefficients; ``number`` stands for it in a graph, and for its tables."""

    @property
    def number(self) -> int:
        """Its own, of all rules of the process."""
        ...

    def coefficients(self, n: int, k: int) -> Coefficients:
        """At (n, k); ValueError where it is undefined."""
        ...


#: Rules, each with its k.
Rules = tuple[tuple[Source, int], ...]

_NUMBERS = count()
_NUMBERED: WeakValueDictionary[int, Any] = WeakValueDictionary()


def new_number(thing: Any) -> int:
    """A number by which ``numbered`` finds a thing as long as it lives: a graph holds no objects."""
    number = next(_NUMBERS)
    _NUMBERED[number] = thing
    return number


def numbered(number: int) -> Any:
    """The thing of this number."""
    return _NUMBERED[number]


@dataclass(frozen=True, eq=False)
class FromRank:
    r"""Rules without an offset: one advantage is a sum over all gaps, steps lead from it to the others.

    .. math:: A_{(s)} = \sum_{m<s} \text{gap}_m\, \text{above}_m
              + \sum_{m \ge s} \text{gap}_m\, \text{below}_m, \qquad
              A_{(r+1)} - A_{(r)} = \text{gap}_r (\text{above}_r - \text{below}_r) .

    Every sum on the way is an advantage of the group, so nothing that counts cancels. A rule that debits
    nobody starts from the lowest reward, which gets 0. In larger groups the others start from the middle:
    half as many steps, from where advantages are small.

    Attributes
    ----------
    places
        Which of the rules, by their numbers.
    above, below
        As ``Coefficients`` has them, (rules, n-1).
    start
        The rank s from which steps lead up and down, less 1: 0 for the lowest.
    origin
        What each gap pays to that rank, (rules, n-1).
    slope
        What each gap adds on the way up, or on the way down below ``start``, (rules, n-1).
    debits
        Whether ``origin`` is not 0.
    """

    places: tuple[int, ...]
    above: Array
    below: Array
    start: int
    origin: Array
    slope: Array
    debits: bool

    @classmethod
    def of(cls, places: tuple[int, ...], made: list[Coefficients], start: int, debits: bool) -> Self:
        """Of these coefficients."""
        above, below = (
            np.array([getattr(each, side) for each in made], dtype=np.float64) for side in ("above", "below")
        )
        down = np.arange(above.shape[1]) < start
        slope = above - below
        origin, slope = np.where(down, above, below), np.where(down, -slope, slope)
        return cls(places, above, below, start, origin, slope, debits)


@dataclass(frozen=True, eq=False)
class FromZero:
    """Rules with an offset: sums are counted from reward 0, and ``offset R_(1)`` is not there to cancel.

    A gap around 0 is two gaps, and 0 itself a level: what rises above it takes ``above`` and ``below``, what
    falls below it ``above - offset`` and ``below - offset``. Rewards [-1e16, 1] have gaps 1e16 and 1, and the
    1 survives wherever the rule gives 0 to the other. Error: a few eps of ``sum_j |dA_i/dR_j R_j|``.

    Attributes
    ----------
    places
        Which of the rules, by their numbers.
    up, down
        What each rise pays to those above and below it, (rules, n): of the rises to ranks 1..n, the last
        ``down`` being 0.
    over, under
        The same of what falls below 0, from ranks 1..n, the first ``over`` being 0.
    own, cost
        Shares (rules, 1) of the reward itself, above 0 and below: what all of a rule's coefficients have in
        common, where it rounds nothing. All of reinforce, and of pkpo-s at K = 1: the rewards come back.
    sides
        Whether any ``up``, any ``down`` and ``own`` are not 0, rule by rule.
    """

    places: tuple[int, ...]
    up: Array
    down: Array
    over: Array
    under: Array
    own: Array
    cost: Array
    sides: tuple[tuple[bool, ...], ...]

    @classmethod
    def of(cls, places: tuple[int, ...], made: list[Coefficients]) -> Self:
        """Of these coefficients."""
        up, down, over, under, own, cost = map(np.stack, zip(*map(_from_zero, made), strict=True))
        sides = tuple(tuple(bool(each[row].any()) for each in (up, down, own)) for row in range(len(made)))
        return cls(places, up, down, over, under, own, cost, sides)


Stack = FromRank | FromZero


def stacks(rules: Rules, n: int) -> tuple[Stack, ...]:
    """Tables of rules at group size n in NumPy, in stacks by where sums are counted from.

    The latest ``KEPT`` sets of rules are kept. Cost O(n) per rule the first time.
    """
    made: tuple[Stack, ...] = _kept(_numbers(rules), n)
    return made


def stacks_on(rules: Rules, n: int, xp: Namespace, device: Any) -> tuple[Stack, ...]:
    """The same in another namespace, on a device; JAX, which traces what it is given, takes NumPy's."""
    if array_api_compat.is_jax_namespace(xp):
        return stacks(rules, n)
    made: tuple[Stack, ...] = _kept_on(_numbers(rules), n, xp, _hashable(device))
    return made


def _numbers(rules: Rules) -> tuple[tuple[int, int], ...]:
    """Rules by number: they may be equal and yet differ, or have no hash."""
    return tuple((rule.number, k) for rule, k in rules)


class Column:
    """A vector that depends on (n, k) alone, to be looked up at whole numbers; ``number`` stands for it."""

    def __init__(self, vector: Callable[[int, int], Vector]) -> None:
        self.vector, self.number = vector, new_number(self)

    def on(self, n: int, k: int, xp: Namespace, device: Any) -> Array:
        """The vector in a namespace, on a device: kept as ``stacks_on`` keeps."""
        if array_api_compat.is_jax_namespace(xp):
            return xp.asarray(self.vector(n, k), dtype=widest(xp))
        return _vector(self.vector, n, k, xp, _hashable(device))

    def entries(self, places: Array, n: int, k: int, xp: Namespace) -> Array:
        """Those at whole numbers ``places``, in their shape and on their device."""
        values = self.on(n, k, xp, array_api_compat.device(places))
        return xp.reshape(xp.take(values, xp.reshape(places, (-1,)), axis=0), places.shape)


def _from_zero(made: Coefficients) -> tuple[Float, ...]:
    """The tables of one rule with an offset, in the order of ``FromZero``."""
    offset = float(made.offset)
    above, below = (np.asarray(each, dtype=np.float64) for each in (made.above, made.below))
    over, under = (above - offset, below - offset) if made.penalties is None else made.penalties
    success = np.append(offset, above)
    failure = np.append(under, -offset)
    own, cost = _common(success), _common(-failure)
    return success - own, np.append(below, 0.0), np.append(0.0, over), failure + cost, own, cost


def _common(coefficients: Float) -> Float:
    """The coefficient (1,) nearest to 0 where all have one sign, else 0."""
    least, most = coefficients.min(), coefficients.max()
    return np.array([max(least, 0.0) + min(most, 0.0)])


@lru_cache(maxsize=KEPT)
def _kept(rules: tuple[tuple[int, int], ...], n: int) -> tuple[Stack, ...]:
    made = [numbered(number).coefficients(n, k) for number, k in rules]
    kinds: dict[tuple[bool, bool], list[int]] = {}
    for place, each in enumerate(made):
        kinds.setdefault((bool(each.offset), bool(np.any(each.below))), []).append(place)
    found: list[Stack] = []
    offset: list[int] = []
    for (from_zero, debits), places in kinds.items():
        if from_zero:
            offset += places
        else:
            start = n // 2 if debits and n > _FROM_THE_END else 0
            found.append(FromRank.of(tuple(places), [made[place] for place in places], start, debits))
    if offset:
        found.append(FromZero.of(tuple(offset), [made[place] for place in offset]))
    return tuple(found)


@lru_cache(maxsize=KEPT)
def _kept_on(rules: tuple[tuple[int, int], ...], n: int, xp: Namespace, device: Any) -> tuple[Stack, ...]:
    return tuple(_placed(stack, xp, device) for stack in _kept(rules, n))


@lru_cache(maxsize=KEPT)
def _vector(vector: Callable[[int, int], Vector], n: int, k: int, xp: Namespace, device: Any) -> Array:
    return _put(vector(n, k), xp, device)


def _placed(stack: Stack, xp: Namespace, device: Any) -> Stack:
    """A stack with its arrays on a device."""
    values = {each.name: getattr(stack, each.name) for each in fields(stack)}
    arrays = {
        name: _put(value, xp, device) for name, value in values.items() if isinstance(value, np.ndarray)
    }
    return type(stack)(**(values | arrays))


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


def _put(values: Vector, xp: Namespace, device: Any) -> Array:
    return xp.asarray(values, device=device.device if isinstance(device, _Named) else device, copy=True)
