"""AgileRL, from its package."""

from __future__ import annotations

from ..framework import Framework, ShippedRule

FRAMEWORK = Framework(
    name="AgileRL",
    package=None,
    version="2.58.0",
    environment=None,
    reached="read",
    rules=(ShippedRule(name="GRPO", equals="grpo:eps=1e-8"),),
    hook="none: a subclass with _calculate_advantage(rewards, eps)",
    loss_says="PPO's clip of tokens, turns or trajectories",
    identity="position",
    lasting=False,
    metric_at_k="not looked at",
)
