"""``SampledUpdates``: what a sample says of the updates that a loop makes, and how it was drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from ...core.arrays import Float
from ...moments.updates.draws import DeadGroupPolicy
from ...objectives import Objective
from ..estimates import Estimate
from ..sampled import SampledMoments


@dataclass(frozen=True, kw_only=True, eq=False)
class UpdateEstimates:
    r"""Moments of an update ``u = (1/N) sum_it w_it s_it`` of one rule, estimated from batches.

    What is measured against the gradient is None where none is known, and NaN where it is 0.

    Attributes
    ----------
    mean, mean_standard_errors
        The mean of u, (d,), and the standard errors of its coordinates, (d,).
    bias_squared
        ``|E u - grad J|^2``, without bias of its own: negative where noise has it so.
    bias, relative_bias
        Its root, 0 where the square is negative, and the same over ``|grad J|``.
    bias_p_value
        Chance of a sample mean at least as far from the gradient if there is no bias.
    bias_resolution
        The least relative bias that this sample tells from 0 (at 5%).
    scale
        ``c = <E u, grad J> / |grad J|^2``.
    direction_error
        Angle between E u and grad J in radians; 0, give or take its standard error, where the part of E u
        across the gradient is not resolved.
    trace_covariance
        Trace of Cov(u), without bias.
    along_gradient_variance
        Variance of u along grad J, without bias.
    snr
        ``|E u|^2 / tr Cov(u)``, its numerator without bias.
    """

    mean: Float
    mean_standard_errors: Float
    bias_squared: Estimate | None
    bias: Estimate | None
    relative_bias: Estimate | None
    bias_p_value: float | None
    bias_resolution: float | None
    scale: Estimate | None
    direction_error: Estimate | None
    trace_covariance: Estimate
    along_gradient_variance: Estimate | None
    snr: Estimate


@dataclass(frozen=True, kw_only=True, eq=False)
class SampledUpdates:
    """Moments of updates of rules that met the same batches; ``result["maxpo"]`` are those of one of them.

    Attributes
    ----------
    method
        ``"monte-carlo"``: what ``UpdateMoments`` have exactly is here with standard errors.
    loss, n, k, prompts, dead_groups, duplicates
        What was measured.
    updates, seed
        The sample.
    objective, gradient
        What bias was measured against, (d,); None where no gradient is known.
    alive
        Chance that a group's rewards are not all alike, averaged over the prompts. The standard error is that
        of two such groups and two others more for each prompt.
    """

    method: ClassVar[str] = "monte-carlo"

    loss: str
    prompts: int
    dead_groups: DeadGroupPolicy
    duplicates: float
    objective: Objective
    alive: Estimate
    sample: SampledMoments = field(repr=False)
    standard_errors: Float = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The rules, in the order they were given in."""
        return self.sample.names

    @property
    def n(self) -> int:
        """Group size."""
        return self.sample.n

    @property
    def k(self) -> int:
        """The K of max@K."""
        return self.sample.k

    @property
    def updates(self) -> int:
        """Updates sampled, each of a batch."""
        return self.sample.groups

    @property
    def seed(self) -> int:
        """Root of the random streams."""
        return self.sample.seed

    @property
    def gradient(self) -> Float | None:
        """What bias was measured against, (d,)."""
        return self.sample.gradient

    def __getitem__(self, name: str) -> UpdateEstimates:
        found = self.sample[name]
        return UpdateEstimates(
            mean=found.mean,
            mean_standard_errors=self.standard_errors[self.names.index(name)],
            bias_squared=found.bias_squared,
            bias=found.bias,
            relative_bias=found.relative_bias,
            bias_p_value=found.bias_p_value,
            bias_resolution=found.bias_resolution,
            scale=found.scale,
            direction_error=found.direction_error,
            trace_covariance=found.trace_covariance,
            along_gradient_variance=found.along_gradient_variance,
            snr=found.snr,
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def difference(self, first: str, second: str, quantity: str = "trace_covariance") -> Estimate:
        """A quantity of the first rule less that of the second, paired; see ``SampledMoments.difference``."""
        return self.sample.difference(first, second, quantity)

    def ratio(self, first: str, second: str, quantity: str = "trace_covariance") -> Estimate:
        """A quantity of the first rule over that of the second, paired; NaN over 0."""
        return self.sample.ratio(first, second, quantity)
