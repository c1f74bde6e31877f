"""What a group says about the policy that it came from: estimates of J_K."""

from .unbiased import value_estimate

__all__ = ["value_estimate"]
