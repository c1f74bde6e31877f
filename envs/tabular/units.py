"""Rewards as whole numbers of a unit: returns are exact sums, in any order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from maxpo_lab.core.arrays import Float, Int64

#: Rewards are added up as whole numbers of units, this many digits of the largest: sums of floats in another
#: order differ in their last bits, and would be reward levels of their own.
DIGITS = 12


@dataclass(frozen=True, eq=False)
class Units:
    """Rewards as whole numbers of a unit, so that returns are exact sums in any order.

    Attributes
    ----------
    amounts
        Each reward in units, int64, shape (E,).
    scale
        Units in 1: a power of ten.
    singles, rewards
        Distinct amounts, ascending, and the reward of each, shape (D,): a return that is one reward's is
        that reward to the last bit, 1/3 say.
    """

    amounts: Int64
    scale: float
    singles: Int64
    rewards: Float

    @classmethod
    def of(cls, rewards: Float) -> Self:
        """Units of 12 digits of the largest of these rewards; ValueError where one is too small for that."""
        largest = float(np.abs(rewards).max())
        decimals = DIGITS - math.ceil(math.log10(largest)) if largest else DIGITS
        scale = 10.0 ** min(decimals, 300)
        amounts = np.rint(rewards * scale).astype(np.int64)
        lost = (amounts == 0) & (rewards != 0)
        if lost.any():
            raise ValueError(
                f"rewards of transitions run from {rewards[lost][0]} to {largest} in size: returns are kept "
                f"to {DIGITS} digits of the largest; use rewards closer in size"
            )
        singles, first = np.unique(amounts, return_index=True)
        return cls(amounts, scale, singles, rewards[first] + 0.0)  # no -0.0

    def value(self, sums: Int64) -> Float:
        """Returns, in rewards, of sums of amounts."""
        place = np.minimum(np.searchsorted(self.singles, sums), len(self.singles) - 1)
        return np.where(self.singles[place] == sums, self.rewards[place], sums / self.scale)
