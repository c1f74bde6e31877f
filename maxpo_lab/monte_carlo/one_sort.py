"""Rank-linear rules together on torch rewards, from one sort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import torch
from array_api_compat import torch as namespace

from ..estimators import RankLinear
from ..kernels.engine import rank_linear
from ..kernels.tables import Rules
from ..rules.calling import Rule


@dataclass(frozen=True, eq=False)
class OneSort:
    """Some of several rules, evaluated together.

    Attributes
    ----------
    places
        Which ones, by their numbers among all.
    rules
        They themselves, each with its K.
    """

    places: list[int]
    rules: Rules

    @classmethod
    def of(cls, rules: Sequence[Rule], k: int) -> OneSort:
        """The rank-linear ones among admitted rules."""
        found = {place: rule for place, rule in enumerate(rules) if from_one_sort(rule)}
        return cls(list(found), tuple((rule, k) for rule in found.values()))

    def __call__(self, rewards: torch.Tensor) -> torch.Tensor:
        """Advantages (rules, groups, n) of rewards (groups, n)."""
        found: torch.Tensor = rank_linear(namespace, rewards, self.rules)
        return found


def from_one_sort(rule: Rule) -> TypeGuard[RankLinear]:
    """Whether a rule is its coefficients and no more, on whatever rewards."""
    return isinstance(rule, RankLinear) and rule.domain == "real"
