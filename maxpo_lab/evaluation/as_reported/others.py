"""Reported as pass@k or max@k: the first k rollouts, the mean of all, a posterior mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.arrays import Array
from ...core.rewards import as_rewards
from ..base import ValueClaims, ValueRule
from .counting import exactly_one, looked_up


def first_k(rewards: Any, k: int) -> Array:
    """The maximum of the first K rewards: one subset of the group, whose others are thrown away."""
    xp, rewards = as_rewards(rewards)
    return xp.max(rewards[..., :k], axis=-1)


def sample_mean(rewards: Any, k: int) -> Array:
    """The mean of the group, whatever k: pass@1 under the name of another K."""
    xp, rewards = as_rewards(rewards)
    return xp.mean(rewards, axis=-1)


def posterior_mean(rewards: Any, k: int) -> Array:
    r"""Posterior mean of ``1 - (1-p)^K`` under a uniform prior of p, of 0/1 rewards with c successes.

    .. math:: 1 - \frac{B(1+c,\, 1+n-c+K)}{B(1+c,\, 1+n-c)} = 1 - \prod_{i<K} \frac{n-c+1+i}{n+2+i}.

    Without a success it is K / (n+1+K): the prior's, not the model's.
    """
    xp, rewards = as_rewards(rewards)
    n = rewards.shape[-1]
    failures = n - np.arange(n + 1)[:, None]
    steps = np.arange(k)
    table = 1.0 - np.prod((failures + 1 + steps) / (n + 2 + steps), axis=1)
    return looked_up(xp, rewards, table, exactly_one)


FIRST_K = ValueRule(
    name="first-k",
    title="Maximum of the first K rewards",
    equation="max(R_1, .., R_K)",
    citation="lmms-eval 0.7.3, cov@K; unbiased, with the variance of a single subset",
    function=first_k,
    claims=ValueClaims(unbiased=True, order_free=False),
    beyond_n=False,
)
SAMPLE_MEAN = ValueRule(
    name="sample-mean",
    title="Mean of the group",
    equation="(1/n) sum_i R_i, whatever K",
    citation="mlxsmith 0.1.9, pass@k of run_eval, which is passes / k",
    function=sample_mean,
    claims=ValueClaims(unbiased=False),
    beyond_n=True,
)
POSTERIOR_MEAN = ValueRule(
    name="posterior-mean",
    title="Posterior mean of pass@K under a uniform prior",
    equation="1 - prod_i<K (n-c+1+i)/(n+2+i)",
    citation="scorio 0.2.3, mean of pass_at_k_ci; Hariri et al. (arXiv 2510.04265)",
    function=posterior_mean,
    claims=ValueClaims(unbiased=False, bounded=False),
    beyond_n=False,
    domain="binary",
)
