"""Sums of surprises, and what chance allows them: outcomes that come up more or less often than said."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Counted = TypeVar("Counted", bound=Hashable)


class Surprises(Generic[Counted]):
    r"""For each thing counted, the sum of ``1{it happens} - p`` and the predicted variance of that sum.

    The sums are martingales, and Freedman's inequality bounds each,

    .. math:: |\textstyle\sum (1 - p)| \le \ell / 3 + \sqrt{\ell^2 / 9 + 2 \ell v},
              \qquad \ell = \log(2 m h / \alpha),

    v the least of the h powers 1, 2, 4, ... above the predicted variance, m the sums, alpha the chance that
    any of them is found wrongly. A bias below that bound is not seen: more tries see more.
    """

    def __init__(self) -> None:
        self._off: dict[Counted, float] = defaultdict(float)
        self._variance: dict[Counted, float] = defaultdict(float)

    def count(self, key: Counted, happened: int, p: float, tries: int = 1) -> None:
        """So many times of these tries, each of probability p."""
        self._off[key] += happened - tries * p
        self._variance[key] += tries * p * (1 - p)

    def beyond_chance(
        self, sums: int, longest: int, false_alarm: float
    ) -> Iterator[tuple[Counted, float, float]]:
        """What is beyond its bound, its sum and the bound: ``sums`` of them, of ``longest`` tries at most."""
        powers = 1 + math.ceil(math.log2(max(longest / 4, 1)))
        level = math.log(2 * sums * powers / false_alarm)
        for key, off in self._off.items():
            variance = 2.0 ** math.ceil(math.log2(max(self._variance[key], 1.0)))
            allowed = level / 3 + math.sqrt(level**2 / 9 + 2 * level * variance)
            if abs(off) > allowed:
                yield key, off, allowed
