"""What definitions in exact rationals are made from: groups, means, roots and exponentials to 50 digits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from statistics import mean
from typing import Any

Group = Sequence[Any]
Signal = Callable[[Group, int], list[Fraction]]

#: Roots and exponentials are taken to this many digits; everything else is exact.
_DIGITS = Context(prec=50)


def exact(rewards: Group) -> list[Fraction]:
    """Rewards as the rationals that they are."""
    return [Fraction(r) for r in rewards]


def without(group: Sequence[Fraction], *left_out: int) -> list[Fraction]:
    """A group without the members at these places."""
    return [r for j, r in enumerate(group) if j not in left_out]


def _decimal(x: Fraction) -> Decimal:
    return _DIGITS.divide(Decimal(x.numerator), Decimal(x.denominator))


def root(x: Fraction) -> Fraction:
    """The square root, to 50 digits."""
    return Fraction(_decimal(x).sqrt(_DIGITS))


def exponential(x: Fraction) -> Fraction:
    """The exponential, to 50 digits."""
    return Fraction(_decimal(x).exp(_DIGITS))


def logarithm(x: Fraction) -> Fraction:
    """The natural logarithm, to 50 digits."""
    return Fraction(_decimal(x).ln(_DIGITS))


def deviation(group: Sequence[Fraction], ddof: int) -> Fraction:
    """The standard deviation, to 50 digits."""
    squares = sum(((r - mean(group)) ** 2 for r in group), Fraction(0))
    return root(squares / (len(group) - ddof))
