"""``advantages``: the front door for a training loop."""

from __future__ import annotations

from typing import Any

from .estimators import Estimator, get_estimator
from .groups import Array


def advantages(rewards: Any, k: int, *, estimator: str | Estimator = "maxpo") -> Array:
    """Advantages of groups of rewards.

    Parameters
    ----------
    rewards
        Shape (..., n): one group of n i.i.d. rollouts of one prompt along the last axis. NumPy,
        torch, any other Array API library, or nested sequences of numbers.
    k
        The K of max@K, ``1 <= k <= n``; a rule for the mean reward takes it and does not use it.
    estimator
        A name from ``list_estimators()``, or an ``Estimator``.

    Returns
    -------
    array (..., n)
        Same array type, dtype and device, for the mean convention: the gradient estimate is
        ``(1/n) sum_i A_i s_i``, as a loss averaged over rollouts computes it.

    Raises
    ------
    TypeError, ValueError
        Rewards that are not finite real numbers, a bad k, an unknown name, or a rule that is not
        defined at this n and k; the message names a valid choice.
    """
    rule = estimator if isinstance(estimator, Estimator) else get_estimator(estimator)
    return rule(rewards, k)
