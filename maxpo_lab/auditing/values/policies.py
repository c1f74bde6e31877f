"""Bias and standard deviation of a value rule under reference policies, from rare success to frequent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ... import rules
from ...core.arrays import Float
from ...moments import value_moments
from ...policies.levels import RewardLevels
from ..decide.claims import Setting, few_enough
from ..guard import Guard
from ..worker import RaisedError

#: Chances that a rollout gets the highest reward.
SUCCESS = (0.02, 0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class ValueUnderPolicy:
    """Errors of a value rule under one policy, and the standard deviation of the unbiased rule.

    ``resolution``: what rounding in the type that the rule computes in may do to the bias.
    """

    rewards: str
    success: float
    value: float
    bias: float
    relative_bias: float
    standard_deviation: float
    unbiased_deviation: float
    resolution: float


def reference_levels(success: float, values: Float) -> RewardLevels:
    """The highest reward has this chance, the others share the rest."""
    rest = np.full(len(values) - 1, (1 - success) / (len(values) - 1))
    return RewardLevels.from_softmax(np.log([*rest, success]), values)


def under_value_policies(guard: Guard, setting: Setting) -> tuple[ValueUnderPolicy, ...] | None:
    """Errors on 0/1 rewards, and on three of the audited levels where there are more.

    None for a rule that depends on the order and has too many arrangements.
    """
    if not few_enough(setting):
        return None
    found: tuple[ValueUnderPolicy, ...] = ()
    try:
        found += _on(guard, setting, np.array([0.0, 1.0]), "binary")
    except RaisedError:
        if setting.rewards == "binary":
            raise
    if setting.rewards != "binary":
        found += _on(guard, setting, setting.values[sorted({0, 1, len(setting.values) - 1})], setting.rewards)
    return found


def _on(rule: Guard, setting: Setting, values: Float, rewards: str) -> tuple[ValueUnderPolicy, ...]:
    n, k = setting.n, setting.k
    resolution = rules.precision_of(rule).share(n) * float(values[-1])
    found = []
    for success in SUCCESS:
        levels = reference_levels(success, values)
        moments = value_moments(rule, levels, n=n, k=k)
        found.append(
            ValueUnderPolicy(
                rewards=rewards,
                success=success,
                value=moments.value,
                bias=moments.bias,
                relative_bias=moments.relative_bias,
                standard_deviation=moments.standard_deviation,
                unbiased_deviation=value_moments("unbiased", levels, n=n, k=k).standard_deviation,
                resolution=resolution,
            )
        )
    return tuple(found)
