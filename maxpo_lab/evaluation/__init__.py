"""What groups say about the policy that they come from: estimates of J_K, with their errors."""

from .per_prompt.measures import list_measures
from .planning import Design, Plan, plan
from .reporting import pass_at_k
from .result import Comparison, PassAtK
from .unbiased import value_estimate

__all__ = [
    "Comparison",
    "Design",
    "PassAtK",
    "Plan",
    "list_measures",
    "pass_at_k",
    "plan",
    "value_estimate",
]
