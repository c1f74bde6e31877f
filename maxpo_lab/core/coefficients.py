"""Binomial-ratio coefficient vectors, in float64 and in exact rationals.

Every rank-linear rule of the catalogue is made of one sequence, the share of k-subsets that lie
below a gap. It is computed here by its ratio recurrence: differences of log-gammas lose five
digits by n = 16384, the recurrence stays within a few dozen ulps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

#: float64, or object arrays of ``fractions.Fraction`` where ``exact=True`` was asked for.
Vector = npt.NDArray[Any]

# Rounding grows with the number of factors: 2k of them this way, 2n the other, and k = 1 loses
# 2e-13 at n = 16384 the long way round.
_LONGEST_SUBSET_PRODUCT = 32
# Far above the rounding of a table, far below another table.
_SAME = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Coefficients:
    r"""A rank-linear rule as two vectors over the n-1 gaps of the sorted rewards, and an offset.

    With ``gap_m = R_(m+1) - R_(m)`` for m = 1..n-1, the advantage of the rollout at rank r is

    .. math:: A_{(r)} = \text{offset}\, R_{(1)} + \sum_{m<r} \text{gap}_m\, \text{above}_m
              + \sum_{m \ge r} \text{gap}_m\, \text{below}_m .

    ``above[m-1]`` is the credit for standing above gap m, ``below[m-1]`` the share of those under
    it. On 0/1 rewards with c successes they are the advantages of a success and of a failure:
    ``above_(n-c)`` and ``below_(n-c)``.

    ``penalties`` are the same two on rewards of 0 and -1, ``above - offset`` and ``below - offset``, from a
    table that knows them without the subtraction, which may cancel; None says that it does not. ValueError
    where they are not that difference: a changed ``below`` needs its own.
    """

    offset: float | Fraction
    above: Vector
    below: Vector
    penalties: tuple[Vector, Vector] | None = None

    def __post_init__(self) -> None:
        for name, of_success, of_loss in zip(
            ("above", "below"), (self.above, self.below), self.penalties or (), strict=False
        ):
            apart = abs(of_success - self.offset - of_loss)
            if len(apart) and apart.max() > _SAME * (abs(self.offset) + abs(of_success).max()):
                raise ValueError(f"penalties are not {name} - offset: pass both, or penalties=None")

    @property
    def n(self) -> int:
        """Group size."""
        return len(self.above) + 1


def weighted_sum(weights: Sequence[Fraction], parts: Sequence[Coefficients], *, exact: bool) -> Coefficients:
    """Coefficients of a weighted sum of rules: theirs add up, each an ulp or two per term from exact.

    The offset is summed in rationals, so that offsets that cancel leave none.
    """
    factors: Sequence[float | Fraction] = weights if exact else [float(weight) for weight in weights]

    def total(vectors: Sequence[Vector]) -> Vector:
        return np.asarray(sum(factor * each for factor, each in zip(factors, vectors, strict=True)))

    offset = sum((w * Fraction(each.offset) for w, each in zip(weights, parts, strict=True)), Fraction(0))
    penalties = None
    if any(each.penalties is not None for each in parts):
        sides = [each.penalties or (each.above - each.offset, each.below - each.offset) for each in parts]
        penalties = total([over for over, _ in sides]), total([under for _, under in sides])
    return Coefficients(
        offset=offset if exact else float(offset),
        above=total([each.above for each in parts]),
        below=total([each.below for each in parts]),
        penalties=penalties,
    )


def subset_share(n: int, k: int, *, exact: bool = False) -> Vector:
    r"""Chance that k of the n-1 other rollouts, drawn without replacement, all lie among m given ones.

    .. math:: \text{share}[m] = \binom{m}{k} \Big/ \binom{n-1}{k}, \qquad m = 0..n-1.

    Two recurrences, the shorter one is used: over the subset (``share_k[m] = share_(k-1)[m]
    (m-k+1)/(n-k)``, k steps) or from the top gap down (``share[n-1] = 1``, ``share[m-1] =
    share[m] (m-k)/m``, n-1 steps).

    Parameters
    ----------
    n, k
        Group size, and the size of the subset of the others: ``0 <= k <= n-1``.
    exact
        Return ``Fraction`` objects in place of float64.

    Returns
    -------
    array (n,), read-only; float64 values below the normal range round towards 0.

    Notes
    -----
    Cost O(n min(k, 32)). Relative error in float64 at n = 16384: under 1e-13 over all normal
    values (tested against exact rationals).
    """
    if not 0 <= k <= n - 1:
        raise ValueError(f"k={k}: a subset of the {n - 1} others needs 0 <= k <= {n - 1}")
    m = gap_positions(n + 1, exact=exact) - 1
    share = m**0
    if k <= _LONGEST_SUBSET_PRODUCT:
        for step in range(k):
            share *= (m - step) / (n - 1 - step)
    else:
        down = m[:0:-1]
        share[:-1] = np.cumprod((down - k) / down)[::-1]
    share[:k] = m[0]  # past the first zero factor the products are zeros of either sign
    share.setflags(write=False)
    return share


def gap_positions(n: int, *, exact: bool = False) -> Vector:
    """The gap index m = 1..n-1 as numbers to compute coefficients with: float64, or Fractions."""
    if exact:
        return np.array([Fraction(m) for m in range(1, n)], dtype=object)
    return np.arange(1, n, dtype=np.float64)
