"""Where rank-linear rules are evaluated: on the host, in a kernel of the card, or by the array library."""

from __future__ import annotations

import sys
from typing import Any

import array_api_compat
import numpy as np

from ..core.arrays import Array, Namespace
from . import host, portable
from .tables import Rules, stacks, stacks_on


def rank_linear(xp: Namespace, rewards: Array, rules: Rules) -> Array:
    r"""Advantages of rules that are linear in the sorted rewards, from one sort.

    .. math:: A_{(r)} = \text{offset}\, R_{(1)} + \sum_{m<r} \text{gap}_m\, \text{above}_m
              + \sum_{m \ge r} \text{gap}_m\, \text{below}_m,
              \qquad \text{gap}_m = R_{(m+1)} - R_{(m)} .

    Parameters
    ----------
    xp
        Namespace of ``rewards``.
    rewards
        Finite rewards, shape (..., n), real floating.
    rules
        What gives the coefficients of each at (n, k), with its k.

    Returns
    -------
    array (rules, ..., n), dtype and device of ``rewards``

    Notes
    -----
    Ties have gap 0 and get equal advantages; gaps that pay nothing add exactly 0. Sums run in float64
    whatever the dtype (see ``widest`` for JAX), and no two large numbers are subtracted (gaps of float32
    rewards are exact), so a float32 result is the float64 one rounded once. A group's bits do not depend on
    the others, nor a rule's on the other rules. Cost O(n log n) per group, and O(n) per further rule.

    NumPy arrays and torch tensors on the CPU share one path. Nothing waits for an accelerator.
    """
    n = rewards.shape[-1]
    if isinstance(rewards, np.ndarray):
        return host.rank_linear(rewards, stacks(rules, n))
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(rewards, torch.Tensor) and rewards.is_cpu:
        values = _as_array(torch, rewards)
        if values is not None:
            found = torch.from_numpy(host.rank_linear(values, stacks(rules, n)))
            return found.bfloat16() if rewards.dtype == torch.bfloat16 else found
    device = array_api_compat.device(rewards)
    rows = xp.reshape(rewards, (-1, n))
    found = portable.rank_linear(xp, rows, stacks_on(rules, n, xp, device))
    return xp.reshape(found, (len(rules), *rewards.shape))


def _as_array(torch: Any, rewards: Any) -> Any:
    """A tensor of the CPU as an array, where torch.func does not wrap it; NumPy has no bfloat16."""
    try:
        return (rewards.double() if rewards.dtype == torch.bfloat16 else rewards).numpy()
    except RuntimeError:
        return None
