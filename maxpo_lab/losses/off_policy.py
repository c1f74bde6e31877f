"""Advantages for max@K from rollouts of an older policy: importance-weighted means over subsets."""

from __future__ import annotations

from math import comb
from typing import Any, Literal

from ..core.arguments import as_k, check_choice
from ..core.arrays import Array
from ..core.rewards import as_rewards
from .tokens import as_tokens


def off_policy_advantages(
    rewards: Any,
    k: int,
    *,
    log_ratios: Any,
    baseline: Literal["leave-one-out", "none"] = "leave-one-out",
) -> Array:
    r"""Advantages whose importance-weighted sum is unbiased for the gradient of J_K at the current policy.

    With ratios ``rho_i = pi(o_i)/pi_old(o_i)`` of whole rollouts,

    .. math:: A_i = K (\tilde q_i - \tilde v_i), \qquad
              \tilde q_i = \operatorname*{mean}_{|S| = K-1,\, i \notin S}\, \prod_{j \in S} \rho_j
              \max(R_i, R_S), \qquad
              \tilde v_i = \operatorname*{mean}_{|S| = K,\, i \notin S}\, \prod_{j \in S} \rho_j \max R_S,

    and ``E (1/n) sum_i rho_i A_i s_i = grad J_K``, s the scores of the current policy: take them to the loss
    ``"off-policy"``. Where every ratio is 1 they are MaxPO's.

    Parameters
    ----------
    rewards
        (..., n), groups of rollouts of the old policy.
    k
        The K of max@K: ``k <= n - 1`` with a baseline, ``k <= n`` without.
    log_ratios
        ``log pi - log pi_old`` of whole rollouts, (..., n): the sum over their tokens.
    baseline
        ``"leave-one-out"``: v of the other rollouts; ``"none"``: ``A_i = K q_i``, unbiased too, and noisier.

    Returns
    -------
    array (..., n)

    Raises
    ------
    TypeError, ValueError
        Rewards that are not finite real numbers; a bad k; a rollout that a policy gives probability 0; ratios
        of other shapes.

    Notes
    -----
    Cost O(n^2 K) a group: elementary symmetric polynomials of the ratios, in the order of the rewards.
    Products of K ratios: their variance grows with K and with the length of rollouts.
    Source: arXiv 2510.23393 (q off-policy); the baseline is the on-policy one, weighted alike.
    """
    check_choice("baseline", baseline, ("leave-one-out", "none"))
    xp, rewards = as_rewards(rewards)
    n = rewards.shape[-1]
    k = as_k(k, n=n)
    if k == n and baseline != "none":
        raise ValueError(
            f"k={k}: the leave-one-out baseline needs k <= n-1 = {n - 1}; lower k, or take baseline='none'"
        )
    tokens = as_tokens(rewards[..., None], None, values="rewards", log_ratios=log_ratios[..., None])
    ratio = xp.exp(tokens.logs["log_ratios"][..., 0])
    order = xp.argsort(rewards, axis=-1)
    rank = xp.argsort(order, axis=-1)
    ascending, weights = (xp.take_along_axis(each, order, axis=-1) for each in (tokens.values[..., 0], ratio))

    # By member i (second last axis but one of `chosen`): sums of products of j ratios of the others so far.
    ones = xp.ones_like(ratio)
    zeros = xp.zeros_like(ratio)
    chosen = [ones] + [zeros] * k
    with_it, without_it = zeros, zeros
    for m in range(n):
        reward, weight = ascending[..., m : m + 1], weights[..., m : m + 1]
        others, above = rank != m, rank < m
        if k > 1:
            with_it = with_it + xp.where(above, reward * weight * chosen[k - 2], 0.0)
        with_it = with_it + xp.where(others, 0.0, reward * chosen[k - 1])
        without_it = without_it + xp.where(others, reward * weight * chosen[k - 1], 0.0)
        for j in range(k, 0, -1):
            chosen[j] = chosen[j] + xp.where(others, weight * chosen[j - 1], 0.0)
    q = with_it / comb(n - 1, k - 1)
    if baseline == "none":
        return k * q
    return k * (q - without_it / comb(n - 1, k))
