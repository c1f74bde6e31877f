"""What all places but one amount to, for each of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

from ....core.arrays import Float


def all_but_each(
    parts: list[Float], join: Callable[[Float, Float], Float], one: Float, *, alike: bool
) -> list[Float]:
    """``join`` of all parts but each, ``one`` being that of none; of the first alone where all are alike.

    From those before and those after each: nothing is taken away again, which would lose what is small.
    """
    before = list(accumulate(parts[:-1], join, initial=one))
    if alike:
        return before[-1:]
    after = list(accumulate(parts[:0:-1], join, initial=one))
    return [join(a, b) for a, b in zip(before, after[::-1], strict=True)]
