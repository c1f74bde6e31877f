r"""Exact noise of JSPO over RLOO's, for any number of prompts whose success rates follow one law.

Of the other prompts JSPO uses two whole numbers, the sums of their counts c and of c^2: its mean is
``S1 / (n m)``, of m others, its noise ``(n S1 - S2) / (n^2 (n-1) m)``, its spread ``S2 / (n^2 m) - mean^2``.
Counts are independent, with one law q(c) = E Bin(c; n, p), so the law of (S1, S2) is the m-fold convolution
of that of (c, c^2). A prompt's own gradient has a second moment that is a polynomial of degree n + 2 in p, so
that Gauss-Jacobi nodes stand exactly for p ~ Beta(1/2, 2).
"""

from __future__ import annotations

from math import comb

import numpy as np
from scipy.special import roots_jacobi

from maxpo_lab.core.arrays import Float

from ..batches.prompts import Space

#: What the catalogue's rule adds to its denominator.
_EPS = 1e-6
#: Nodes: exact to degree 2 nodes - 1, here for n <= 60.
_NODES = 32


def beta_rates() -> tuple[Float, Float]:
    """Success rates and their probabilities, which stand for Beta(1/2, 2)."""
    nodes, weights = roots_jacobi(_NODES, 1.0, -0.5)
    return (1 + nodes) / 2, weights / weights.sum()


def noise_over_rloo(space: Space, *, n: int, prompts: int, rates: Float, chances: Float) -> float:
    """Mean over the law of tr Cov of JSPO over that of RLOO, for P prompts with parameters of their own."""
    counts = np.arange(n + 1)
    law = np.array([[comb(n, c) * p**c * (1 - p) ** (n - c) for c in counts] for p in rates])
    shrunk = _moments(n, prompts - 1, chances @ law)
    return _noise(space, rates, chances, law, shrunk) / _noise(space, rates, chances, law, np.zeros(5))


def _moments(n: int, others: int, law: Float) -> Float:
    """``E lam^a (lam mu)^b`` for (a, b) = (1, 0), (0, 1), (2, 0), (1, 1), (0, 2), over the other prompts."""
    sums = _law_of_sums(n, others, law)
    first, second = (each.astype(float) for each in np.indices(sums.shape))
    mean = first / (n * others)
    noise = (n * first - second) / (n * n * (n - 1) * others)
    spread = np.maximum(second / (n * n * others) - mean**2, 0.0)
    share = noise / (noise + spread + _EPS)
    within = share * mean
    return np.array([np.sum(sums * each) for each in (share, within, share**2, share * within, within**2)])


def _law_of_sums(n: int, others: int, law: Float) -> Float:
    """Probability of each (sum of c, sum of c^2), shape (n m + 1, n^2 m + 1)."""
    found = np.zeros((n * others + 1, n * n * others + 1))
    found[0, 0] = 1.0
    for done in range(others):
        before = found[: n * done + 1, : n * n * done + 1].copy()
        found[: n * done + 1, : n * n * done + 1] = 0.0
        for c, chance in enumerate(law):
            found[c : c + n * done + 1, c * c : c * c + n * n * done + 1] += chance * before
    return found


def _noise(space: Space, rates: Float, chances: Float, law: Float, shrunk: Float) -> float:
    """``E tr Cov(g)`` of a prompt whose baseline is ``(1-lam) (mean of the others) + lam mu``."""
    n = law.shape[1] - 1
    c, p = np.arange(n + 1), rates[:, None]
    of_failure, of_success = c / (n - 1), (c - 1) / (n - 1)
    lam, lam_mu, lam2, lam2_mu, lam2_mu2 = shrunk

    def first(u: Float) -> Float:
        return np.asarray(u + lam_mu - lam * u)

    def both(u: Float, v: Float) -> Float:
        crossed = u * (lam_mu - lam * v) + v * (lam_mu - lam * u)
        return np.asarray(u * v + crossed + lam2_mu2 - lam2_mu * (u + v) + lam2 * u * v)

    success = 1 - 2 * first(of_success) + both(of_success, of_success)
    failure = both(of_failure, of_failure)
    mixed = both(of_failure, of_success) - first(of_failure)
    right, wrong = c * (1 - p), -(n - c) * p
    along = right**2 * success + wrong**2 * failure + 2 * right * wrong * mixed
    wrong_spread, right_spread = space.spread
    across = c * success * right_spread + (n - c) * failure * wrong_spread
    second = np.sum(law * (along * space.length**2 + across), axis=1) / n**2
    return float(chances @ (second - (rates * (1 - rates) * space.length) ** 2))
