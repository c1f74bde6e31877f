"""MaxPO (arXiv 2606.06080): the Leave-Two-Out baseline, and the canonical advantage it equals.

Three independent ways to the same numbers, each checking the others: the definition by enumeration
(``definitions.maxpo``), the pairwise matrix (``maxpo_quadratic``) and the gap form (``maxpo``).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import array_api_compat
import numpy as np

from ...core.arrays import Array, Namespace, widest
from ...core.coefficients import Coefficients, gap_positions, subset_share
from ...core.rewards import as_rewards
from ..base import RankLinear
from ..claims import Claims


def _why_not(n: int, k: int, *, name: str = "maxpo") -> str | None:
    if k <= n - 1:
        return None
    return (
        f"{name} needs k <= n-1 (n={n}, k={k}): at k = n no unbiased rule is centered; use pkpo-loo1, "
        f"unbiased for 2 <= k <= n, or a larger group"
    )


def _leave_two_out(n: int, k: int, exact: bool) -> Coefficients:
    m = gap_positions(n, exact=exact)
    # Across gap m every one of the n-m above takes the same credit from every one of the m below, so that
    # sum A = 0 to rounding.
    credit = k * subset_share(n, k - 1, exact=exact)[:-1]
    return Coefficients(offset=0, above=credit * m / (n - k), below=-credit * (n - m) / (n - k))


def _inclusion_minus_exclusion(n: int, k: int, exact: bool) -> Coefficients:
    m = gap_positions(n, exact=exact)
    below = -k * subset_share(n, k - 1, exact=exact)[:-1] * (n - m) / (n - k)
    return Coefficients(offset=0, above=k * subset_share(n, k, exact=exact)[1:], below=below)


MAXPO = RankLinear(
    name="maxpo",
    title="MaxPO",
    equation="A_i = K h_i - mean over j != i of K h_j computed without i",
    citation="arXiv 2606.06080 (MaxPO), the Leave-Two-Out baseline",
    objective="max@k",
    uses_k=True,
    claims=Claims(unbiased=True, centered=True),
    smallest_group=2,
    table=_leave_two_out,
    undefined=_why_not,
)

CANONICAL = RankLinear(
    name="canonical",
    title="Canonical max@K",
    equation="A_i = K (q_i(K) - v_i(K))",
    citation=(
        "arXiv 2606.06080 (MaxPO), canonical finite-batch advantage; arXiv 2606.06096 (OrderGrad) "
        "ReMax, times K"
    ),
    objective="max@k",
    uses_k=True,
    claims=Claims(unbiased=True, centered=True),
    smallest_group=2,
    table=_inclusion_minus_exclusion,
    undefined=partial(_why_not, name="canonical"),
)

RULES = (MAXPO, CANONICAL)


def maxpo(rewards: Any, k: int) -> Array:
    r"""MaxPO by the gap form: what ``get_estimator("maxpo")`` runs.

    .. math:: A_{(r)} = K \sum_{m<r} \text{gap}_m \frac{\binom{m}{K}}{\binom{n-1}{K}}
              - K \sum_{m \ge r} \text{gap}_m
                \frac{\binom{m-1}{K-1}}{\binom{n-1}{K-1}} \frac{n-m}{n-K} .

    Rewards (..., n) to advantages (..., n); ``1 <= k <= n-1``. Cost O(n log n) per group.
    """
    return MAXPO(rewards, k)


def maxpo_quadratic(rewards: Any, k: int) -> Array:
    r"""MaxPO as it is defined: the matrix of every marginal contribution with two left out.

    .. math:: A_i = K h_i - \frac{1}{n-1} \sum_{j \ne i} K h_j^{(-i)}, \qquad
              h_j^{(-i)} = \sum_{m < j} \text{gap}_m
              \binom{m - [i \le m]}{K-1} \Big/ \binom{n-2}{K-1},

    where ``h_j`` computed without i leaves both i and j out of the K-1 others that j is compared with.

    Parameters
    ----------
    rewards
        Shape (..., n), any Array API library.
    k
        ``1 <= k <= n-1``.

    Returns
    -------
    array (..., n)

    Notes
    -----
    Cost O(n^2) time and memory per group: a witness for the gap form, not a replacement.
    """
    xp, rewards = as_rewards(rewards)
    n = rewards.shape[-1]
    if reason := MAXPO.why_not(n, k):
        raise ValueError(reason)
    gap, member = np.arange(1, n), np.arange(1, n + 1)
    alone = subset_share(n, k - 1)[1:]
    below = gap - (member[:, None] <= gap)  # members under the gap, without i
    below = np.minimum(below, n - 2)  # only i itself stands above the last gap when i is the top
    without_i = subset_share(n - 1, k - 1)[below]
    to_device = partial(xp.asarray, device=array_api_compat.device(rewards))

    order = xp.argsort(rewards, axis=-1)
    ranked = xp.astype(xp.take_along_axis(rewards, order, axis=-1), widest(xp))
    gaps = ranked[..., 1:] - ranked[..., :-1]
    own = _from_lowest(xp, gaps * to_device(alone.copy()))
    others = _from_lowest(xp, gaps[..., None, :] * to_device(without_i))
    others = xp.where(to_device(np.eye(n, dtype=bool)), xp.zeros_like(others), others)
    advantages = k * (own - xp.sum(others, axis=-1) / (n - 1))
    back = xp.argsort(order, axis=-1)
    return xp.astype(xp.take_along_axis(advantages, back, axis=-1), rewards.dtype)


def _from_lowest(xp: Namespace, steps: Array) -> Array:
    """Values at ranks 1..n from their n-1 steps between neighbours, 0 at the lowest."""
    sums = xp.cumulative_sum(steps, axis=-1)
    return xp.concat([xp.zeros_like(sums[..., :1]), sums], axis=-1)
