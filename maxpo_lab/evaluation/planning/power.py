"""The chance that the interval of a difference leaves 0 out, and the prompts that a chance takes."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, erfc, sqrt

import numpy as np

from ..across_prompts.intervals import half_width

#: Beyond so many prompts a design is no plan.
_MOST_PROMPTS = 10**9
#: Independent prompts from which differences have a variance.
FEWEST = 2


@dataclass(frozen=True)
class Goal:
    """A difference, and the interval that is to leave 0 out; ``per_unit`` prompts count as one."""

    difference: float
    confidence: float
    width: float
    per_unit: float

    def power(self, variance: float, prompts: int) -> float:
        """Chance that the interval of so many prompts leaves 0 out; NaN for an unknown variance."""
        units = prompts / self.per_unit
        if np.isnan(variance) or units < FEWEST:
            return float("nan")
        of_unit = variance / self.per_unit
        half = float(half_width(of_unit, units, confidence=self.confidence, width=self.width))
        error = sqrt(of_unit / units)
        if not error:
            return float(self.difference > half)
        return _normal((self.difference - half) / error) + _normal((-self.difference - half) / error)

    def prompts(self, variance: float, power: float) -> int | None:
        """The fewest prompts with this power."""
        least = high = ceil(FEWEST * self.per_unit)
        while self.power(variance, high) < power:
            if high > _MOST_PROMPTS:
                return None
            high *= 2
        low = max(high // 2, least - 1)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.power(variance, middle) >= power else (middle, high)
        return max(high, least)


def _normal(value: float) -> float:
    """The standard normal distribution function."""
    return 0.5 * erfc(-value / sqrt(2.0))
