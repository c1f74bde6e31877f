"""A step's rewards as groups, each with its prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import ragged
from ..core.arrays import Array, Bool, Float, Int, Int64, Namespace, on_host, widest
from ..core.rewards import as_rewards
from .prompt_ids import hashed


@dataclass(frozen=True, eq=False)
class Batch:
    """Groups of a step; a rollout that could not be scored is in none.

    Attributes
    ----------
    xp, rewards
        As they were given, with their namespace.
    flat
        The rewards on the host, (B,) in float64.
    scored
        Which rows count, None for all.
    prompts
        The 64-bit id of each group's prompt, (G,).
    groups
        Which of the prompts given each group is of, (G,), or its id.
    buckets
        For each size, the numbers of its groups (g,) and their rows (g, n).
    """

    xp: Namespace
    rewards: Array
    flat: Float
    scored: Bool | None
    prompts: Int64
    groups: npt.NDArray[Any]
    buckets: list[tuple[Int, Int]]

    @classmethod
    def of(cls, rewards: Any, prompts: Any, *, allow_nan: bool) -> Batch:
        """Rewards (P, n) with prompts (P,), or rewards (B,) with the prompt of each row (B,).

        Raises as ``core.rewards.as_rewards`` and ``core.ragged.by_id``; ValueError for other shapes.
        """
        xp, values = as_rewards(rewards, allow_nan=allow_nan)
        shape = tuple(values.shape)
        if len(shape) > 2:
            raise ValueError(
                f"rewards have shape {shape}: they must be (P, n), with one prompt a group, or (B,), with "
                f"one a rollout"
            )
        flat = on_host(xp.astype(values, widest(xp))).reshape(-1).astype(np.float64)
        scored = None
        if allow_nan and np.isnan(flat).any():
            scored = ~np.isnan(flat)
        if len(shape) == 1:
            found = _named(prompts, shape[0], scored)
            each = hashed(found.names)
        else:
            each = _of_groups(prompts, shape[0])
            if scored is None:
                rows, number = np.arange(flat.size).reshape(shape), np.arange(shape[0])
                return cls(xp, values, flat, None, each, number, [(number, rows)])
            found = ragged.by_id(np.repeat(np.arange(shape[0]), shape[1]), flat.size, scored)
            each = each[found.names.astype(np.intp)]
        buckets = list(zip(found.buckets_of_groups(), found.buckets(), strict=True))
        return cls(xp, values, flat, scored, each, found.names, buckets)

    def name(self, group: int) -> str:
        """What messages call a group."""
        if self.rewards.ndim == 2:
            return f"of prompts[{self.groups[group]}]"
        return f"{ragged.shortened(str(self.groups[group]))}"


def _of_groups(prompts: Any, count: int) -> Int64:
    """The 64 bits of each prompt (P,)."""
    if type(prompts) is np.ndarray and prompts.dtype.kind in "iu" and prompts.shape == (count,):
        return hashed(prompts)
    groups = _named(prompts, count)
    found = np.empty(count, np.int64)
    found[groups.order] = np.repeat(hashed(groups.names), groups.sizes)
    return found


def _named(prompts: Any, rows: int, kept: Bool | None = None) -> ragged.Groups:
    """``by_id`` whose errors speak of prompts."""
    try:
        return ragged.by_id(prompts, rows, kept)
    except ragged.GroupIdError as error:
        reason = error.reason.replace("group_ids", "prompts")
        raise ragged.GroupIdError(error.row, reason, "prompts") from error
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("group_ids", "prompts")) from error
