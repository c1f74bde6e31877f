"""What an objective is: weights on order statistics, equal to another where their gradients are."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from math import comb

import numpy as np

from ..weights import Vector
from .hypergeometric import drawn_below


@dataclass(frozen=True, eq=False)
class Objective:
    r"""``J = E[sum_j alpha_j R_(j:K)]``, the mean over K i.i.d. rewards of weighted order statistics.

    What raising one of the K above a threshold adds, when b of the other K-1 stand below it, is
    ``alpha_(b+1)``: all that gradients and unbiased rules need. With F the chance to stand below,

    .. math:: f(F) = K \sum_b \binom{K-1}{b} F^b (1-F)^{K-1-b}\, \alpha_{b+1}

    is the weight of a gap in the gradient, and no two polynomials agree on all policies of two levels. So two
    objectives are *equal* where their f are, whatever they are called: max@n is max@k at K = n, and the mean
    of the K largest of K is the mean reward.

    Attributes
    ----------
    name
        What it is called: ``"max@k"``, ``"mean"``, ``"l-statistic:TopM:2"``; for messages alone.
    weights
        ``alpha_1..alpha_K``, in rationals.
    """

    name: str
    weights: tuple[Fraction, ...]

    @property
    def size(self) -> int:
        """K, the rollouts it looks at."""
        return len(self.weights)

    @cached_property
    def polynomial(self) -> tuple[Fraction, ...]:
        """Coefficients of f by powers of F: its forward differences, no zeros at the end. Cost O(K^2)."""
        found, differences = [], [self.size * weight for weight in self.weights]
        for power in range(self.size):
            found.append(comb(self.size - 1, power) * differences[0])
            differences = [right - left for left, right in pairwise(differences)]
        while found and not found[-1]:
            found.pop()
        return tuple(found)

    @cached_property
    def maximum(self) -> int | None:
        """The K of the max@K that it equals, whose f is ``K F^(K-1)``; None where it equals none."""
        *lower, highest = self.polynomial or (Fraction(0),)
        return len(self.polynomial) if highest == len(self.polynomial) and not any(lower) else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Objective):
            return NotImplemented
        return self.weights == other.weights or self.polynomial == other.polynomial

    def __hash__(self) -> int:
        return hash(self.polynomial)

    def alpha(self, *, exact: bool = False) -> Vector:
        """The weights as an array (K,): float64, or Fractions. Read-only."""
        return self._exact if exact else self._float

    @cached_property
    def _exact(self) -> Vector:
        alpha = np.array(self.weights, dtype=object)
        alpha.setflags(write=False)
        return alpha

    @cached_property
    def _float(self) -> Vector:
        alpha = self._exact.astype(np.float64)
        alpha.setflags(write=False)
        return alpha

    def increments(self, n: int, *, exact: bool = False) -> Vector:
        r"""What an unbiased rule must pay for success over failure, by failures among the others, (n,).

        .. math:: D_m = K \sum_b P(b \text{ of } K-1 \text{ drawn others fail} \mid m \text{ of all fail})\,
                  \alpha_{b+1} .

        For max@K this is ``K C(m, K-1) / C(n-1, K-1)``. On 0/1 rewards a rule is unbiased for the objective
        iff the advantage of a success, less that of a failure in its place, is ``D_m`` for every m.

        ValueError for a group of fewer than K. Cost O(n K^2).
        """
        if self.size > n:
            raise ValueError(
                f"the objective looks at {self.size} rollouts, the group has n={n}: k <= n is needed"
            )
        return np.asarray(self.size * (drawn_below(n, self.size - 1, exact=exact) @ self.alpha(exact=exact)))
