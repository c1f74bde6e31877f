"""Where rank-linear rules are evaluated: on the host, in a kernel of the card, or by the array library."""

from __future__ import annotations

import sys
from typing import Any

import array_api_compat
import numpy as np

from ..core.arrays import Array, Namespace
from . import host, portable
from .tables import FromRank, FromZero, Rules, Source, stacks, stacks_on


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
    values = as_host(rewards)
    if values is not None:
        return as_given(rewards, host.rank_linear(values, stacks(rules, values.shape[-1])))
    torch, n = sys.modules.get("torch"), rewards.shape[-1]
    if torch is not None and isinstance(rewards, torch.Tensor) and rewards.is_cuda:
        from . import fused  # noqa: PLC0415 - torch is there

        if fused.available(rewards):
            return _on_card(xp, rewards, rules)
    device = array_api_compat.device(rewards)
    rows = xp.reshape(rewards, (-1, n))
    found = portable.rank_linear(xp, rows, stacks_on(rules, n, xp, device))
    return xp.reshape(found, (len(rules), *rewards.shape))


def alone(xp: Namespace, rewards: Array, rule: Source, k: int) -> Array:
    """Advantages (..., n) of one rule: ``rank_linear`` less its axis, which takes time on a small group."""
    values = as_host(rewards)
    if values is None:
        return rank_linear(xp, rewards, ((rule, k),))[0, ...]
    return as_given(rewards, host.rank_linear(values, stacks(((rule, k),), values.shape[-1]))[0])


def _on_card(xp: Namespace, rewards: Any, rules: Rules) -> Any:
    """On a card that sorts small groups in registers: a launch for rules of either kind."""
    from . import fused  # noqa: PLC0415 - the same

    rows = rewards.reshape(-1, rewards.shape[-1])
    made = stacks_on(rules, rows.shape[-1], xp, rewards.device)
    places, parts = [], []
    if plain := [stack for stack in made if isinstance(stack, FromRank)]:
        above, below = plain[0].above, plain[0].below
        if len(plain) > 1:
            above, below = (xp.cat([getattr(stack, side) for stack in plain]) for side in ("above", "below"))
        places += [place for stack in plain for place in stack.places]
        parts.append(fused.fused(rows, above, below))
    for stack in made:
        if isinstance(stack, FromZero):
            tables = {name: getattr(stack, name) for name in ("up", "down", "over", "under", "own", "cost")}
            places += stack.places
            parts.append(fused.fused_from_zero(rows, **tables))
    found = parts[0]
    if places != sorted(places):
        together = [row for part in parts for row in part]
        found = xp.stack([together[places.index(place)] for place in range(len(places))])
    elif len(parts) > 1:
        found = xp.cat(parts)
    return found.reshape(len(rules), *rewards.shape)


def as_host(rewards: Array) -> Any:
    """What lies on the CPU, of NumPy or torch, as an array; None for all else, and inside ``torch.func``."""
    if isinstance(rewards, np.ndarray):
        return rewards
    torch = sys.modules.get("torch")
    if torch is None or type(rewards) is not torch.Tensor or not rewards.is_cpu:  # a subclass stays one
        return None
    try:
        return (rewards.double() if rewards.dtype == torch.bfloat16 else rewards).numpy()
    except RuntimeError:
        return None


def as_given(rewards: Array, found: Any) -> Array:
    """An array as what the rewards are; bfloat16, which NumPy has not, comes back from float64."""
    if isinstance(rewards, np.ndarray):
        return found
    tensor = sys.modules["torch"].from_numpy(found)
    return tensor if tensor.dtype == rewards.dtype else tensor.to(rewards.dtype)
