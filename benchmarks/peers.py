"""Other ways to the same numbers, as trainers write them: log-gamma weights, loops, losses by autograd."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.special import gammaln

from maxpo_lab.core.arrays import Float


def log_gamma_maxpo(n: int, k: int) -> Callable[[Float], Float]:
    r"""MaxPO, ``K (q_i - v_i)``, of groups (B, n) by weights on ranks made beforehand, ``1 <= k <= n-1``.

    With ascending ranks i, ``q_i C(n-1,K-1) = R_i C(i-1,K-1) + sum_(j>i) R_j C(j-2,K-2)`` and
    ``v_i C(n-1,K) = sum_(j<i) R_j C(j-1,K-1) + sum_(j>i) R_j C(j-2,K-1)``.
    """
    rank = np.arange(1, n + 1)
    own = k * _share(rank - 1, k - 1, n - 1, k - 1)
    with_it = k * _share(rank - 2, k - 2, n - 1, k - 1)
    below = k * _share(rank - 1, k - 1, n - 1, k)
    above = k * _share(rank - 2, k - 1, n - 1, k)
    after = with_it - above

    def advantages(rewards: Float) -> Float:
        order = np.argsort(rewards, axis=-1)
        ranked = np.take_along_axis(rewards, order, axis=-1)
        later = ranked * after
        earlier = ranked * below
        value = ranked * own + (later[..., ::-1].cumsum(axis=-1)[..., ::-1] - later)
        value -= earlier.cumsum(axis=-1) - earlier
        result = np.empty_like(value)
        np.put_along_axis(result, order, value, axis=-1)
        return result

    return advantages


def _share(top: Float | np.ndarray, chosen: int, total: int, of_total: int) -> Float:
    """``C(top, chosen) / C(total, of_total)`` by differences of log-gammas, 0 where nothing fits."""
    if chosen < 0:
        return np.zeros(len(top))
    fits = top >= chosen
    safe = np.where(fits, top, chosen)
    log = gammaln(safe + 1) - gammaln(chosen + 1) - gammaln(safe - chosen + 1)
    log -= gammaln(total + 1) - gammaln(of_total + 1) - gammaln(total - of_total + 1)
    return np.where(fits, np.exp(log), 0.0)


def listed_loo1(rewards: Float, k: int) -> Float:
    """PKPO's ``K (q_i(K) - v_i(K-1))`` of one group (n,), the way of a listing: everything anew at each call.

    Ratios of binomials by products in a loop, sums over higher ranks by a reversed cumulative sum, and the
    baseline of each member from the group without it. ``2 <= k <= n``.
    """
    n = len(rewards)
    order = np.argsort(rewards)
    ranked = rewards[order]
    value = k * _with_each(ranked, k)
    for i in range(n):
        value[i] -= k * _mean_maximum(np.delete(ranked, i), k - 1)
    result = np.empty(n)
    result[order] = value
    return result


def _ratio(top: int, chosen: int, total: int) -> float:
    """``C(top, chosen) / C(total, chosen)`` as a product."""
    found = 1.0
    for step in range(chosen):
        found *= max(top - step, 0) / (total - step)
    return found


def _with_each(ranked: Float, k: int) -> Float:
    """``q_i``: mean of the maximum over the k-subsets that hold i."""
    n = len(ranked)
    own = np.array([_ratio(i, k - 1, n - 1) for i in range(n)])
    # A higher j is the maximum of k-1 others, of whom it is one: (k-1)/(n-1) times its share of the rest.
    higher = np.array(
        [(k - 1) / (n - 1) * _ratio(max(j - 1, 0), k - 2, n - 2) if k > 1 else 0.0 for j in range(n)]
    )
    tail = np.cumsum((ranked * higher)[::-1])[::-1]
    return ranked * own + np.append(tail[1:], 0.0)


def _mean_maximum(ranked: Float, k: int) -> float:
    """``rho(k)`` of sorted rewards."""
    n = len(ranked)
    return sum(reward * k / n * _ratio(j, k - 1, n - 1) for j, reward in enumerate(ranked))


def _ppo(ratio: torch.Tensor, advantages: torch.Tensor) -> torch.Tensor:
    return -torch.min(ratio * advantages, torch.clamp(ratio, 0.8, 1.2) * advantages)


def trl_dapo(
    log_probs: torch.Tensor, old: torch.Tensor, advantages: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """The gradient of TRL's default loss by the log-probabilities, (..., n, T)."""
    leaf = log_probs.detach().requires_grad_()
    each = _ppo(torch.exp(leaf - old), advantages[..., None])
    loss = (each * mask).sum() / mask.sum().clamp(min=1.0)
    return torch.autograd.grad(loss, leaf)[0]


def trl_grpo(
    log_probs: torch.Tensor, old: torch.Tensor, advantages: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """The same of TRL's ``loss_type="grpo"``."""
    leaf = log_probs.detach().requires_grad_()
    each = _ppo(torch.exp(leaf - old), advantages[..., None])
    loss = ((each * mask).sum(-1) / mask.sum(-1).clamp(min=1.0)).mean()
    return torch.autograd.grad(loss, leaf)[0]


def verl_token_mean(
    log_probs: torch.Tensor, old: torch.Tensor, advantages: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """The same of verl's default loss: the dual clip, without its metrics."""
    leaf = log_probs.detach().requires_grad_()
    spread = advantages[..., None].expand_as(leaf)
    ratio = torch.exp(torch.clamp(leaf - old, min=-20.0, max=20.0))
    above = torch.maximum(-spread * ratio, -spread * torch.clamp(ratio, 0.8, 1.2))
    each = torch.where(spread < 0, torch.min(-spread * 3.0, above), above)
    loss = (torch.where(mask, each, 0.0)).sum() / mask.sum()
    return torch.autograd.grad(loss, leaf)[0]


def verl_gspo(
    log_probs: torch.Tensor, old: torch.Tensor, advantages: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """The same of verl's GSPO."""
    leaf = log_probs.detach().requires_grad_()
    mean = ((leaf - old) * mask).sum(-1) / mask.sum(-1).clamp(min=1)
    ratio = torch.exp(torch.clamp(leaf - leaf.detach() + mean.detach()[..., None], max=10.0))
    spread = advantages[..., None]
    each = torch.maximum(-spread * ratio, -spread * torch.clamp(ratio, 0.8, 1.2))
    loss = (torch.where(mask, each, 0.0)).sum() / mask.sum()
    return torch.autograd.grad(loss, leaf)[0]


#: By the name of the same loss here.
AUTOGRAD_LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "trl:dapo": trl_dapo,
    "trl:grpo": trl_grpo,
    "verl:token-mean": verl_token_mean,
    "verl:gspo": verl_gspo,
}
