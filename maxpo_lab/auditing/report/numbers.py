"""Numbers as reports write them."""

from __future__ import annotations

from math import isnan


def number(value: float | None) -> str:
    """Three digits; a dash for what is not defined."""
    return "-" if value is None or isnan(value) else f"{value:.3g}"
