"""rLLM, from its source: it is not on PyPI."""

from __future__ import annotations

from ..framework import Framework, ShippedRule

FRAMEWORK = Framework(
    name="rLLM",
    package=None,
    version="main of 2026",
    environment=None,
    reached="read",
    rules=(
        ShippedRule(name="grpo", equals="grpo:ddof=0"),
        ShippedRule(name="prpo", equals="prpo"),
        ShippedRule(name="reinforce_plus_plus_baseline", equals="rllm-reinforce-plus-plus-baseline"),
        ShippedRule(
            name="pull request 743", equals="pkpo-mean-centered", target="max@k", formula="0 where K = n"
        ),
    ),
    hook="register_rllm_adv_estimator(name) on f(list of arrays, config) -> (list, list)",
    adapter="examples/adapters/rllm.py",
    loss="token-mean",
    loss_says="by its back end, verl or tinker",
    identity="the task's uid of a step",
    lasting=False,
    metric_at_k="pass@1 the mean over rollouts, pass@k whether any of a task's rollouts is right",
)
