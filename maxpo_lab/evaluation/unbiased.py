"""The unbiased estimate of J_K from one group."""

from __future__ import annotations

from functools import partial
from typing import Any

import array_api_compat
import numpy as np

from ..core.arguments import as_k
from ..core.arrays import Array
from ..core.coefficients import subset_share
from ..core.rewards import as_rewards
from ..core.tracing import untraced


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
    on_device = partial(xp.asarray, device=array_api_compat.device(rewards))
    ranked = xp.astype(xp.sort(rewards, axis=-1), xp.float64)
    high, low = xp.clip(ranked, 0.0, None), xp.clip(ranked, None, 0.0)
    rises = high[..., 1:] - high[..., :-1]
    falls = xp.concat([low[..., 1:] - low[..., :-1], -low[..., -1:]], axis=-1)
    gained = high[..., 0] + xp.sum(rises * on_device(1.0 - share[:-1]), axis=-1)
    return xp.astype(gained - xp.sum(falls * on_device(share), axis=-1), rewards.dtype)
