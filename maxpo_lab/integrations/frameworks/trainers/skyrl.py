"""SkyRL: the estimators of its registry."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any
from unittest.mock import patch

from ..calls import Matrix, with_ids
from ..framework import Framework, ShippedRule

_AFTER = "advantage_batch_normalize is off; the loss's reduction is multiplied into the advantages"


def _function(name: str) -> Callable[..., Any]:
    if sys.version_info >= (3, 12):
        module = import_module("skyrl.backends.skyrl_train.utils.ppo_utils")
    else:  # 0.3.0 hands typing.TypedDict to pydantic, which refuses it there
        import typing_extensions  # noqa: PLC0415

        with patch("typing.TypedDict", typing_extensions.TypedDict):
            module = import_module("skyrl.backends.skyrl_train.utils.ppo_utils")
    function: Callable[..., Any] = getattr(module, f"compute_{name}")
    return function


def _by_id(name: str, settings: dict[str, Any]) -> Callable[[Matrix, Matrix], Matrix]:
    return with_ids(_function(name), **settings)


def _rule(name: str, of: str, equals: str, of_tokens: str | None = None, **settings: Any) -> ShippedRule:
    return ShippedRule(
        name=name,
        equals=equals,
        equals_of_tokens=of_tokens,
        call=partial(_function, of),
        signature="skyrl",
        settings=tuple(settings.items()),
        by_id=partial(_by_id, of, settings),
        afterwards=_AFTER,
    )


FRAMEWORK = Framework(
    name="SkyRL",
    package="skyrl",
    version="0.3.0",
    environment="verl",
    others="0.4.0 needs Python 3.12: its grpo, rloo and maxrl read the same; there index is a list",
    reached="plain import; on Python 3.11 with the TypedDict of typing_extensions",
    rules=(
        _rule("grpo", "grpo_outcome_advantage", "grpo", grpo_norm_by_std=True),
        _rule("grpo, no std", "grpo_outcome_advantage", "batch-mean", grpo_norm_by_std=False),
        _rule("rloo", "rloo_outcome_advantage", "rloo"),
        _rule("maxrl", "maxrl_advantage", "maxrl:eps=1e-6"),
        _rule(
            "reinforce++",
            "reinforce_plus_plus_outcome_advantage",
            "verl-reinforce-plus-plus",
            "verl-reinforce-plus-plus:tokens=2",
            gamma=1.0,
        ),
    ),
    hook="AdvantageEstimatorRegistry.register(name, function)",
    adapter="maxpo_lab/integrations/adapters/skyrl.py",
    loss="ppo:over=token-mean",
    loss_says="PPO's clip at 0.2, mean over the tokens of a mini-batch, as a factor of the advantages",
    identity="uids, the index in the dataset as text",
    lasting=True,
    metric_at_k="pass_at_n: any of a prompt's n rewards above 0, of the n rollouts trained on",
)
