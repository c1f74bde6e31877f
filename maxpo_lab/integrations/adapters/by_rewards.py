r"""Advantages handed over as rewards, where a framework has no hook and only subtracts a group's mean.

The advantages of a centered rule sum to 0 in each group, so a framework that subtracts the mean of what it
takes for rewards hands them through unchanged. That is so of "Dr. GRPO" everywhere (OpenRLHF ``dr_grpo``, oat
and tunix ``drgrpo``, tinker-cookbook), of ms-swift and TRL with ``scale_rewards="none"``, and of AReaL
without ``reward_norm`` and ``adv_norm``; ``rloo`` multiplies them by n/(n-1). A framework that divides by a
standard deviation does not, nor one that clips: OpenRLHF clips rewards at 10, AReaL at 20, and MaxPO reaches
K times the range of the rewards. What it logs as rewards are then advantages.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.arrays import Float
from .training_rule import TrainingRule

#: What is left of a sum of n advantages by rounding is far below this, in units of n and the largest of them.
_ROUNDING = 1e-9


def as_rewards(rule: TrainingRule, rewards: Any, ids: Any, *, clip: float | None, **named: Any) -> Float:
    """Advantages (B,) that arrive as they are where a framework takes them for rewards.

    Parameters
    ----------
    rule
        Whose advantages.
    rewards, ids, **named
        As ``TrainingRule.__call__`` takes them.
    clip
        Where the framework clips rewards, in size; None where it does not.

    Raises
    ------
    ValueError
        One would be clipped; or a group's do not sum to 0, as those of a rule that is not centered: the mean
        that the framework subtracts would change them.
    """
    found = rule(rewards, ids, **named)
    refuse_uncentered(rule, found, ids)
    refuse_clipped(rule, found, clip)
    return found


def refuse_clipped(rule: TrainingRule, advantages: Float, clip: float | None) -> None:
    """ValueError where an advantage is larger than ``clip``."""
    largest = float(np.abs(advantages).max(initial=0.0))
    if clip is not None and largest > clip:
        raise ValueError(
            f"{rule.rule.name} at k={rule.k} gives an advantage of {largest:.4g}, which would be clipped at "
            f"{clip:g}, a bias: raise the framework's clip, or scale the rewards down"
        )


def refuse_uncentered(rule: TrainingRule, advantages: Float, ids: Any) -> None:
    """ValueError where the advantages of a group do not sum to 0 up to rounding."""
    sums: dict[Any, list[float]] = {}
    for name, each in zip(ids, advantages.tolist(), strict=True):
        sums.setdefault(name, []).append(each)
    for name, group in sums.items():
        size = max(map(abs, group))
        if abs(sum(group)) > _ROUNDING * len(group) * size:
            raise ValueError(
                f"{rule.rule.name}: the advantages of group {name!r} sum to {sum(group):.4g}, so a framework "
                f"that subtracts their mean would change them: use a rule that is centered, e.g. maxpo"
            )
