r"""Objectives as L-statistics: weights on the ascending order statistics of a K-subset.

Every objective of the lab is ``J = E[sum_j alpha_j R_(j:K)]`` for K i.i.d. rewards: max@K puts all weight
on the largest, the mean reward is K = 1. What raising one of the K above a threshold adds, when b of
the other K-1 stand below it, is ``alpha_(b+1)``: all that gradients and unbiased rules need.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np

from .weights import Vector, gap_positions

#: The presets of OrderGrad (arXiv 2606.06096), by the names of its implementation.
PRESETS = ("TopM:m", "BotM:m", "LowerTailMean:q", "Median", "TrimM:m", "ReMin")
PREFIX = "l-statistic:"


def looks_at_k(objective: str) -> bool:
    """Whether an objective is of k rollouts: those of one rollout, or of the whole group, are of any k."""
    return objective not in ("mean", "max@n")


def objective_weights(objective: str, n: int, k: int) -> Vector:
    """Weights alpha of an objective, as exact Fractions; their number is the subset size K.

    Parameters
    ----------
    objective
        ``"max@k"``, ``"mean"`` (K = 1), ``"max@n"`` (K = n) or ``"l-statistic:<preset>"``: ``TopM:m`` and
        ``BotM:m``, the mean of the m largest or smallest; ``LowerTailMean:q``, of the
        ``ceil(q K)`` smallest (CVaR); ``TrimM:m``, of all but m at either end; ``Median``; ``ReMin``.
    n, k
        Group size and K.

    Raises
    ------
    TypeError
        Not a name.
    ValueError
        An unknown objective, or a preset whose argument does not fit K.
    """
    if not isinstance(objective, str):
        raise TypeError(
            f"objective {objective!r} is a {type(objective).__name__}: it must be a name, e.g. max@k"
        )
    if objective == "mean":
        return _equal(1, 0, 1)
    if objective in ("max@k", "max@n"):
        size = k if objective == "max@k" else n
        return _equal(size, size - 1, size)
    if objective.startswith(PREFIX):
        return _preset(objective.removeprefix(PREFIX), k)
    raise ValueError(
        f"objective {objective!r} is unknown: it must be max@k, max@n, mean or {PREFIX}<preset>, with a "
        f"preset of {', '.join(PRESETS)}"
    )


def _preset(text: str, k: int) -> Vector:
    name, _, argument = text.partition(":")
    if name == "Median" and not argument:
        return _equal(k, (k - 1) // 2, k // 2 + 1)
    if name == "ReMin" and not argument:
        return _equal(k, 0, 1)
    if name in ("TopM", "BotM", "TrimM") and argument.isdecimal():
        m = int(argument)
        low, high = {"TopM": (k - m, k), "BotM": (0, m), "TrimM": (m, k - m)}[name]
        if 0 <= low < high <= k:
            return _equal(k, low, high)
        rule = "2 m < k" if name == "TrimM" else "1 <= m <= k"
        raise ValueError(f"{PREFIX}{text} at k={k}: {name}:m needs {rule}")
    if name == "LowerTailMean":
        try:
            q = Fraction(argument)
        except (ValueError, ZeroDivisionError):
            q = Fraction(0)
        if 0 < q <= 1:
            return _equal(k, 0, max(1, ceil(q * k)))
        raise ValueError(f"{PREFIX}{text}: LowerTailMean:q needs 0 < q <= 1, e.g. LowerTailMean:0.25")
    raise ValueError(f"{PREFIX}{text} is not a preset; known: {', '.join(PRESETS)}")


def _equal(size: int, low: int, high: int) -> Vector:
    """Equal weights on ranks low+1..high of ``size``."""
    weights = np.array([Fraction(0)] * size, dtype=object)
    weights[low:high] = Fraction(1, high - low)
    return weights


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


def increments(weights: Vector, n: int, *, exact: bool = False) -> Vector:
    r"""What an unbiased rule must pay for success over failure, by failures among the others, (n,).

    .. math:: D_m = K \sum_b P(b \text{ of } K-1 \text{ drawn others fail} \mid m \text{ of all fail})\,
              \alpha_{b+1} .

    For max@K this is ``K C(m, K-1) / C(n-1, K-1)``. On 0/1 rewards a rule is unbiased for the objective iff
    the advantage of a success, less that of a failure in its place, is ``D_m`` for every m.
    """
    size = len(weights)
    if size > n:
        raise ValueError(f"the objective looks at {size} rollouts, the group has n={n}: k <= n is needed")
    alpha = weights if exact else weights.astype(np.float64)
    return np.asarray(size * (drawn_below(n, size - 1, exact=exact) @ alpha))


def same_objective(one: Vector, other: Vector, n: int) -> bool:
    """Whether two objectives, by their weights, have one gradient under every policy.

    Max@n is max@k at K = n, and the mean of the K largest of K the mean reward: names, and the numbers of
    weights, may differ where the objectives do not. ``increments`` at any n that both fit tell, in rationals:
    they are the gradient's Bernstein coefficients. Cost O(n K).
    """
    if np.array_equal(one, other):
        return True
    return bool(np.array_equal(increments(one, n, exact=True), increments(other, n, exact=True)))
