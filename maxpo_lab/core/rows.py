"""Rows of numbers that rollouts carry: several rewards, and a length."""

from __future__ import annotations

from typing import Any

import array_api_compat

from .arrays import Array, Namespace, on_host, widest
from .rewards import as_rewards


def as_rows(
    rewards: Any, lengths: Any = None, *, name: str, ids: bool = False, allow_nan: bool = False
) -> tuple[Namespace, Array, Array]:
    """Rewards as they are, and the rows (..., n, c) of a rule: its rewards, then a length where it takes one.

    Rows are in the widest floating type, rewards in their own. With ``lengths`` a rollout may have a single
    reward, without an axis for it.

    Raises
    ------
    TypeError, ValueError
        As ``as_rewards``; rewards without an axis for each rollout's own; lengths of another shape, or not
        positive.
    """
    xp, rewards = as_rewards(rewards, allow_nan=allow_nan)
    shape = tuple(rewards.shape)
    group = "(B, d), the d rewards of each of B rollouts" if ids else "(..., n, d), d rewards a rollout"
    if lengths is None:
        if len(shape) < 2 or (ids and len(shape) != 2):
            raise ValueError(
                f"rewards have shape {shape}: {name} takes several rewards of a rollout and needs {group}; "
                f"pass rewards[..., None] for one"
            )
        return xp, rewards, xp.astype(rewards, widest(xp))
    told, given = as_rewards(lengths)
    own = tuple(given.shape)
    if own not in (shape, shape[:-1]) or (ids and len(own) != 1):
        raise ValueError(
            f"lengths have shape {own} and rewards {shape}: a length a rollout is needed, of rewards "
            f"(..., n) or {group}"
        )
    if not bool(told.all(given > 0)):
        raise ValueError(f"lengths hold {float(told.min(given)):g}: a length is positive, e.g. in tokens")
    wide = xp.astype(rewards if own != shape else rewards[..., None], widest(xp))
    device = array_api_compat.device(rewards)
    column = given if told is xp else xp.asarray(on_host(given))
    column = xp.astype(array_api_compat.to_device(column, device), widest(xp))
    return xp, rewards, xp.concat([wide, column[..., None]], axis=-1)
