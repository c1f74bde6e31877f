r"""Weights over the ranks of a group: the unbiased estimate of an objective, and products of two maxima.

With ranks b = 1..n ascending, the chance that the j-th of a random k-subset has rank b is
``C(b-1, j-1) C(n-b, k-j) / C(n, k)``; an objective's estimate is the sum of the rewards weighted by these
chances and by the objective.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ...core.arrays import Float
from ...core.coefficients import subset_share
from ...objectives import Objective, drawn_below


@lru_cache(maxsize=256)
def rank_weights(objective: Objective, n: int) -> Float:
    """Weights (n,), read-only, of ascending rewards in the unbiased estimate from a group of n >= k."""
    k = objective.size
    if k == objective.maximum_of:
        return of_maximum(n, k)
    weights: Float = np.asarray(drawn_below(n, k - 1) @ objective.vector(), dtype=np.float64) * k / n
    weights.setflags(write=False)
    return weights


@lru_cache(maxsize=256)
def of_maximum(n: int, k: int) -> Float:
    """Chance (n,), read-only, that the largest of a random k-subset of n has a rank: max@k's weights."""
    weights: Float = np.asarray(subset_share(n, k - 1), dtype=np.float64) * k / n
    weights.setflags(write=False)
    return weights


@lru_cache(maxsize=256)
def values_by_successes(objective: Objective, n: int) -> Float:
    """Estimate (n+1,), read-only, from c = 0..n successes of n, of weights that sum to 1.

    Summed from the nearer end, so that it is 0, or 1, where no subset counts, or every one.
    """
    weights = rank_weights(objective, n)
    gained = np.concatenate([[0.0], np.cumsum(weights[::-1])])
    missed = np.concatenate([np.cumsum(weights)[::-1], [0.0]])
    values: Float = np.where(gained < 0.5, gained, 1.0 - missed)
    values.setflags(write=False)
    return values


def shared_products(n: int, k: int, shared: int) -> tuple[Float, Float, Float]:
    r"""Weights of the mean of ``max(S) max(T)`` over pairs of k-subsets that share some members.

    It is ``sum_(a<b) 2 f_a g_b R_a R_b + sum_b d_b R_b^2``, as the union's maximum b is shared with chance
    ``shared / m``, m = 2k - shared; else it belongs to T alone, say, and S has its maximum at a < b with

    .. math:: f_a = \binom{a-1}{k-1} \Big/ \binom nk, \qquad
              g_b = \binom{b-1-k}{k-\text{shared}-1} \Big/ \binom{n-k}{k-\text{shared}} .

    Subsets must fit: ``2k - shared <= n``. Returns f, g, d, each (n,). With ``shared = 0`` this is the one
    unbiased estimate of J_K^2 (shared members aside, any mixture of these is one of E rho^2).
    """
    union = 2 * k - shared
    first, second = of_maximum(n, k), np.zeros(n)
    if shared < k:
        second[k:] = of_maximum(n - k, k - shared)
    return first, second, of_maximum(n, union) * (shared / union)
