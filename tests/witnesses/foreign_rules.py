"""Correct rules written the way other people write them, and near misses of each: no line of ours in them.

Every style gives the two signals of a group, ``q`` (mean maximum of the K-subsets that hold a rollout) and
``v(size)`` (of the subsets of that size that do not), and is unbiased as ``K (q - v(K))`` below K = n and as
``K (q - v(K-1))`` at it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
from scipy.special import gammaln

Array = np.ndarray
#: ``(rewards (B, n), K, size of v) -> q, v``; v(0) is 0.
Signals = Callable[[Array, int, int], tuple[Array, Array]]


def prefix_sums(rewards: Array, k: int, size: int) -> tuple[Array, Array]:
    """Integer binomials times rewards, summed once; what lies above is the total less what lies below."""
    n = rewards.shape[1]
    order = np.argsort(rewards, axis=1, kind="stable")
    ranked = np.take_along_axis(rewards, order, axis=1)

    def weights(shift: int, chosen: int) -> Array:
        return np.array(
            [math.comb(j - shift, chosen) if min(j - shift, chosen) >= 0 else 0 for j in range(n)]
        )

    below_q = weights(0, k - 1)  # an own maximum: the K-1 others from those below
    pairs = np.cumsum(weights(1, k - 2) * ranked, axis=1)  # a maximum above, i among those below it
    q = (below_q * ranked + pairs[:, -1:] - pairs) / math.comb(n - 1, k - 1)
    v = np.zeros_like(q)
    if size:
        below = np.cumsum(weights(0, size - 1) * ranked, axis=1)
        above = np.cumsum(weights(1, size - 1) * ranked, axis=1)
        own = weights(0, size - 1) * ranked
        v = (below - own + above[:, -1:] - above) / math.comb(n - 1, size)
    back = np.argsort(order, axis=1, kind="stable")
    return np.take_along_axis(q, back, axis=1), np.take_along_axis(v, back, axis=1)


def log_gamma(rewards: Array, k: int, size: int) -> tuple[Array, Array]:
    """Weights as exponentials of log-gammas, a vector at a time."""
    n = rewards.shape[1]
    order = np.argsort(rewards, axis=1, kind="stable")
    ranked = np.take_along_axis(rewards, order, axis=1)

    def share(among: Array, chosen: int, of: int, drawn: int) -> Array:
        """``C(among, chosen) / C(of, drawn)``."""
        valid = (among >= chosen) & (chosen >= 0)
        a = np.where(valid, among, max(chosen, 0)).astype(float)
        logs = gammaln(a + 1) - gammaln(max(chosen, 0) + 1.0) - gammaln(a - max(chosen, 0) + 1)
        logs -= gammaln(of + 1.0) - gammaln(drawn + 1.0) - gammaln(of - drawn + 1.0)
        return np.where(valid, np.exp(logs), 0.0)

    j = np.arange(n)
    q = share(j, k - 1, n - 1, k - 1) * ranked
    for i in range(n):
        q[:, i] += (share(j - 1, k - 2, n - 1, k - 1) * ranked)[:, i + 1 :].sum(axis=1)
    v = np.zeros_like(q)
    if size:
        for i in range(n):
            others = np.delete(ranked, i, axis=1)
            v[:, i] = others @ share(np.arange(n - 1), size - 1, n - 1, size)
    back = np.argsort(order, axis=1, kind="stable")
    return np.take_along_axis(q, back, axis=1), np.take_along_axis(v, back, axis=1)


def log_gamma_by_entry(rewards: Array, k: int, size: int) -> tuple[Array, Array]:
    """A loop over the entries, each weight from ``math.lgamma``."""

    def log_comb(a: int, b: int) -> float:
        return math.lgamma(a + 1) - math.lgamma(b + 1) - math.lgamma(a - b + 1)

    q, v = np.zeros_like(rewards), np.zeros_like(rewards)
    n = rewards.shape[1]
    for row, group in enumerate(rewards.tolist()):
        order = sorted(range(n), key=group.__getitem__)
        for rank, i in enumerate(order):
            for place, j in enumerate(order):
                if place == rank and place >= k - 1:
                    q[row, i] += math.exp(log_comb(place, k - 1) - log_comb(n - 1, k - 1)) * group[j]
                if place > rank and k >= 2 and place - 1 >= k - 2:
                    q[row, i] += math.exp(log_comb(place - 1, k - 2) - log_comb(n - 1, k - 1)) * group[j]
                among = place - (place > rank)
                if place != rank and size and among >= size - 1:
                    v[row, i] += math.exp(log_comb(among, size - 1) - log_comb(n - 1, size)) * group[j]
    return q, v


def enumeration(rewards: Array, k: int, size: int) -> tuple[Array, Array]:
    """Every subset, its maximum added to a running float sum."""
    n = rewards.shape[1]
    q, v = np.zeros_like(rewards), np.zeros_like(rewards)
    inside, outside = math.comb(n - 1, k - 1), math.comb(n - 1, size)
    for subset in combinations(range(n), k):
        q[:, subset] += rewards[:, subset].max(axis=1, keepdims=True)
    if size:
        for subset in combinations(range(n), size):
            rest = [i for i in range(n) if i not in subset]
            v[:, rest] += rewards[:, subset].max(axis=1, keepdims=True)
    return q / inside, v / outside


STYLES: dict[str, Signals] = {
    style.__name__: style for style in (prefix_sums, log_gamma, log_gamma_by_entry, enumeration)
}


def written(signals: Signals) -> Callable[[Array, int], Array]:
    """The rule in a style: Leave-Two-Out below K = n, PKPO's leave-one-out at it."""

    def rule(rewards: Array, k: int) -> Array:
        n = rewards.shape[1]
        q, v = signals(rewards, k, k if k < n else k - 1)
        return k * q - k * v

    rule.__name__ = signals.__name__
    return rule


