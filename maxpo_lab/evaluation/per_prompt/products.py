"""Unbiased estimates of squared objectives, summed over prompts: what errors with fixed prompts rest on."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ...core.arrays import EPS, Float
from ...objectives import Objective, drawn_below
from .ranks import of_maximum, shared_products

#: Group size up to which a matrix over pairs of ranks is kept, and the rows themselves beyond.
_LARGEST_MATRIX = 512


class Products:
    """Products of rewards of ranks a < b, summed over prompts of n rollouts each.

    Rewards are taken less the largest of their prompt, of which no variance within a prompt depends. Memory:
    n x n numbers for n <= 512; beyond, the rows.
    """

    def __init__(self, n: int) -> None:
        self.n, self.prompts = n, 0
        self._matrix = np.zeros((n, n)) if n <= _LARGEST_MATRIX else None
        self._rows: list[Float] = []

    def add(self, below: Float) -> None:
        """Take in sorted rewards (b, n), less the largest of their prompt."""
        self.prompts += len(below)
        if self._matrix is None:
            self._rows.append(below.copy())
        else:
            self._matrix += below.T @ below

    def of_maxima(self, k: int, shared: int) -> float:
        """Sum over prompts of the mean product of the maxima of k-subsets that share some members."""
        first, second, both = shared_products(self.n, k, shared)
        if self._matrix is not None:
            return float(2 * first @ np.triu(self._matrix, 1) @ second + both @ np.diagonal(self._matrix))
        total = 0.0
        for rows in self._rows:
            before = np.cumsum(rows * first, axis=1)[:, :-1]
            total += float(2 * np.sum(before * (rows * second)[:, 1:]) + np.sum(rows**2 @ both))
        return total

    def within(self, k: int) -> float:
        """Sum over prompts of the unbiased variance estimates of max@k; needs ``2k <= n``."""
        weights = of_maximum(self.n, k)
        if self._matrix is not None:
            squares = float(weights @ self._matrix @ weights)
        else:
            squares = float(sum(np.sum((rows @ weights) ** 2) for rows in self._rows))
        return settled(squares, self.of_maxima(k, 0), self.n)


def settled(squares: float, products: float, n: int) -> float:
    """A variance as a difference of two sums over ranks, 0 where it is below their rounding."""
    found = squares - products
    return found if abs(found) > 16 * n * EPS * (abs(squares) + abs(products)) else 0.0


@lru_cache(maxsize=256)
def square_by_successes(objective: Objective, n: int) -> Float:
    r"""Unbiased estimate of J^2 from c = 0..n successes, (n+1,), read-only; needs ``2k <= n``.

    J^2 is a polynomial of degree 2k in the chance of success: the mean of ``H(i) H(s - i)`` over the halves
    of 2k rollouts with s successes, H the objective's value on i successes of k; and s has the
    hypergeometric distribution of 2k rollouts drawn from the n. Cost O(n k^2).
    """
    k = objective.size
    value = np.concatenate([[0.0], np.cumsum(objective.vector()[::-1])])
    halves = drawn_below(2 * k + 1, k)  # successes of one half, given those of both
    of_halves = np.array(
        [
            sum(halves[s, i] * value[i] * value[s - i] for i in range(max(0, s - k), min(s, k) + 1))
            for s in range(2 * k + 1)
        ]
    )
    found: Float = np.asarray(drawn_below(n + 1, 2 * k) @ of_halves, dtype=np.float64)
    found.setflags(write=False)
    return found
