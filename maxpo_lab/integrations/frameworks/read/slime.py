"""slime, from its source: the package of this name on PyPI is another project."""

from __future__ import annotations

from ..framework import Framework, ShippedRule

FRAMEWORK = Framework(
    name="slime",
    package=None,
    version="main of 2026",
    environment=None,
    reached="read",
    rules=(ShippedRule(name="grpo", equals="grpo"),),
    hook="--custom-reward-post-process-path package.function",
    adapter="maxpo_lab/integrations/adapters/slime.py",
    loss_says="PPO's clip by its arguments",
    identity="Sample.group_index, counted on from batch to batch; Sample.prompt is the text",
    lasting=False,
    metric_at_k="pass@k of rollouts for k = 1, 2, 4, ...: 1 - C(n-c, k)/C(n, k), over groups of at least k",
)
