"""What groups say about the policy that they come from: estimates of J_K, with their errors."""

from .reporting import pass_at_k
from .per_prompt.measures import list_measures
from .result import Comparison, PassAtK
from .unbiased import value_estimate

__all__ = ["Comparison", "PassAtK", "list_measures", "pass_at_k", "value_estimate"]
