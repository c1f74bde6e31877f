"""``UpdateMoments``: what is said of the update that a loop makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...core.arrays import Float
from ...objectives import Objective
from ..against_gradient import straight


@dataclass(frozen=True, kw_only=True, eq=False)
class UpdateMoments:
    r"""Moments of an update ``u = (1/N) sum_it w_it s_it`` next to the gradient at the current policy.

    Attributes
    ----------
    method
        ``"exact"``: ``monte_carlo_updates`` samples them.
    n, k, prompts
        Group size, K, and groups in a batch.
    rule, loss
        Names of what was measured.
    objective
        The objective whose gradient the mean is compared with.
    mean
        E[u], (d,).
    gradient
        The exact gradient of the objective at the current policy, averaged over the prompts, (d,).
    bias, relative_bias
        ``|E u - grad J|``, and the same over ``|grad J|`` (NaN where that is 0).
    bias_resolution
        The least relative bias that rounding lets one tell from 0.
    scale
        ``c = <E u, grad J> / |grad J|^2``.
    direction_error
        Angle between E u and grad J in radians; NaN where either is 0 to rounding.
    trace_covariance
        Trace of Cov(u).
    along_gradient_variance
        Variance of u along grad J; NaN where that is 0.
    alive
        Chance that a group's rewards are not all alike, averaged over the prompts.
    """

    method: ClassVar[str] = "exact"

    n: int
    k: int
    prompts: int
    rule: str
    loss: str
    objective: Objective
    mean: Float
    gradient: Float
    bias: float
    relative_bias: float
    bias_resolution: float
    scale: float
    direction_error: float
    trace_covariance: float
    along_gradient_variance: float
    alive: float

    @property
    def snr(self) -> float:
        """``|E u|^2 / tr Cov(u)``; NaN where neither is more than 0."""
        signal = float(self.mean @ self.mean)
        if self.trace_covariance > 0:
            return signal / self.trace_covariance
        return float("inf") if signal else float("nan")

    @property
    def straight(self) -> bool:
        """Whether the mean has the gradient's direction, to rounding."""
        return straight(self.direction_error, self.bias_resolution)
