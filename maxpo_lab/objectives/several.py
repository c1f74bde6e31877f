"""Objectives of several rewards: of their weighted sum, or of each, and then summed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..core.arrays import Float
from .objective import Objective
from .presets import as_objective

#: ``per-reward:max@k``: the weighted sum over rewards of max@k of each.
PER_REWARD = "per-reward:"


@dataclass(frozen=True, eq=False)
class VectorObjective:
    r"""``J = sum_t weight_t J_t(<direction_t, R>)`` of rewards R in R^d, each J_t an L-statistic.

    Attributes
    ----------
    name
        ``"max@k"`` and so on, of the weighted sum; with ``per-reward:`` before it, of each reward.
    objective
        The L-statistic.
    directions
        What it is of, (T, d), and in ``weights`` (T,) how much of each.
    table
        The rewards (L, d) of the levels that it is measured on, by number: all that a gradient needs.
    """

    name: str
    objective: Objective
    directions: Float
    weights: Float
    table: Float = field(repr=False)

    @property
    def size(self) -> int:
        """K, the rollouts that it looks at."""
        return self.objective.size

    @property
    def maximum_of(self) -> None:
        """It is no max@K of one reward."""
        return

    def terms(self) -> list[tuple[float, Float]]:
        """The weight of each term, and its reward (L,) at each level."""
        return [
            (float(weight), self.table @ direction)
            for weight, direction in zip(self.weights, self.directions, strict=True)
        ]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, VectorObjective):
            return NotImplemented
        arrays = ("directions", "weights", "table")
        return self.objective == other.objective and all(
            np.array_equal(getattr(self, each), getattr(other, each)) for each in arrays
        )

    def __hash__(self) -> int:
        return hash((self.objective, self.directions.tobytes(), self.weights.tobytes()))


def as_vector_objective(
    spec: str | Objective | VectorObjective, n: int, k: int, *, weights: tuple[float, ...], table: Float
) -> VectorObjective:
    """An objective of rewards (L, d) by name: ``max@k`` of their weighted sum, or ``per-reward:max@k``.

    Any name of ``as_objective`` may stand for ``max@k``. Raises TypeError or ValueError as that, and
    TypeError for an ``Objective``, which is of one reward.
    """
    if isinstance(spec, VectorObjective):
        return spec
    if isinstance(spec, Objective):
        raise TypeError(
            f"target={spec.name!r} is an Objective of one reward: pass its name, or per-reward:NAME"
        )
    each = str(spec).startswith(PER_REWARD)
    of_one = as_objective(spec.removeprefix(PER_REWARD) if each else spec, n, k, argument="target")
    directions = np.eye(len(weights)) if each else np.array([weights])
    amounts = np.array(weights) if each else np.ones(1)
    return VectorObjective(spec, of_one, directions, amounts, table)
