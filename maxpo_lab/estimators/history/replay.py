r"""Replay: earlier rewards of a prompt in the baseline of its next group.

With ``Phi_i(x)`` the mean over the (K-1)-subsets T of the others of ``(x - max T)^+`` (x itself at K = 1), a
history y with weights w in [0, 1] summing to W, and ``A0`` maxpo, pkpo-loo1 at K = n and the reward at n = 1:

.. math:: \text{HIST}_i = K \Big( \Phi_i(R_i) - \tfrac1W \sum_k w_k \Phi_i(y_k) \Big), \qquad
          A_i = (1 - \lambda) A0_i + \lambda\, \text{HIST}_i, \qquad
          \text{fair: } \lambda = \frac{W}{n - K + W} .

A weight of 1 is a reward as good as a fresh one, W = 0 no history: then ``A = A0``. The baseline never sees
R_i, so every lambda that does not look at the group is unbiased whatever the history: stale or wrong.
At each threshold the fair one estimates the success rate by ``(c' + H) / (n-K + W)``, c' the others above it
and H the weight of the history above it.
"""

from __future__ import annotations

from ...core.arrays import Array, Namespace, widest
from . import tables
from .evaluation import with_history


def why_not(n: int, k: int) -> str | None:
    """Reason why HIST and replay are undefined at (n, k), with a valid choice; None at ``1 <= k <= n``."""
    if 1 <= k <= n:
        return None
    nearest = min(max(k, 1), n)
    other = f"; pooled takes k up to n + m - 1 of m earlier rewards, chebyshev up to 2n = {2 * n}"
    return (
        f"k={k}: replay needs 1 <= k <= n = {n}; the nearest valid choice is k={nearest}"
        f"{other if k > n else ''}"
    )


def replay(
    xp: Namespace,
    rewards: Array,
    k: int,
    y: Array,
    w: Array,
    *,
    lam: Array | float | None = None,
    history_sorted: bool = False,
) -> Array:
    """``(1 - lam) A0 + lam HIST``, unchecked.

    Parameters
    ----------
    xp
        Namespace of the arrays.
    rewards
        Finite, (..., n), real floating.
    k
        ``1 <= k <= n``.
    y, w
        Earlier rewards of each group's prompt, finite, and their weights in [0, 1], (..., m) each, m >= 1;
        shorter histories are padded by any finite rewards of weight 0.
    lam
        A float, or an array (...) on their device; None for the fair one. Not looked at where W = 0.
    history_sorted
        Whether each y is in ascending order, padding included: saves a sort; believed.

    Returns
    -------
    array (..., n) in the rewards' dtype

    Notes
    -----
    Cost: two sorts, prefix sums and a bisection: O(n log n + m log m + n log m) a group.
    """
    table = tables.replay(rewards.shape[-1], k)
    return with_history(xp, rewards, y, w, ((table, lam),), history_sorted=history_sorted)[0, ...]


def parts(
    xp: Namespace, rewards: Array, k: int, y: Array, w: Array, *, history_sorted: bool = False
) -> tuple[Array, Array]:
    """A0 and HIST, (..., n) each, from one pass: ``replay`` is ``A0 - lam (A0 - HIST)`` for any lambda."""
    table = tables.replay(rewards.shape[-1], k)
    both = with_history(xp, rewards, y, w, ((table, 0.0), (table, 1.0)), history_sorted=history_sorted)
    return both[0, ...], both[1, ...]


def largest_share(xp: Namespace, w: Array, *, n: int, k: int) -> Array:
    """The fair lambda, ``W / (n-K + W)``, (...) of weights (..., m): what a learned one may be at most.

    1 at K = n, where nothing but the history informs; 0 where W = 0.
    """
    weight = xp.sum(xp.astype(w, widest(xp), copy=False), axis=-1)
    return weight / xp.where(weight > 0, weight + (n - k), xp.ones_like(weight))
