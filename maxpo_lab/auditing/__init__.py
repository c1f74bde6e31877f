"""The audit of any advantage rule: its objective, its behaviour, its variance, and what it is nearest to."""

from ..integrations.conventions import adapt
from .audit_rule import audit
from .report.audit_report import AuditReport

__all__ = ["AuditReport", "adapt", "audit"]
