"""``Moments``: what is said of one rule on one policy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.arrays import Float
from ..objectives import Objective, VectorObjective
from .against_gradient import straight
from .floor import VarianceFloor


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    r"""Moments of ``g = (1/n) sum_i A_i s_i`` and how they relate to the exact gradient of the target.

    Attributes
    ----------
    n, k, objective
        What was measured, and the objective whose gradient it is compared with; ``target`` is its name.
    mean
        E[g], shape (d,).
    gradient
        The exact gradient of the target, shape (d,).
    bias, relative_bias
        ``|E g - grad J|``, and the same over ``|grad J|`` (NaN where the gradient is 0).
    bias_resolution
        The least relative bias that rounding lets one tell from 0: ``64 eps K max|R| max_l |G_l| /
        |grad J|``, derived in ``against_gradient``. A relative bias below it is unresolved.
    scale
        ``c = <E g, grad J> / |grad J|^2``.
    direction_error
        Angle between E g and grad J in radians; NaN where either is 0 to rounding.
    trace_covariance
        Trace of Cov(g), ``within_trace + between_trace``.
    covariance
        Cov(g), shape (d, d), where asked for, else None.
    along_gradient_variance
        Variance of g along grad J; None where the levels hold no covariances, NaN where grad J = 0.
    within_trace, between_trace
        The part of the variance from which rollouts came up given the counts of the levels, and the part
        from the counts themselves.
    advantage_sum_rms, advantage_sum_max
        Root mean square and maximum over groups of ``|sum_i A_i|``; both 0 for a centered rule.
    advantage_rms
        Root mean square advantage.
    dead_group_probability
        Chance of a group in which every advantage is 0 (to 1e-9 of ``advantage_rms``). NaN for a rule summed
        in closed form whose equal advantages may cancel, see ``dead_groups``; none of the catalogue is.
    snr
        ``|E g|^2 / tr Cov(g)``: does not reward a rule for shrinking.
    states
        Groups that the rule was evaluated on; 0 where its moments were summed in closed form.
    """

    n: int
    k: int
    objective: Objective | VectorObjective
    mean: Float
    gradient: Float
    bias: float
    relative_bias: float
    bias_resolution: float
    scale: float
    direction_error: float
    trace_covariance: float
    covariance: Float | None
    along_gradient_variance: float | None
    within_trace: float
    between_trace: float
    advantage_sum_rms: float
    advantage_sum_max: float
    advantage_rms: float
    dead_group_probability: float
    snr: float
    states: int

    @property
    def target(self) -> str:
        """Name of the objective."""
        return self.objective.name

    def efficiency(self, floor: VarianceFloor | float) -> float:
        """``floor / (tr Cov / c^2)``: how near the rule comes to the variance floor of its policy.

        ``floor`` may also be any reference trace covariance. Defined for rules of exact direction (any scale
        c); NaN for the others, where the direction is not defined, where there is no variance, and on
        degenerate policies, whose floor is 0. Raises ValueError for a floor of another n or objective
        (max@n is max@k at K = n, the mean reward at K = 1) and for a reference that is negative or not
        finite, TypeError for one that is no number.
        """
        if isinstance(floor, VarianceFloor):
            own = self.objective
            if floor.n != self.n or floor.objective != own:
                here = f"n={self.n}, k={self.k}"
                largest = own.maximum_of or own.size
                raise ValueError(
                    f"floor is of {floor.objective.name} at n={floor.n}, k={floor.k}, these moments are of "
                    f"{self.target} at {here}: "
                    + (
                        f"it looks at {largest} rollouts, and a group of {self.n} has no floor; pass a number"
                        if largest > self.n
                        else f"compute variance_floor(levels, n={self.n}, k={own.maximum_of})"
                        if own.maximum_of
                        else f"compute variance_floor(levels, {here}, target={self.target!r})"
                    )
                )
            floor = float("nan") if floor.degenerate else floor.trace_covariance
        else:
            floor = _reference(floor)
        if not straight(self.direction_error, self.bias_resolution) or not self.trace_covariance:
            return float("nan")
        return floor * self.scale**2 / self.trace_covariance


def _reference(value: float) -> float:
    """A reference trace covariance, checked."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(
            f"floor={value!r} is a {type(value).__name__}: it must be a VarianceFloor, or a trace covariance"
        )
    if not 0 <= value < np.inf:
        raise ValueError(f"floor={value!r}: a reference trace covariance must be finite and at least 0")
    return float(value)
