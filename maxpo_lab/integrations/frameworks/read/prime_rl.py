"""prime-rl, from its source: it is not on PyPI."""

from __future__ import annotations

from ..framework import Framework, ShippedRule

FRAMEWORK = Framework(
    name="prime-rl",
    package=None,
    version="main of 2026-08-22",
    environment=None,
    reached="read",
    rules=(
        ShippedRule(name="default", equals="batch-mean"),
        ShippedRule(name="maxrl", equals="maxrl"),
    ),
    hook="a subclass of Algorithm: score_group takes episodes, assign_advantages(trace, a) gives credit",
    loss_says="importance sampling with bounds",
    identity="the episode's example",
    lasting=None,
    metric_at_k="not looked at",
)
