"""The slow truth: every rule by enumeration of subsets, in exact rationals.

Nothing here shares a line with the fast kernels. Rewards are any numbers ``Fraction`` takes (floats
are exact rationals); results are lists of Fractions. Cost is stated in subsets of the group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import combinations
from statistics import mean
from typing import Any

Group = Sequence[Any]
Signal = Callable[[Group, int], list[Fraction]]


def _exact(rewards: Group) -> list[Fraction]:
    return [Fraction(r) for r in rewards]


def _without(group: Sequence[Fraction], *left_out: int) -> list[Fraction]:
    return [r for j, r in enumerate(group) if j not in left_out]


def _mean_max(group: Iterable[Fraction], k: int) -> Fraction:
    """Mean of the maximum over the k-subsets; 0 for k = 0, as ``v_i(0) = 0``."""
    return mean(max(subset) for subset in combinations(group, k)) if k else Fraction(0)


def value(rewards: Group, k: int) -> Fraction:
    """``rho(K)``: mean of max over all K-subsets, the unbiased estimate of J_K. Cost C(n, K)."""
    return _mean_max(_exact(rewards), k)


def inclusion_value(rewards: Group, k: int) -> list[Fraction]:
    """``q_i(K)``: mean of max over the K-subsets that contain i. Cost n C(n-1, K-1)."""
    group = _exact(rewards)
    return [
        mean(max((r, *rest)) for rest in combinations(_without(group, i), k - 1)) for i, r in enumerate(group)
    ]


def leave_one_out_value(rewards: Group, k: int) -> list[Fraction]:
    """``v_i(K)``: mean of max over the K-subsets of the others, K <= n-1. Cost n C(n-1, K)."""
    group = _exact(rewards)
    return [_mean_max(_without(group, i), k) for i in range(len(group))]


def marginal_contribution(rewards: Group, k: int) -> list[Fraction]:
    """``h_i(K) = q_i(K) - v_i(K-1)``: what max gains by adding i to K-1 others. Cost n C(n, K)."""
    pairs = zip(inclusion_value(rewards, k), leave_one_out_value(rewards, k - 1), strict=True)
    return [q - v for q, v in pairs]


def reinforce(rewards: Group, k: int) -> list[Fraction]:
    """``R_i``."""
    return _exact(rewards)


def rloo(rewards: Group, k: int) -> list[Fraction]:
    """``R_i`` minus the mean of the others. Cost n^2."""
    group = _exact(rewards)
    return [r - mean(_without(group, i)) for i, r in enumerate(group)]


def batch_mean(rewards: Group, k: int) -> list[Fraction]:
    """``R_i`` minus the mean of all."""
    group = _exact(rewards)
    return [r - mean(group) for r in group]


def pkpo_s(rewards: Group, k: int) -> list[Fraction]:
    """``K q_i(K)``. Cost n C(n-1, K-1)."""
    return [k * q for q in inclusion_value(rewards, k)]


def pkpo_loo(rewards: Group, k: int) -> list[Fraction]:
    """``K q_i(K) - K n/(n-1) v_i(K)``. Cost n C(n, K)."""
    scale = Fraction(len(rewards), len(rewards) - 1)
    pairs = zip(inclusion_value(rewards, k), leave_one_out_value(rewards, k), strict=True)
    return [k * (q - scale * v) for q, v in pairs]


def pkpo_loo1(rewards: Group, k: int) -> list[Fraction]:
    """``K h_i(K)``. Cost n C(n, K)."""
    return [k * h for h in marginal_contribution(rewards, k)]


def maxpo(rewards: Group, k: int) -> list[Fraction]:
    """MaxPO, the Leave-Two-Out baseline: ``K h_i`` minus the mean over j of ``K h_j`` without i.

    ``h_j`` is enumerated anew in each group that lacks i. Cost n^2 C(n-1, K): n <= 10 or so.
    """
    group = _exact(rewards)
    own = marginal_contribution(group, k)
    return [k * (own[i] - mean(marginal_contribution(_without(group, i), k))) for i in range(len(group))]


def canonical(rewards: Group, k: int) -> list[Fraction]:
    """``K (q_i(K) - v_i(K))``. Cost n C(n, K)."""
    pairs = zip(inclusion_value(rewards, k), leave_one_out_value(rewards, k), strict=True)
    return [k * (q - v) for q, v in pairs]


#: The enumeration of each rank-linear rule, by the registry's name.
BY_NAME: dict[str, Signal] = {
    "reinforce": reinforce,
    "rloo": rloo,
    "batch-mean": batch_mean,
    "pkpo-s": pkpo_s,
    "pkpo-loo": pkpo_loo,
    "pkpo-loo1": pkpo_loo1,
    "maxpo": maxpo,
    "canonical": canonical,
}
