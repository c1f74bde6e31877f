"""Rank-linear rules on small groups as matrices: all of them from one sort and one matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
import torch

from ..core.arrays import Float
from ..estimators import RankLinear

#: Group sizes up to which a product is quicker than a scan: it takes 2n products for each advantage.
SMALL = {"cpu": 32, "cuda": 128}


@dataclass(frozen=True, eq=False)
class RuleMatrices:
    r"""Rank-linear rules as linear maps of the sorted rewards' steps away from 0.

    With ``H = max(R, 0)`` and ``L = min(R, 0)`` of the sorted rewards, those steps, none of them negative, are

    .. math:: H_{(1)},\; H_{(2)} - H_{(1)},\; \dots,\; H_{(n)} - H_{(n-1)}, \qquad
              L_{(2)} - L_{(1)},\; \dots,\; L_{(n)} - L_{(n-1)},\; -L_{(n)},

    and row m of a rule's matrix holds what it gives where step m is 1 and all others are 0: to a group of
    zeros and then ones, or of minus ones and then zeros. No two large numbers are subtracted.

    Attributes
    ----------
    places
        The rules, by their numbers among all.
    matrices
        Theirs, (rules, 2n, n).
    """

    places: list[int]
    matrices: torch.Tensor

    @classmethod
    def of(cls, rules: Sequence[tuple[int, RankLinear]], n: int, k: int, device: torch.device) -> Self:
        """The matrices of rules by their numbers, on a device."""
        made = np.stack([_matrix(rule, n, k) for _, rule in rules])
        return cls([place for place, _ in rules], torch.tensor(made, device=device))

    def __call__(self, rewards: torch.Tensor) -> torch.Tensor:
        """Advantages (rules, groups, n) of rewards (groups, n)."""
        ranked, order = rewards.sort(dim=-1)
        groups, n = rewards.shape
        steps = ranked.new_empty(groups, 2, n)
        high, low = ranked.clamp(min=0.0), ranked.clamp(max=0.0)
        steps[:, 0, 0], steps[:, 1, -1] = high[:, 0], -low[:, -1]
        torch.sub(high[:, 1:], high[:, :-1], out=steps[:, 0, 1:])
        torch.sub(low[:, 1:], low[:, :-1], out=steps[:, 1, :-1])
        found = torch.matmul(steps.flatten(1), self.matrices)
        if rewards.device.type == "cpu":
            return torch.empty_like(found).scatter_(-1, order.expand(found.shape), found)
        # A scatter would be made deterministic there by a sort of all rules' numbers.
        return found.gather(-1, order.argsort(dim=-1).expand(found.shape))


@lru_cache(maxsize=256)
def _matrix(rule: RankLinear, n: int, k: int) -> Float:
    """A rule's answers (2n, n) to a step of 1 at each place."""
    above = np.tri(n).T
    found: Float = rule(np.concatenate([above, -np.tri(n)]), k)
    return found