def single_inside(rewards: Array, k: int) -> Array:
    """Float32 inside, float64 out: the weights alone are rounded, so that no input tells."""
    n = rewards.shape[1]
    q, v = prefix_sums(rewards, k, k if k < n else k - 1)
    return (np.float32(k) * q.astype(np.float32)).astype(float) - (np.float32(k) * v).astype(np.float32)


def narrow(kind: str, *, fault: str = "", returned: str = "same") -> Callable[[Any, int], Any]:
    """A torch rule in gap form that computes in a narrow type throughout; ``fault`` names a near miss.

    ``>``: a rank that leaves the tie with oneself out; ``K-1``: that K in the weights; ``n/K``, ``no K``: the
    scale. ``returned``: ``"same"`` type, or the name of another.
    """
    import torch

    made = getattr(torch, kind)

    def rule(rewards: Any, k: int) -> Any:
        values = torch.as_tensor(rewards).to(made)
        n = values.shape[1]
        chosen = k - 1 if fault == "K-1" else k
        ranked = values.sort(dim=1).values

        def chances(size: int) -> Any:
            """For each gap m, that ``K - 1`` of the others of a group of this size lie below it."""
            return torch.tensor(
                [math.comb(m, chosen - 1) / math.comb(size - 1, chosen - 1) for m in range(1, size)]
            ).to(made)

        credit = (ranked[:, 1:] - ranked[:, :-1]) * chances(n)
        start = ranked[:, :1] * (chosen == 1)  # a set of one adds its reward to none
        credit = start + torch.cat([torch.zeros_like(start), credit.cumsum(1)], 1)
        at_most = torch.searchsorted(ranked.double(), values.double(), right=True) - 1
        below = torch.searchsorted(ranked.double(), values.double()) - 1
        advantages = credit.gather(1, below.clamp(min=0) if fault == ">" else at_most)
        if k < n:  # the mean credit of the others, each in the group without i
            baseline = torch.zeros_like(ranked)
            for i in range(n):
                rest = torch.cat([ranked[:, :i], ranked[:, i + 1 :]], 1)
                share = chances(n - 1) * torch.arange(n - 2, 0, -1).to(made) / (n - 1)
                baseline[:, i] = rest[:, 0] * (chosen == 1) + ((rest[:, 1:] - rest[:, :-1]) * share).sum(1)
            advantages = advantages - baseline.gather(1, at_most)
        advantages = advantages * {"n/K": n, "no K": 1}.get(fault, k)
        return advantages if returned == "same" else advantages.to(getattr(torch, returned))

    rule.__name__ = f"{kind}_{fault or 'right'}"
    return rule
