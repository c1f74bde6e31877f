"""The unbiased estimate of J_K from one group."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.arguments import as_k
from ..core.arrays import Array
from ..core.coefficients import subset_share
from ..core.rewards import as_rewards
from ..core.tracing import untraced
from .base import ValueClaims, ValueRule
from .thresholds import mean_maximum


@untraced
def value_estimate(rewards: Any, k: int) -> Array:
    r"""``rho(K)``: the mean of max over all K-subsets of a group, unbiased for J_K.

    .. math:: \rho(K) = R_{(1)} + \sum_{m<n} \text{gap}_m \Big(1 - \binom{m}{K} \Big/ \binom{n}{K}\Big),

    summed from reward 0, not from ``R_(1)``, so that a large negative reward hides no other. Rewards (..., n)
    to values (...); numbers, through which no gradient flows back. A masked or NaN reward is refused: leave
    unscorable rollouts out. Cost O(n log n). Source: PKPO (arXiv 2505.15201).
    """
    xp, rewards = as_rewards(rewards)
    n = rewards.shape[-1]
    k = as_k(k, n=n)
    share = subset_share(n, k - 1) * np.arange(1, n + 1) / n  # C(m,K)/C(n,K) = (m/n) C(m-1,K-1)/C(n-1,K-1)
    return mean_maximum(xp, rewards, share)


UNBIASED = ValueRule(
    name="unbiased",
    title="Mean of the maximum over K-subsets",
    equation="R_(1) + sum_m gap_m (1 - C(m,K)/C(n,K)); 1 - C(n-c,K)/C(n,K) on 0/1 rewards",
    citation="PKPO (arXiv 2505.15201); on 0/1 rewards Chen et al. (arXiv 2107.03374)",
    function=value_estimate,
    claims=ValueClaims(unbiased=True),
    beyond_n=False,
)
