"""NeMo-RL, from its source."""

from __future__ import annotations

from ..framework import Framework, ShippedRule

FRAMEWORK = Framework(
    name="NeMo-RL",
    package=None,
    version="main of 2026",
    environment=None,
    reached="read",
    rules=(ShippedRule(name="grpo", equals="nemo-grpo"),),
    hook="none: the advantage estimator is a class in its algorithms",
    loss="ppo:over=token-mean",
    loss_says="PPO's clip at 0.2, mean over the tokens of a batch",
    identity="the prompt's own tokens: groups are found by equal prompts",
    lasting=True,
    metric_at_k="pass@k of evaluations: 1 - C(n-c, k)/C(n, k)",
)
