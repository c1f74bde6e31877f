"""``SampledUpdates``: what a sample says of the updates that a loop makes, and how it was drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import ClassVar

from ...core.arrays import Float
from ...moments.updates.draws import DeadGroupPolicy
from ...objectives import Objective
from ..estimates import Estimate, SampledGradient
from ..sampled import SampledMoments


@dataclass(frozen=True, kw_only=True, eq=False)
class UpdateEstimates(SampledGradient):
    r"""Moments of an update ``g = (1/N) sum_it w_it s_it`` of one rule, estimated from batches.

    Attributes
    ----------
    mean_standard_errors
        The standard errors of the mean's coordinates, (d,).
    """

    mean_standard_errors: Float


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
        shared = {each.name: getattr(found, each.name) for each in fields(SampledGradient)}
        return UpdateEstimates(**shared, mean_standard_errors=self.standard_errors[self.names.index(name)])

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
