r"""Centered replay: advantages that sum to 0 in every group, for every K up to n.

.. math:: \text{CHIST}_i = \frac{n}{n-1} \big( \text{HIST}_i - \text{group mean of HIST} \big)

At K = n no rule is both centered and unbiased for every history. This one is biased for a given history, and
unbiased on average over fair ones: on 0/1 rewards with a history of success rate q,

.. math:: f(p) = K (1-p)^{K-1} \Big( 1 + \frac{(K-1)(p-q)}{(n-1)(1-p)} \Big) ,

which is linear in q. It is 0 on dead groups, and what the history reaches beyond the group costs nothing.
"""

from __future__ import annotations

from ...core.arrays import Array, Namespace
from . import tables
from .evaluation import with_history


def why_not(n: int, k: int, *, everyone: bool = True) -> str | None:
    """Reason why centered-replay is undefined at (n, k), with a valid choice; else None.

    ``everyone``: whether every group has a history. Without one the rule is maxpo, which K = n does not have.
    """
    if n < 2:
        return f"centered-replay needs a group of at least 2 rollouts (n={n}); use replay, or a larger group"
    if not 1 <= k <= n:
        nearest = min(max(k, 1), n)
        return f"k={k}: centered-replay needs 1 <= k <= n = {n}; the nearest valid choice is k={nearest}"
    if k == n and not everyone:
        return (
            f"centered-replay needs an earlier reward of every group's prompt at k = n = {n}: without one no "
            f"rule is centered and unbiased there; use pkpo-loo1 for those groups, or k <= {n - 1}"
        )
    return None


def centered_replay(
    xp: Namespace, rewards: Array, k: int, y: Array, w: Array, *, history_sorted: bool = False
) -> Array:
    """``n/(n-1)`` times HIST less its mean, unchecked; arguments as of ``replay``, and n >= 2.

    Without history maxpo; at K = n, where ``why_not`` refuses, what a history of failures gives: the
    direction of the gradient on 0/1 rewards, ``1 / (1-p)`` times as long.
    """
    table = tables.centered(rewards.shape[-1], k)
    return with_history(xp, rewards, y, w, ((table, 1.0),), history_sorted=history_sorted)[0, ...]
