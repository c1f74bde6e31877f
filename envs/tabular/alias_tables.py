"""Draws from many discrete distributions, by Walker's alias method in torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from maxpo_lab.core.arrays import Float, Int


@dataclass(frozen=True, eq=False)
class AliasTable:
    """Draws from many discrete distributions by two look-ups each (Walker's alias method).

    Attributes
    ----------
    threshold
        Chance that a column of a row stands for its own outcome, float64, shape (rows * width,).
    outcome
        What each column draws otherwise, and its own outcome, int64, shape (rows * width * 2,).
    width
        Columns of a row.
    """

    threshold: torch.Tensor
    outcome: torch.Tensor
    width: int

    @classmethod
    def of(cls, begin: Int, outcome: Int, chance: Float, *, device: torch.device | str) -> Self:
        """A table of distributions: row i is ``outcome`` with ``chance`` from ``begin[i]`` to ``begin[i+1]``.

        Cost O(rows width^2).
        """
        sizes = np.diff(begin)
        width = int(sizes.max())
        column = np.arange(width)
        place = begin[:-1, None] + np.minimum(column, sizes[:, None] - 1)
        share = np.where(column < sizes[:, None], chance[place], 0.0)
        share *= width / share.sum(axis=1, keepdims=True)
        threshold, other = _robin_hood(share)
        names = outcome[place]
        pairs = np.stack([np.take_along_axis(names, other, axis=1), names], axis=-1)
        return cls(
            torch.tensor(threshold.ravel(), device=device), torch.tensor(pairs.ravel(), device=device), width
        )

    def draw(self, row: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """One outcome of each of these rows (N,)."""
        place = torch.rand(row.shape, dtype=torch.float64, device=row.device, generator=generator)
        place *= self.width
        column = place.long()
        place -= column
        cell = column.add_(row, alpha=self.width)
        own = place < self.threshold.index_select(0, cell)
        return self.outcome.index_select(0, cell.mul_(2).add_(own))


def _robin_hood(share: Float) -> tuple[Float, Int]:
    """Thresholds and aliases of rows whose shares sum to their width: the richest fills the poorest."""
    rows, width = share.shape
    threshold, alias = np.ones(share.shape), np.tile(np.arange(width), (rows, 1))
    every, left = np.arange(rows), share.copy()
    open_ = np.ones(share.shape, dtype=bool)
    for _ in range(width - 1):
        poor = np.where(open_, left, np.inf).argmin(axis=1)
        rich = np.where(open_, left, -np.inf).argmax(axis=1)
        kept = np.minimum(left[every, poor], 1.0)
        threshold[every, poor] = kept
        alias[every, poor] = rich
        left[every, rich] -= 1.0 - kept
        open_[every, poor] = False
    return threshold, alias
