r"""An objective as an L-statistic: weights on the ascending order statistics of K i.i.d. rewards.

Every objective of the lab is ``J = E[sum_j alpha_j R_(j:K)]``: max@K puts all weight on the largest, the
mean reward is K = 1. What raising one of the K above a threshold adds, when b of the other K-1 stand below
it, is ``alpha_(b+1)``: all that gradients and unbiased rules need.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import comb, lcm

import numpy as np

from ..core.coefficients import Vector


@dataclass(frozen=True, eq=False)
class Objective:
    r"""An L-statistic of K rewards, equal to every other that has its gradient under every policy.

    With F the chance of a reward below a threshold, the gradient weighs that of the chance to exceed it by

    .. math:: f(F) = K \sum_b \binom{K-1}{b} F^b (1-F)^{K-1-b} \alpha_{b+1} ,

    so f decides the gradient; and on 0/1 rewards the gradient is ``f(1-p) grad p``, so it decides f.
    Objectives are therefore compared and hashed by f, in powers of F: ``max@n`` is ``max@k`` at K = n, the
    mean of the K largest of K is the mean reward, whatever their names and the numbers of their weights.

    Attributes
    ----------
    name
        What it is called; no part of its value.
    weights
        ``alpha_1..alpha_K``, of the smallest to the largest of K, exact.

    Raises
    ------
    TypeError
        A weight that is no Fraction: a float would be equal to nothing that was meant.
    ValueError
        No weights.
    """

    name: str
    weights: tuple[Fraction, ...]

    def __post_init__(self) -> None:
        if not self.weights:
            raise ValueError("weights=(): an objective looks at K >= 1 rollouts, e.g. (Fraction(1),)")
        if {*map(type, self.weights)} != {Fraction}:
            raise TypeError(f"weights={self.weights!r}: they must be Fractions, e.g. (Fraction(1),)")

    @property
    def size(self) -> int:
        """K, the rollouts that it looks at."""
        return len(self.weights)

    @property
    def maximum_of(self) -> int | None:
        """The size of the max@K that it is; None where it is no max@K times 1. The mean reward is max@1."""
        degree = len(self._powers) - 1
        return degree + 1 if self._powers == (*[0] * degree, degree + 1) else None

    def vector(self, *, exact: bool = False) -> Vector:
        """The weights, (K,): in float64, made once and read-only, or as Fractions."""
        return np.array(self.weights, dtype=object) if exact else self._floats

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Objective):
            return NotImplemented
        if self.weights == other.weights:
            return True
        return self._ends == other._ends and self._powers == other._powers

    def __hash__(self) -> int:
        return hash(self._powers)

    @cached_property
    def _floats(self) -> Vector:
        floats = np.fromiter(map(float, self.weights), dtype=np.float64, count=self.size)
        floats.setflags(write=False)
        return floats

    @property
    def _ends(self) -> tuple[Fraction, Fraction]:
        """``f(0)`` and ``f(1)``: tells most objectives apart in no time."""
        return self.size * self.weights[0], self.size * self.weights[-1]

    @cached_property
    def _powers(self) -> tuple[Fraction, ...]:
        r"""Coefficients of f up to its degree: ``K C(K-1, j) Delta^j alpha_1`` of ``F^j``. Cost O(K^2)."""
        scale = lcm(*(each.denominator for each in self.weights))  # differences of integers are fast
        differences = np.array([int(each * scale) for each in self.weights], dtype=object)
        powers = []
        for order in range(self.size):
            powers.append(Fraction(self.size * comb(self.size - 1, order) * differences[0], scale))
            differences = np.diff(differences)
        while powers and not powers[-1]:
            powers.pop()
        return tuple(powers)
