"""Outcomes by reward and ratio: what a rule tells apart that weighs rollouts by the policy that drew them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ... import rules
from ...core.arrays import Float, Int
from ...policies.outcomes import Outcomes


@dataclass(frozen=True, eq=False)
class RatioClasses:
    """The distinct pairs of reward and log-ratio of a policy's outcomes, by number.

    Attributes
    ----------
    number
        Of each outcome, (M,).
    rewards, log_ratios
        Of each class, (C,).
    """

    number: Int
    rewards: Float
    log_ratios: Float

    @classmethod
    def of(cls, policy: Outcomes) -> Self:
        """Pairs that differ in any bit are two classes: more groups to look at, and the same moments."""
        pairs = np.stack([policy.rewards, policy.rollout_log_ratios], axis=1)
        table, number = np.unique(pairs, axis=0, return_inverse=True)
        return cls(number.ravel().astype(np.intp), table[:, 0], table[:, 1])

    def looked_up(self, rule: rules.RatioRule) -> rules.Rule:
        """The rule as one of the numbers of classes."""

        def by_number(numbers: Any, k: int) -> Any:
            at = np.asarray(numbers).astype(np.intp)
            return rule(self.rewards[at], k, log_ratios=self.log_ratios[at])

        by_number.__name__ = rule.name
        return by_number
