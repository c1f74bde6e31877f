"""Another way to the same advantages, as trainers write it: MaxPO with log-gamma weights made beforehand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import gammaln

from maxpo_lab.core.arrays import Float


def log_gamma_maxpo(n: int, k: int) -> Callable[[Float], Float]:
    r"""``K (q_i - v_i)`` of groups (B, n) by ranks, ``1 <= k <= n-1``.

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
