"""StateSet Agents: ``objectives.compute_advantages`` by the kinds of its presets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ..calls import Matrix, by_position
from ..framework import Framework, ShippedRule
from ..loading import load


def _by_id(kind: str) -> Callable[[Matrix, Matrix], Matrix]:
    module = load(
        "stateset-agents",
        "stateset_agents.training.objectives",
        bare=("stateset_agents", "stateset_agents.training"),
    )
    objective = module.PolicyObjective(name=kind, advantage=kind)

    def advantages(rewards: Matrix, ids: Matrix) -> Matrix:
        numbers = np.unique(ids, return_inverse=True)[1]
        return np.asarray(module.compute_advantages(rewards, numbers, objective).numpy())

    return advantages


def _rule(kind: str, equals: str, formula: str = "") -> ShippedRule:
    return ShippedRule(
        name=kind,
        equals=equals,
        formula=formula,
        call=partial(by_position, partial(_by_id, kind)),
        by_id=partial(_by_id, kind),
        afterwards="as they are",
    )


FRAMEWORK = Framework(
    name="stateset-agents",
    package="stateset-agents",
    version="0.69.0",
    environment="frameworks",
    reached="its own module, with the package's __init__ skipped",
    rules=(
        _rule("group_norm", "grpo:eps=1e-8,ddof=0"),
        _rule("group_mean", "batch-mean"),
        _rule("leave_one_out", "rloo"),
        _rule("batch_norm", "trl-batch:eps=1e-8,ddof=0"),
    ),
    hook="none: a PolicyObjective with advantage='external' takes advantages that are handed to policy_loss",
    loss="ppo:over=sequence-mean",
    loss_says="PPO's clip at 0.2, seq_mean",
    identity="group_ids, the number of the group in the batch",
    lasting=False,
    metric_at_k="pass_at_1: the mean score",
)
