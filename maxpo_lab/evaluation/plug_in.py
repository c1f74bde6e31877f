"""Estimates of J_K that take the group for the policy: draws from it with replacement, or all of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.arrays import Array
from ..core.rewards import as_rewards
from .base import ValueClaims, ValueRule
from .thresholds import mean_maximum


def plug_in(rewards: Any, k: int) -> Array:
    r"""J_K of the group itself: the mean of max over K draws with replacement.

    .. math:: R_{(1)} + \sum_{m<n} \text{gap}_m \big(1 - (m/n)^K\big),

    ``1 - (1 - c/n)^K`` on 0/1 rewards. Its bias is never positive: of K draws
    with replacement some are one rollout, and fewer than K have a lower maximum. Cost O(n log n).
    """
    xp, rewards = as_rewards(rewards)
    n = rewards.shape[-1]
    return mean_maximum(xp, rewards, (np.arange(1, n + 1) / n) ** k)


def sample_max(rewards: Any, k: int) -> Array:
    """The maximum of the whole group, whatever k: ``pass@n`` or ``best@n`` under the name of another K."""
    xp, rewards = as_rewards(rewards)
    return xp.max(rewards, axis=-1)


PLUG_IN = ValueRule(
    name="plug-in",
    title="Mean of the maximum of K draws with replacement",
    equation="R_(1) + sum_m gap_m (1 - (m/n)^K); 1 - (1 - c/n)^K on 0/1 rewards",
    citation="the plug-in principle (Efron, 1979); as best@N of verl 0.9, process_validation_metrics, which "
    "redraws 1000 times",
    function=plug_in,
    claims=ValueClaims(unbiased=False),
    beyond_n=True,
)
SAMPLE_MAX = ValueRule(
    name="sample-max",
    title="Maximum of the group",
    equation="R_(n), whatever K",
    citation="passN of OpenRLHF 0.11, compute_eval_metrics; pass_at_n of SkyRL 0.4 on 0/1 rewards",
    function=sample_max,
    claims=ValueClaims(unbiased=False),
    beyond_n=True,
)
