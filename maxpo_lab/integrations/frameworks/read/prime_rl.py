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
    adapter="maxpo_lab/integrations/adapters/prime_rl.py",
    loss_says="importance sampling with bounds",
    identity="task.data.idx of a trace, the index of the task in its environment",
    lasting=True,
    metric_at_k="not looked at",
)
