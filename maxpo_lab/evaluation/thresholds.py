"""Estimates of J_K that are means of a maximum over draws from a group: the sum over gaps that they share."""

from __future__ import annotations

from functools import partial
from typing import Any

import array_api_compat
import numpy as np

from ..core.arrays import Array, Float, Namespace, widest


def mean_maximum(xp: Namespace, rewards: Any, missed: Float) -> Array:
    r"""Mean of the maximum over draws from a group whose law knows only ranks.

    .. math:: R_{(1)} + \sum_{m<n} \text{gap}_m (1 - \text{missed}_m),

    with ``missed_m``, m = 1..n, the chance that all that is drawn is among the m lowest; ``missed_n = 1``.
    Summed from reward 0, not from ``R_(1)``, so that a large negative reward hides no other. Checked rewards
    (..., n) of a floating type to values (...). Cost O(n log n).
    """
    on_device = partial(xp.asarray, device=array_api_compat.device(rewards))
    ranked = xp.astype(xp.sort(rewards, axis=-1), widest(xp))
    high, low = xp.clip(ranked, 0.0, None), xp.clip(ranked, None, 0.0)
    rises = high[..., 1:] - high[..., :-1]
    falls = xp.concat([low[..., 1:] - low[..., :-1], -low[..., -1:]], axis=-1)
    gained = high[..., 0] + xp.sum(rises * on_device(1.0 - missed[:-1]), axis=-1)
    return xp.astype(gained - xp.sum(falls * on_device(np.asarray(missed)), axis=-1), rewards.dtype)
