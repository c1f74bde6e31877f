"""What a group says about the policy that it came from: estimates of J_K, and the rules that make them."""

from .base import ValueClaims, ValueRule
from .registry import get_value_rule, list_value_rules
from .unbiased import value_estimate

__all__ = ["ValueClaims", "ValueRule", "get_value_rule", "list_value_rules", "value_estimate"]
