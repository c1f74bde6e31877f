"""What groups say about the policy that they come from: estimates of J_K, their rules and their errors."""

from .base import ValueClaims, ValueRule
from .per_prompt.measures import list_measures
from .planning import Design, Plan, plan
from .registry import get_value_rule, list_value_rules
from .reporting import pass_at_k
from .result import Comparison, PassAtK
from .unbiased import value_estimate

__all__ = [
    "Comparison",
    "Design",
    "PassAtK",
    "Plan",
    "ValueClaims",
    "ValueRule",
    "get_value_rule",
    "list_measures",
    "list_value_rules",
    "pass_at_k",
    "plan",
    "value_estimate",
]
