"""The audit of any advantage rule: its objective, its behaviour, its variance, and what it is nearest to.

``audit_value`` is that of a value rule, an estimate of J_K.
"""

from ..integrations.conventions import adapt
from .audit_rule import audit
from .audit_value_rule import audit_value
from .report.audit_report import AuditReport
from .values.report import ValueAuditReport

__all__ = ["AuditReport", "ValueAuditReport", "adapt", "audit", "audit_value"]
