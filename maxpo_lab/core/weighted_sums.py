"""How a weighted sum of named things is spelled: ``0.7*maxpo+0.3*rloo``, and ``maxpo@8``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from math import isfinite

from .numerals import numeral

#: What is summed: weight and name.
Terms = tuple[tuple[Fraction, str], ...]

_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?:/\d+)?"
_FIRST = re.compile(rf"\s*([+-]?)\s*({_NUMBER})\s*\*")
# A sign before ``number*``, or a plus before a letter; never the sign of an exponent. Names hold minus signs,
# so that minus always has its number.
_NEXT = re.compile(rf"(?<![\d.][eE])(?:([+-])\s*({_NUMBER})\s*\*|\+\s*(?=[A-Za-z]))")
_OWN_K = re.compile(r"(.+)@(\d+)")


def read(text: str) -> Terms | None:
    """The terms of a sum in the order in which they stand; None for a name alone.

    Weights are exact: ``0.7`` is 7/10, ``1/3`` a third, ``1e-4`` a ten-thousandth. ValueError for one that
    no float holds.
    """
    first = _FIRST.match(text)
    terms, place = (
        [_term(text, *first.groups())] if first else [(Fraction(1), "")],
        first.end() if first else 0,
    )
    for sign in _NEXT.finditer(text, max(place, 1)):
        terms[-1] = terms[-1][0], text[place : sign.start()].strip()
        terms.append(_term(text, sign[1] or "+", sign[2] or "1"))
        place = sign.end()
    terms[-1] = terms[-1][0], text[place:].strip()
    return tuple(terms) if first or len(terms) > 1 else None


def _term(text: str, sign: str, number: str) -> tuple[Fraction, str]:
    try:
        weight = Fraction(number)
        fits = isfinite(float(weight)) and (float(weight) != 0 or weight == 0)
    except (ZeroDivisionError, OverflowError):
        fits = False
    if not fits:
        raise ValueError(f"{text!r}: the weight {number} is not a number that a float holds")
    return -weight if sign == "-" else weight, ""


def together(terms: Iterable[tuple[Fraction, str]]) -> Terms:
    """Terms of one name added up, in the order of their first; those that add up to 0 stay."""
    found: dict[str, Fraction] = {}
    for weight, name in terms:
        found[name] = found.get(name, Fraction(0)) + weight
    return tuple((weight, name) for name, weight in found.items())


def spell(terms: Terms) -> str:
    """The sum as ``read`` reads it: ``maxpo-0.1*rloo``; one term of weight 1 is its name."""
    text = ""
    for weight, name in terms:
        sign = "-" if weight < 0 else "+" if text else ""
        text += f"{sign}{name}" if weight == 1 else f"{sign}{number(abs(weight))}*{name}"
    return text


def number(value: Fraction) -> str:
    """A rational as a decimal where a short one is exact, else as a fraction."""
    short = numeral(float(value))
    return short if Fraction(short) == value else str(value)


def own_k(text: str) -> tuple[str, int] | None:
    """``maxpo@8`` as the name and its K; None for a name without one."""
    found = _OWN_K.fullmatch(text)
    return (found[1], int(found[2])) if found else None
