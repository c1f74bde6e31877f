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
    adapter="maxpo_lab/integrations/adapters/rllm.py",
    loss_says="its back end's: verl, tinker and others",
    identity="task_id of a trajectory group, a fresh uuid4 each step; Trajectory.task is the dataset's row",
    lasting=False,
    metric_at_k="not looked at",
)
