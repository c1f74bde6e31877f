"""What an unbiased rule pays for the step over a threshold, by how many of the others are below it."""

from __future__ import annotations

import numpy as np

from ..core.coefficients import Vector, gap_positions
from .objective import Objective


def drawn_below(n: int, draws: int, *, exact: bool = False) -> Vector:
    r"""Hypergeometric table: chance that b of ``draws`` of the n-1 others are among m given ones.

    .. math:: P[m, b] = \binom{m}{b} \binom{n-1-m}{D-b} \Big/ \binom{n-1}{D}, \qquad m = 0..n-1,\ b = 0..D.

    Built draw by draw from non-negative terms, in float64 or Fractions. Cost O(n D^2).
    """
    m = (gap_positions(n + 1, exact=exact) - 1)[:, None]
    table = np.zeros((n, draws + 1), dtype=m.dtype) + 0 * m
    table[:, :1] = m**0
    b = (gap_positions(draws + 2, exact=exact) - 1)[None, :]
    for drawn in range(draws):
        left = gap_positions(n + 1, exact=exact)[-1] - 1 - drawn  # n-1-drawn, in the table's number type
        below = table * (m - b) / left
        table = table * (left - (m - b)) / left
        table[:, 1:] += below[:, :-1]
    return np.asarray(table)


def increments(objective: Objective, n: int, *, exact: bool = False) -> Vector:
    r"""What an unbiased rule must pay for success over failure, by failures among the others, (n,).

    .. math:: D_m = K \sum_b P(b \text{ of } K-1 \text{ drawn others fail} \mid m \text{ of all fail})\,
              \alpha_{b+1} .

    For max@K this is ``K C(m, K-1) / C(n-1, K-1)``. On 0/1 rewards a rule is unbiased for the objective iff
    the advantage of a success, less that of a failure in its place, is ``D_m`` for every m.
    """
    size = objective.size
    if size > n:
        raise ValueError(f"the objective looks at {size} rollouts, the group has n={n}: k <= n is needed")
    return np.asarray(size * (drawn_below(n, size - 1, exact=exact) @ objective.vector(exact=exact)))
