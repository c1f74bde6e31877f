"""Rank-linear rules together on torch rewards: the tables of several rules, ready for one sort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import array_api_compat
import torch

from ..estimators import RankLinear
from ..estimators.base import on_device
from ..rank_linear import Tables, from_tables
from ..rules import Rule


@dataclass(frozen=True, eq=False)
class OneSort:
    """Some of several rules, evaluated together.

    Attributes
    ----------
    places
        Which ones, by their numbers among all.
    tables
        Theirs, with one leading row a rule and one axis for the groups: (rules, 1, n).
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
    """The rank-linear ones among admitted rules, each with its K: at most two stacks, on a device.

    Those with an offset are summed from reward 0, the others from the lowest reward. Apart, and with the
    tables that each would use alone, every rule gives to the bit what it gives alone.
    """
    xp = array_api_compat.array_namespace(torch.empty(0))
    made = {
        place: on_device(rule, n, k, xp, device)
        for place, (rule, k) in enumerate(rules)
        if from_one_sort(rule)
    }
    by_origin = (
        [place for place, each in made.items() if (each.from_zero is not None) == from_zero]
        for from_zero in (False, True)
    )
    return tuple(OneSort(places, _stack([made[each] for each in places])) for places in by_origin if places)


def _stack(made: Sequence[Tables]) -> Tables:
    """Tables (n,) of several rules of one kind as tables (rules, 1, n)."""
    below_zero = [each.from_zero for each in made if each.from_zero is not None]
    return Tables(
        up=_rows([each.up for each in made]),
        down=_rows([each.down for each in made]),
        from_zero=(
            _rows([each[0] for each in below_zero]),
            _rows([each[1] for each in below_zero]),
            _rows([each[2] for each in below_zero]),
            _rows([each[3] for each in below_zero]),
        )
        if below_zero
        else None,
    )


def _rows(tables: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(tables))[:, None]
