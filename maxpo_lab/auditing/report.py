"""The report of an audit: its findings, and how people read them."""

from __future__ import annotations

from rich.panel import Panel

from .findings import Findings
from .render import markdown, panel


class AuditReport(Findings):
    """The findings of ``audit``; rich prints it as a panel."""

    def to_markdown(self) -> str:
        """The report as a Markdown document that stands alone."""
        return markdown(self)

    def __rich__(self) -> Panel:
        """For rich's print."""
        return panel(self)
