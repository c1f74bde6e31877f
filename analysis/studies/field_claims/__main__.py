"""``python -m analysis.studies.field_claims``: rewrite the README's table from the repository's rows."""

from __future__ import annotations

from ...output import report
from .readme import PAGE, updated

if __name__ == "__main__":
    rows, _ = report.read("field-claims", report.place("paper"))
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")
