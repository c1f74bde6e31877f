r"""Plug-in floor: the variance floor's own baseline, at the success rate of the history; 0/1 rewards.

Where one answer is correct, all successes share one score and the noise is how many there are. With g(c) =
``K C(n-1-c, K-1) / C(n-1, K-1)`` and c' successes among the others, the unbiased rules are
``A_i = g(c') R_i - beta(c')``. For two levels, one good outcome and many bad ones the least variance has

.. math:: \beta_c = p\,(T_{c+1} - T_c), \qquad
          T_c = c (1-p) (g_{c-1} - \beta_{c-1}) + (n-c)\, p\, \beta_c , \qquad c = 0..n-1,

a tridiagonal system, diagonally dominant for every p. It is solved at ``p = H / (W + 1/2)``, H the weight
of the history's successes: no rollout of the group decides it, so the rule is unbiased whatever the history.
With no success in it beta is 0, and the rule pkpo-loo1 (the reward at K = 1).

Derivation: of the gradient's second moment ``sum_c P(c) ((n-c) beta_c^2 + T_c^2)`` (a failure's scores vary
by 1 around a mean, a success's not at all, the means are 1 apart) the derivative by each beta, divided by
``2 (n-c) P(c)``, is 0. Graded rewards would need a beta at every threshold, which does not vanish below all
rewards: they are refused.
"""

from __future__ import annotations

import array_api_compat

from ...core.arrays import Array, Namespace, widest
from ...core.coefficients import subset_share


def why_not(n: int, k: int) -> str | None:
    """Reason why plug-in-floor is undefined at (n, k), with a valid choice; None at ``1 <= k <= n``."""
    if 1 <= k <= n:
        return None
    nearest = min(max(k, 1), n)
    return f"k={k}: plug-in-floor needs 1 <= k <= n = {n}; the nearest valid choice is k={nearest}"


def plug_in_floor(xp: Namespace, rewards: Array, k: int, y: Array, w: Array) -> Array:
    """``g(c') R_i - beta(c')``, unchecked.

    Rewards (..., n) and histories y (..., m) of 0 and 1, weights w (..., m) in [0, 1], 0 for padding. Returns
    (..., n) in the rewards' dtype. Cost O(n + m) a group.
    """
    wide, n = widest(xp), rewards.shape[-1]
    values, past, weights = (xp.astype(each, wide, copy=False) for each in (rewards, y, w))
    rate = xp.sum(past * weights, axis=-1) / (xp.sum(weights, axis=-1) + 0.5)
    gain = xp.asarray(k * subset_share(n, k - 1)[::-1], dtype=wide, device=array_api_compat.device(rewards))
    beta = baseline(xp, rate, gain)
    index = xp.arange(1).dtype  # the library's own: JAX may lack int64, torch takes no other
    others = xp.astype(xp.sum(values, axis=-1, keepdims=True) - values, index)
    paid = xp.reshape(xp.take(gain, xp.reshape(others, (-1,)), axis=0), others.shape)
    advantages = values * paid - xp.take_along_axis(beta, others, axis=-1)
    return xp.astype(advantages, rewards.dtype, copy=False)


def baseline(xp: Namespace, rate: Array, gain: Array) -> Array:
    """``beta_c``, c = 0..n-1, at success rates (...), of gains g (n,): (..., n), by elimination."""
    n = gain.shape[0]
    fail = 1 - rate
    ahead, solved = [], []
    before, kept = xp.zeros_like(rate), xp.zeros_like(rate)
    for c in range(n):
        left = rate * fail * c
        wanted = rate * fail * ((c + 1) * gain[c] - (c * gain[c - 1] if c else 0.0))
        pivot = 1 + rate * ((n - c) * rate + (c + 1) * fail) - left * kept
        before = (wanted + left * before) / pivot
        kept = rate * rate * (n - c - 1) / pivot
        solved.append(before)
        ahead.append(kept)
    beta = [solved[-1]]
    for c in range(n - 2, -1, -1):
        beta.append(solved[c] + ahead[c] * beta[-1])
    return xp.stack(beta[::-1], axis=-1)
