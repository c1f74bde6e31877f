"""forge-rl: one function of group advantages."""

from __future__ import annotations

from collections.abc import Callable

from ..calls import Matrix, of_flat
from ..framework import Framework, ShippedRule
from ..loading import load


def _call() -> Callable[[Matrix], Matrix]:
    module = load("forge-rl", "forge.core.grpo", bare=("forge", "forge.core"))
    return of_flat(module.compute_group_advantages)


FRAMEWORK = Framework(
    name="forge-rl",
    package="forge-rl",
    version="0.1.2",
    environment="frameworks",
    reached="its own module, with the package's __init__ skipped",
    rules=(
        ShippedRule(
            name="compute_group_advantages", equals="grpo:eps=1e-8", call=_call, afterwards="as they are"
        ),
    ),
    hook="none",
    loss="gspo:low=0.2,high=0.2",
    loss_says="PPO's clip at 0.2 of the ratio of mean log-probabilities to the reference policy's",
    identity="position",
    lasting=False,
    metric_at_k="none",
)
