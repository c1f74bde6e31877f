"""How names and equations spell a parameter."""

from __future__ import annotations


def numeral(value: float) -> str:
    """The shortest spelling that reads back as this very number: ``0.5``, ``2``, ``1e-06``, ``0.1234567``."""
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))
