"""Rules with history as tables: what the gaps of a group, and the history under them, are multiplied with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...core.arrays import Float
from ...core.coefficients import subset_share

#: What is kept at most: a table is O(n).
KEPT = 256


@dataclass(frozen=True, eq=False)
class Tables:
    r"""A rule that is linear in the gaps of its group and in the history under each.

    ``gap_m = R_(m+1) - R_(m)``; ``U_m = sum of w clip(R_(m+1) - y, 0, gap_m) / W``, how much of the gap the
    history leaves (the rest, ``I_m = gap_m - U_m``, it reaches), and 0 where W = 0. With ``s`` a share that
    each group has of its own,

    .. math:: A_{(1)} = \sum_m \text{gap}_m (o_m + s p_m) + s \sum_m U_m q_m + s \, \text{reach} (c S - I_n),
              \qquad A_{(r+1)} - A_{(r)} = \text{gap}_r (a_r + s b_r) + s U_r c_r ,

    where ``I_n = mean (y - R_(n))^+`` and ``S = mean (R_(1) - y)^+``, which K = 1 alone looks at.

    Attributes
    ----------
    origin
        ``o, p, q``, shape (3, n-1).
    slope
        ``a, b, c``, shape (3, n-1).
    reach
        What ``I_n`` costs every rollout: K, or 0 for a centered rule.
    short
        What S pays every rollout: 1 where K = 1, else 0.
    own
        Whether ``R_(1)`` itself is added times ``1 - s``: of a group of one, that compares with nothing.
    first
        The rank, from 0, below which the history counts for nothing: a reward needs K-1 others under it.
    spare
        n-K, what the history is weighed against: the fair share is ``W / (n-K + W)``.
    """

    origin: Float
    slope: Float
    reach: float
    short: float
    own: bool
    first: int
    spare: int


@lru_cache(maxsize=KEPT)
def replay(n: int, k: int) -> Tables:
    """``(1-s) A0 + s HIST``: A0 is maxpo, pkpo-loo1 at K = n, the reward itself at n = 1."""
    u = k * subset_share(n, k - 1)
    lower, upper = u[:-1], u[1:]
    origin, slope = _without_history(n, k)
    return Tables(
        origin=np.stack([origin, -lower - origin, lower]),
        slope=np.stack([slope, lower - slope, upper - lower]),
        reach=float(k),
        short=float(k == 1),
        own=n == 1,
        first=max(0, k - 2),
        spare=n - k,
    )


@lru_cache(maxsize=KEPT)
def centered(n: int, k: int) -> Tables:
    """``n/(n-1) (HIST - its mean)`` for s = 1; maxpo for s = 0, at K = n the same of pkpo-loo1; n >= 2."""
    u = k * subset_share(n, k - 1) * n / (n - 1)
    lower, upper = u[:-1], u[1:]
    plain = upper if k == n else _without_history(n, k)[1]
    slope = np.stack([plain, lower - plain, upper - lower])
    # What a step pays to those above it, the lowest pays back: sum A is 0 to rounding.
    origin = -slope * (n - np.arange(1, n)) / n
    first = max(0, k - 2)
    return Tables(origin=origin, slope=slope, reach=0.0, short=0.0, own=False, first=first, spare=n - k)


def _without_history(n: int, k: int) -> tuple[Float, Float]:
    """What each gap pays to the lowest rank and adds on the way up, (n-1,) each, of A0."""
    if k == n:
        return np.zeros(n - 1), k * subset_share(n, k - 1)[1:]
    return maxpo(n, k)


def maxpo(n: int, k: int) -> tuple[Float, Float]:
    """The same of maxpo, K <= n-1: ``below_m`` and ``above_m - below_m`` of its gap form."""
    credit = k * subset_share(n, k - 1)[:-1] / (n - k)
    return -credit * (n - np.arange(1, n)), credit * n
