"""The audit of any advantage rule: its objective, its behaviour, its variance, and what it is nearest to."""

from .examination import audit
from .report import AuditReport
from .signatures import adapt

__all__ = ["AuditReport", "adapt", "audit"]
