"""The report of an audit: its findings, and how people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from ..guard import Misbehaviour
from .findings import Findings
from .markdown import markdown
from .terminal import panel


class AuditReport(Findings):
    """The findings of ``audit``, and how rich prints them."""

    def to_markdown(self) -> str:
        """The report as a Markdown document that stands alone."""
        return markdown(self)

    @classmethod
    def without_moments(cls, *, misbehaviours: Sequence[Misbehaviour], **facts: Any) -> Self:
        """The report of a rule that misbehaves so that it has no moments: ``facts`` are the fields left."""
        return cls(
            **facts,
            levels=(),
            precision=None,
            misbehaviours=tuple(misbehaviours),
            ascent=None,
            symmetries=None,
            lengths=None,
            policies=None,
            edges=None,
            nearest=None,
            coupling=None,
            memory=None,
            vectors=None,
            failing_test=None,
        )

    def panel(self) -> Panel:
        """The report as a panel, without the test that fails."""
        return panel(self)

    def __rich__(self) -> Group:
        """For rich's print: the panel, and below it the test that fails, to be copied."""
        if not self.failing_test:
            return Group(self.panel())
        return Group(self.panel(), Text(f"\n{self.failing_test}", no_wrap=True, overflow="ignore"))
