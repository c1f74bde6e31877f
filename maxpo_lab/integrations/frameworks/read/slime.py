"""slime, from its source: the package of this name on PyPI is another project."""

from __future__ import annotations

from ..framework import Framework, ShippedRule

FRAMEWORK = Framework(
    name="slime",
    package=None,
    version="main of 2026",
    environment=None,
    reached="read",
    rules=(
        ShippedRule(
            name="grpo", equals="grpo", formula="std in float32, less the mean in the reward's post-process"
        ),
    ),
    hook="--custom-reward-post-process-path package.function",
    adapter="examples/adapters/slime.py",
    loss="ppo:high=0.28,over=sequence-mean",
    loss_says="PPO's clip, mean of the means of rollouts",
    identity="Sample.group_index of a step; metadata of the dataset",
    lasting=False,
    metric_at_k="pass@k of the n rollouts: 1 - C(n-c, k)/C(n, k) for k in powers of 2",
)
