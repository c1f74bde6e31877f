"""The report of a value rule's audit: as data, and how people read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from rich.panel import Panel

from ..guard import Misbehaviour
from ..report.findings import Decision
from ..report.markdown import document, table
from ..report.terminal import framed
from .edges import ValueCase
from .nearest import NearestValueRule
from .policies import ValueUnderPolicy
from .random_state import RandomState
from .wording import EDGE_COLUMNS, POLICY_COLUMNS, edge_rows, facts, policy_rows


@dataclass(frozen=True, kw_only=True)
class ValueAuditReport(Decision):
    """What ``audit_value`` found.

    Attributes
    ----------
    signature
        The calling convention.
    rewards, levels
        The kind of rewards on which the claims were decided, and these.
    precision
        The type that the rule computes in.
    permuted
        A group and a permutation of it with other values; None where the order changes nothing.
    random_state
        What calls do to NumPy's global random state: ``"untouched"``, ``"consumed"``, or ``"reset"`` to the
        same state each time; None where that could not be told.
    policies, edges, nearest
        See the classes of these names; None where a misbehaviour ended the audit.
    """

    signature: str
    rewards: str
    levels: tuple[float, ...]
    precision: str | None
    permuted: tuple[list[float], list[float]] | None
    random_state: RandomState | None
    policies: tuple[ValueUnderPolicy, ...] | None
    edges: tuple[ValueCase, ...] | None
    nearest: NearestValueRule | None

    @classmethod
    def without_moments(cls, *, misbehaviours: Sequence[Misbehaviour], **known: Any) -> Self:
        """The report of a rule that misbehaves so that it has no moments: ``known`` are the fields left."""
        return cls(
            **{"random_state": None, **known},
            levels=(),
            precision=None,
            misbehaviours=tuple(misbehaviours),
            permuted=None,
            policies=None,
            edges=None,
            nearest=None,
        )

    def panel(self) -> Panel:
        """The report as a rich panel."""
        return framed(self, self._where(), facts(self), self._tables())

    __rich__ = panel

    def to_markdown(self) -> str:
        """The report as a Markdown document that stands alone."""
        titles = (
            "## Under reference policies\n\nA rollout gets the highest reward with chance p; sd: the "
            "standard deviation of one group's value, beside that of the unbiased rule.",
            "## Groups at the edges",
        )
        tables = zip(titles, self._tables(), strict=False)
        parts = [part for title, rows in tables for part in (title, table(*rows))]
        return document(self, f"{self._where()}. Moments are exact.", facts(self), parts)

    def _tables(self) -> list[tuple[Sequence[str], Sequence[Sequence[str]]]]:
        if self.edges is None:
            return []
        policies = policy_rows(self.policies or ())
        return [(POLICY_COLUMNS, policies), (EDGE_COLUMNS, edge_rows(self.edges))]

    def _where(self) -> str:
        """Where, on what and how the rule was audited."""
        precision = f", computes in {self.precision}" if self.precision else ""
        levels = f" ({', '.join(f'{level:g}' for level in self.levels)})" if self.levels else ""
        return (
            f"n = {self.n}, K = {self.k}, an estimate of max@{self.k}, {self.rewards} rewards{levels}, "
            f"called as {self.signature}{precision}"
        )
