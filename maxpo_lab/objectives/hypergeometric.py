"""Draws without replacement: how many of some drawn rollouts stand below a threshold."""

from __future__ import annotations

import numpy as np

from ..weights import Vector, gap_positions


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
