"""Rank-linear rules together on torch rewards: the tables of several rules, ready for one sort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import array_api_compat
import torch

from ..estimators import RankLinear
from ..kernels import tables
from ..kernels.reference import from_tables
from ..kernels.tables import Tables
from ..rules.calling import Rule


@dataclass(frozen=True, eq=False)
class OneSort:
    """Some of several rules, evaluated together.

    Attributes
    ----------
    places
        Which ones, by their numbers among all.
    tables
        Theirs, with one leading row per rule and one axis for the groups: (rules, 1, n).
    """

    places: list[int]
    tables: Tables

    def __call__(self, rewards: torch.Tensor) -> torch.Tensor:
        """Advantages (rules, groups, n) of rewards (groups, n), or of (rules, groups, n), to each its own."""
        found: torch.Tensor = from_tables(array_api_compat.array_namespace(rewards), rewards, self.tables)
        return found


def from_one_sort(rule: Rule) -> TypeGuard[RankLinear]:
    """Whether a rule is its coefficients and no more, on whatever rewards."""
    return isinstance(rule, RankLinear) and rule.domain == "real"


def stacked(rules: Sequence[tuple[Rule, int]], n: int, device: torch.device) -> tuple[OneSort, ...]:
    """The rank-linear ones among admitted rules, each with its K: at most two stacks, on a device."""
    xp = array_api_compat.array_namespace(torch.empty(0))
    made = {
        place: tables.tables_on(rule.coefficients, n, k, xp, device)
        for place, (rule, k) in enumerate(rules)
        if from_one_sort(rule)
    }
    return tuple(OneSort(places, stack) for places, stack in tables.stacked(xp, made))
