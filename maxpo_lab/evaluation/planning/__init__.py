"""How many prompts and rollouts tell two models apart, from the variances in the rewards at hand."""

from .designs import Design, Plan, plan

__all__ = ["Design", "Plan", "plan"]
