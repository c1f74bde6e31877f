"""RLinf: the functions of its ``ADV_REGISTRY``, through their public entry."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..calls import Matrix, of_flat
from ..framework import Framework, ShippedRule
from ..loading import load


def _call(name: str) -> Callable[[Matrix], Matrix]:
    """``calculate_adv_and_returns`` of a reasoning task, one token a response."""
    import torch  # noqa: PLC0415

    load(
        "rlinf",
        "rlinf.algorithms.advantages",
        bare=("rlinf", "rlinf.algorithms", "rlinf.utils"),
        absent=("ray", "rlinf.scheduler"),
    )
    registry = load("rlinf", "rlinf.algorithms.registry")

    def advantages(rewards: Any, n: int) -> Any:
        found, _ = registry.calculate_adv_and_returns(
            task_type="reasoning",
            adv_type=name,
            rewards=rewards,
            loss_mask=torch.ones(len(rewards), 1).bool(),
            group_size=n,
        )
        return found[:, 0]

    return of_flat(advantages)


def _rule(name: str, equals: str) -> ShippedRule:
    return ShippedRule(name=name, equals=equals, call=partial(_call, name), afterwards="as they are")


FRAMEWORK = Framework(
    name="RLinf",
    package="rlinf",
    version="0.3.0",
    environment="frameworks",
    others="use_reinpp_baseline=True raises IndexError through the entry of reasoning tasks",
    reached="its own modules, with Ray and the scheduler stood in for",
    rules=(
        _rule("grpo", "grpo"),
        _rule("reinpp", "whitened:scale=std0,mean=1,floor=1e-8:reinforce"),
        _rule("raw", "reinforce"),
    ),
    hook="rlinf.algorithms.registry.register_advantage(name), for embodied tasks alone: reasoning asserts "
    "adv_type in five names (read)",
    loss="ppo:over=token-mean",
    loss_says="PPO's clip, decoupled from the behaviour policy, mean over the tokens of a batch",
    identity="position",
    lasting=False,
    metric_at_k="pass@k of its search agent: any of the k answers of a question right",
)
