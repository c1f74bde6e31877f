"""The objective J_K, its exact gradient, and its unbiased estimate from one group."""

from __future__ import annotations

from functools import partial
from typing import Any

import array_api_compat
import numpy as np
import numpy.typing as npt

from .groups import Array, as_k, as_rewards
from .levels import RewardLevels
from .objectives import Objective, as_objective
from .tracing import untraced
from .weights import binomial, subset_share

Float = npt.NDArray[np.float64]


def max_at_k(levels: RewardLevels, k: int) -> float:
    r"""``J_K``, the expected maximum of K i.i.d. rewards; pass@K where rewards are 0 or 1.

    .. math:: J_K = r_1 + \sum_{m<L} (r_{m+1} - r_m) (1 - F_m^K),

    F the cumulative level probabilities; summed from reward 0, what lies above it by the chance to exceed it,
    what lies below by the chance not to, so that a large negative level hides no other. Cost O(L), relative
    accuracy kept at success probabilities down to the smallest floats. Source: arXiv 2606.06080; arXiv
    2505.15201.
    """
    k = as_k(k)
    tail = _above(levels.probabilities)
    with np.errstate(divide="ignore"):
        exceeded = -np.expm1(k * np.log1p(-np.minimum(tail, 1.0)))
    missed = np.cumsum(levels.probabilities)[:-1] ** k
    gains, losses = np.maximum(levels.values, 0.0), np.minimum(levels.values, 0.0)
    gained = gains[0] + np.diff(gains) @ exceeded
    return float(gained + (losses[-1] - np.diff(losses) @ missed))


def max_at_k_gradient(levels: RewardLevels, k: int) -> Float:
    r"""``grad J_K``, shape (d,).

    .. math:: \nabla J_K = \sum_{m<L} (r_{m+1} - r_m)\, K F_m^{K-1} \sum_{l>m} p_l G_l .

    Cost O(L d).
    """
    k = as_k(k)
    gradient: Float = gradient_coefficients(levels, as_objective("max@k", k, k)) @ levels.mean_scores
    return gradient


def gradient_coefficients(levels: RewardLevels, objective: Objective) -> Float:
    r"""Gradient of an objective in terms of the mean scores: a (L,) with ``grad J = sum_l a_l G_l``.

    .. math:: \nabla J = \sum_{m<L} (r_{m+1} - r_m)\, K \sum_b P(\mathrm{Bin}(K-1, F_m) = b)\,
              \alpha_{b+1} \sum_{l>m} p_l G_l ,

    with alpha and K those of the ``Objective``. As ``sum_l p_l G_l = 0``, the sum
    over m may start anywhere: it starts at reward 0, as that of ``max_at_k``, so that a large negative level
    hides no other. Cost O(L K).
    """
    below, above = np.cumsum(levels.probabilities)[:-1], _above(levels.probabilities)
    size = objective.size
    chance = [binomial(size - 1, *odds) for odds in zip(below, above, strict=True)]
    raised = np.reshape(chance, (-1, size)) @ objective.alpha()
    gains, losses = np.maximum(levels.values, 0.0), np.minimum(levels.values, 0.0)
    rises, falls = np.diff(gains) * size * raised, np.diff(losses) * size * raised
    above_zero = np.concatenate([[0.0], np.cumsum(rises)])
    below_zero = np.concatenate([np.cumsum(falls[::-1])[::-1], [0.0]])
    return np.asarray(levels.probabilities * (above_zero - below_zero))


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


def _above(probabilities: Float) -> Float:
    """``P(level > m)`` for m = 1..L-1, summed from the top: exact where success is rare."""
    return np.cumsum(probabilities[::-1])[::-1][1:]
