"""The numbers of evaluation tools by name."""

from __future__ import annotations

from ...core.registry import Registry
from .base import Report
from .tools import REPORTS

_REPORTS: Registry[Report] = Registry(
    "report", ((report.name, report) for report in REPORTS), absent="is not registered"
)


def list_reports() -> tuple[str, ...]:
    """Names of the numbers that evaluation tools print, ``"tool:name"``."""
    return tuple(_REPORTS)


def get_report(name: str) -> Report:
    """What a tool prints, by its name: ``"verl:best@N"``.

    Raises
    ------
    TypeError
        ``name`` is not a string.
    ValueError
        No report has this name; the message gives the nearest ones.
    """
    return _REPORTS[name]
