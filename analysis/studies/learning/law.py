"""When prompts are first solved by a policy that stays where it is, exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maxpo_lab.core.arrays import Float


@dataclass(frozen=True, eq=False)
class Law:
    r"""Batches until the first prompt, and until every prompt, has had a success.

    A batch has G groups of n, each of a prompt drawn uniformly of X. A group of prompt x has a success with
    chance ``q_x = 1 - (1 - p_x)^n``, so that none of a set S of prompts is solved within b batches with

    .. math:: u_S^{G b}, \qquad u_S = 1 - \frac1X \sum_{x \in S} q_x ,

    and all of them are with ``sum_S (-1)^|S| u_S^(G b)``, over all subsets. Cost: 2^X.
    """

    success: Float
    n: int
    groups: int

    def first(self, batches: int) -> float:
        """The chance that some prompt is solved within so many batches."""
        return float(1 - (1 - self._solved.mean()) ** (self.groups * batches))

    def all(self, batches: int) -> float:
        """The chance that every prompt is."""
        unsolved, sign = self._subsets
        return float(sign @ unsolved ** (self.groups * batches))

    def mean_first(self, most: int) -> float:
        """The mean of the batches until some prompt is solved, or of ``most`` where that is later."""
        return float(sum(1 - self.first(batches) for batches in range(most)))

    def mean_all(self, most: int) -> float:
        """The mean of the batches until every prompt is solved, or of ``most`` where that is later."""
        return float(sum(1 - self.all(batches) for batches in range(most)))

    @property
    def _solved(self) -> Float:
        return np.asarray(1 - (1 - self.success) ** self.n)

    @property
    def _subsets(self) -> tuple[Float, Float]:
        sums, sign = np.zeros(1), np.ones(1)
        for each in self._solved / len(self.success):
            sums, sign = np.concatenate([sums, sums + each]), np.concatenate([sign, -sign])
        return 1 - sums, sign
