"""Rank-linear rules on small groups as matrices: all of them from one sort and one matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from ..core.arrays import Float
from ..estimators import RankLinear
from ..kernels.engine import rank_linear

#: Group sizes up to which a product is quicker than a scan: it takes 2n products for each advantage.
SMALL = {"cpu": 32, "cuda": 128}


@dataclass(frozen=True, eq=False)
class RuleMatrices:
    r"""Rank-linear rules as linear maps of the sorted rewards' steps away from 0.

    With ``H = max(R, 0)`` and ``L = min(R, 0)`` of the sorted rewards, those steps, none negative, are

    .. math:: L_{(2)} - L_{(1)},\; \dots,\; L_{(n)} - L_{(n-1)},\; -L_{(n)}, \qquad
              H_{(1)},\; H_{(2)} - H_{(1)},\; \dots,\; H_{(n)} - H_{(n-1)},

    and row m of a rule's matrix holds what it gives where step m is 1 and all others are 0: to a group of
    minus ones and then zeros, or of zeros and then ones. No two large numbers are subtracted.

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
        steps = np.concatenate([-np.tri(n), np.tri(n).T])
        made = rank_linear(np, steps, tuple((rule, k) for _, rule in rules))
        return cls([place for place, _ in rules], torch.tensor(made, device=device))

    def __call__(self, ranked: torch.Tensor) -> torch.Tensor:
        """Advantages (rules, groups, n) of rewards (groups, n) in ascending order, in that order."""
        groups, n = ranked.shape
        if ranked.device.type == "cpu":
            return torch.from_numpy(self._on_host(ranked.numpy()))
        levels = ranked.new_zeros(groups, 2 * n + 1)  # L, 0 and H
        torch.clamp(ranked, max=0.0, out=levels[:, :n])
        torch.clamp(ranked, min=0.0, out=levels[:, n + 1 :])
        return torch.matmul(levels[:, 1:] - levels[:, :-1], self.matrices)

    def _on_host(self, ranked: Float) -> Float:
        """The same in NumPy: half the time of torch's product of small matrices, and half of them at most."""
        n, matrices = ranked.shape[1], self.matrices.numpy()
        if ranked[:, 0].min() >= 0:  # a GPU would be waited for
            steps, matrices = np.diff(ranked, axis=1, prepend=0.0), matrices[:, n:]
            return np.asarray(np.matmul(steps, matrices))
        levels = np.concatenate(
            [np.minimum(ranked, 0.0), np.zeros((len(ranked), 1)), np.maximum(ranked, 0.0)], axis=1
        )
        return np.asarray(np.matmul(np.diff(levels, axis=1), matrices))
