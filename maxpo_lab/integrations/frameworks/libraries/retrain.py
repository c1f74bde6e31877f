"""retrain: advantage modes of a group, and its normalisation over the batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType

import numpy as np

from ..calls import Matrix, of_lists
from ..framework import Framework, ShippedRule
from ..loading import load


def _module() -> ModuleType:
    return load("retrain", "retrain.advantages")


def _mode(name: str) -> Callable[[Matrix], Matrix]:
    return of_lists(getattr(_module(), f"compute_{name}_advantages"))


def _batch() -> Callable[[Matrix], Matrix]:
    """``reinforce_pp`` and the pass over the batch that follows it, one token a response."""
    module = _module()
    alone = of_lists(module.compute_reinforce_pp_advantages)

    def advantages(rewards: Matrix) -> Matrix:
        centered = alone(rewards)
        found, _ = module.apply_batch_advantage_normalization(
            [[each] for each in centered.reshape(-1).tolist()]
        )
        return np.array(found)[:, 0].reshape(rewards.shape)

    return advantages


FRAMEWORK = Framework(
    name="retrain",
    package="retrain",
    version="0.3.0",
    environment="frameworks",
    others="0.3.2 needs Python 3.12",
    reached="plain import",
    rules=(
        ShippedRule(name="grpo", equals="batch-mean", call=partial(_mode, "grpo"), afterwards="as they are"),
        ShippedRule(
            name="maxrl", equals="maxrl:eps=1e-6", call=partial(_mode, "maxrl"), afterwards="as they are"
        ),
        ShippedRule(
            name="reinforce_pp", equals="retrain-batch", call=_batch, afterwards="normalised over the batch"
        ),
    ),
    hook="register_advantage_mode(name, compute), or a dotted path, on compute(rewards: list) -> list",
    loss="importance:over=token-mean",
    loss_says="importance sampling without a clip by default, mean over tokens",
    identity="position",
    lasting=False,
    metric_at_k="none",
)
