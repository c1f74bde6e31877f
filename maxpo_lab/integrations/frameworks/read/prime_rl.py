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
    loss="importance:over=token-mean",
    loss_says="importance sampling with masked ratios, mean over the tokens of a batch",
    identity="example_id of the dataset's row",
    lasting=True,
    metric_at_k="pass@k of evaluations, unbiased, for binary rewards",
)
