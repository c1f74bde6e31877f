"""EasyR1, a fork of verl, from its source."""

from __future__ import annotations

from ..framework import Framework, ShippedRule

FRAMEWORK = Framework(
    name="EasyR1",
    package=None,
    version="main of 2026",
    environment=None,
    reached="read",
    rules=(ShippedRule(name="grpo_passk", equals="verl-grpo-passk", target="max@n"),),
    hook="none: core_algos is edited",
    loss="dual-clip:low=0.2,high=0.3,over=token-mean",
    loss_says="PPO's clip at 0.2 and 0.3, dual clip at 3, mean over the tokens of a batch",
    identity="uid, a fresh uuid4 each step",
    lasting=False,
    metric_at_k="none",
)
