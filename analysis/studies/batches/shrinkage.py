r"""Rules for 0/1 rewards whose baseline is shrunk towards the other prompts, as tables over counts.

They are ``A_i = K h(c') (R_i - b)`` with c' the successes among the others of the group,
``h(c') = C(n-1-c', K-1) / C(n-1, K-1)`` and a baseline ``b = (1 - lam) c'/(n-1) + lam mu``: unbiased for
pass@K wherever lam and mu come from the other prompts alone, whatever these say.

``empirical-bayes``: lam and mu of the best linear prediction of p from c', p a draw from the law that the
other prompts are a sample of. With ``e_j = c_j (n - c_j) / (n (n-1))`` and ``m_j = c_j / n``, over j != x,

.. math:: \mu = \overline{m}, \quad E = \overline{e}, \quad T = \Big(\frac{\sum (m_j - \mu)^2}{P - 2}
          - \frac{E}{n}\Big)^+, \qquad \lambda = \frac{E}{E + (n-1) T},

E and T unbiased for the mean of p (1-p) and for the variance of p (T before it is cut at 0); lam = 0 where
both are 0, as all others then agree with certainty and say nothing of their spread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import comb
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from maxpo_lab.core.arrays import Float, Int


class Baselines(NamedTuple):
    """What failures and successes are compared with, (draws, P, n+1) by the count of their group."""

    failure: Float
    success: Float


def keep(n: int, k: int) -> Float:
    """``K h(c')`` for c' = 0..n-1: K times the chance that K-1 of the others all failed."""
    return np.array([k * comb(n - 1 - c, k - 1) / comb(n - 1, k - 1) for c in range(n)])


def of_shares(share: Float, middle: Float, n: int) -> Baselines:
    """``(1 - share) c'/(n-1) + share * middle``; share and middle (draws, P), or by the count, (..., n+1)."""
    if share.ndim < 3:
        share, middle = share[..., None], middle[..., None]
    c = np.arange(n + 1)
    failure = (1 - share) * c / (n - 1) + share * middle
    success = (1 - share) * (c - 1) / (n - 1) + share * middle
    return Baselines(failure, success)


def rloo(counts: Int, n: int) -> Baselines:
    """The mean of the others: ``predictive``, which is ``rloo`` at K = 1."""
    return of_shares(np.zeros((1, counts.shape[1])), np.zeros((1, counts.shape[1])), n)


def nothing(counts: Int, n: int) -> Baselines:
    """No baseline: ``pkpo-loo1``, which is ``reinforce`` at K = 1."""
    return of_shares(np.ones((1, counts.shape[1])), np.zeros((1, counts.shape[1])), n)


def empirical_bayes(counts: Int, n: int) -> Baselines:
    """See the module; counts (draws, P), P >= 3."""
    return of_shares(*_predicted(counts, n), n)


def jspo(counts: Int, n: int) -> Baselines:
    """The catalogue's rule of this name, for counts (draws, P), P >= 2."""
    mean, noise = _moments(counts, n)
    others = counts.shape[1] - 1
    middle = _rest(mean) / others
    spread = np.maximum(_rest(mean**2) / others - middle**2, 0.0)
    noise = _rest(noise) / others
    return of_shares(noise / (noise + spread + _EPS), middle, n)


def jspo_plus_plus(counts: Int, n: int) -> Baselines:
    """The catalogue's rule of this name: the group's own count, 0..n, counts among those of the prompts."""
    mean, noise = _moments(counts, n)
    own_mean, own_noise = _moments(np.arange(n + 1), n)
    every = counts.shape[1]
    middle = (_rest(mean)[..., None] + own_mean) / every
    spread = np.maximum((_rest(mean**2)[..., None] + own_mean**2) / every - middle**2, 0.0)
    noise = (_rest(noise)[..., None] + own_noise) / every
    return of_shares(noise / (noise + spread + _EPS), middle, n)


#: Baselines of counts (draws, P) of groups of n.
Shrinkage: TypeAlias = Callable[[Int, int], Baselines]
#: By name, and the least number of prompts that each needs.
RULES: Mapping[str, Shrinkage] = {
    "jspo": jspo,
    "jspo-plus-plus": jspo_plus_plus,
    "empirical-bayes": empirical_bayes,
}
SMALLEST: Mapping[str, int] = {"jspo": 2, "jspo-plus-plus": 2, "empirical-bayes": 3}
_EPS = 1e-6


def empirical_bayes_rule(rewards: Any, k: int) -> Float:
    """Advantages (P, n) of ``empirical-bayes`` on 0/1 rewards (P, n), for ``maxpo_lab.batch_rule``."""
    rewards = np.asarray(rewards, dtype=np.float64)
    n = rewards.shape[1]
    counts = rewards.sum(axis=1, keepdims=True).astype(int)
    share, middle = (each[0][:, None] for each in _predicted(counts[:, 0][None], n))
    others = counts - rewards.astype(int)
    baseline = (1 - share) * others / (n - 1) + share * middle
    return np.asarray(keep(n, k)[others] * (rewards - baseline))


def _predicted(counts: Int, n: int) -> tuple[Float, Float]:
    others = counts.shape[1] - 1
    mean, noise = _moments(counts, n)
    middle = _rest(mean) / others
    within = n * _rest(noise) / others
    spread = (_rest(mean**2) - others * middle**2) / (others - 1) - within / n
    total = within + (n - 1) * np.maximum(spread, 0.0)
    return np.divide(within, total, out=np.zeros_like(total), where=total > 0), middle


def _moments(counts: Int, n: int) -> tuple[Float, Float]:
    """Mean of a group, and ``var1 / n``, by its count."""
    return counts / n, counts * (n - counts) / (n * n * (n - 1))


def _rest(values: Float) -> Float:
    """Sums over the other prompts, (draws, P)."""
    return np.asarray(values.sum(axis=1, keepdims=True) - values)
