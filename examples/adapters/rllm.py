"""MaxPO in rLLM: a function in its registry of advantage estimators.

Import this module where the trainer is built, and name the estimator for each role of your workflow, with
``rllm.algorithm.use_rllm=true``::

    import examples.adapters.rllm
    AgentTrainer(..., traj_group_adv_estimator_map={"solver": "maxpo"})

The map keeps the name as it is; ``rllm.algorithm.adv_estimator`` passes through an enumeration, which turns
every name that it does not know into ``"other"``. rLLM calls an estimator with keywords: ``rewards``, one
array (n,) per group, ``algorithm_config`` and ``traj_groups``, which a rule on rewards has no use for.

A rollout whose reward is None or NaN is left out of its group and gets 0; so does every rollout of a group
with too few scored ones for the rule. An estimator cannot add to rLLM's metrics: such rollouts are part of
``advantage/<role>/fraction_zero``, which rLLM logs, and ``COUNTS`` and a warning of this module's logger say
how many there are. (rLLM itself may refuse a reward of None before it calls an estimator.)

Hook: rllm-org/rllm, rllm/trainer/algorithms/advantage.py, ``register_rllm_adv_estimator`` and
``collect_reward_and_advantage_from_trajectory_groups``; rllm/trainer/algorithms/config.py,
``rLLMAdvantageEstimator`` (earlier versions have both in rllm/experimental/common).
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import numpy as np
from rllm.trainer.algorithms.advantage import register_rllm_adv_estimator

import maxpo_lab as ml

K = 4
RULE = ml.get_estimator("maxpo")
#: Rollouts and groups of all batches so far, and those of them that got 0 for want of rewards.
COUNTS: Counter[str] = Counter()


@register_rllm_adv_estimator("maxpo")
def maxpo(rewards: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
    """Advantages and returns: an array (n,) for each group's rewards (n,)."""
    groups = [np.asarray(group, dtype=np.float64) for group in rewards]  # None becomes NaN
    scored = [int(np.count_nonzero(~np.isnan(group))) for group in groups]
    defined = [size > 0 and not RULE.why_not(size, K) for size in scored]
    counts = {
        "rollouts": sum(map(len, groups)),
        "unscored_rollouts": sum(map(len, groups)) - sum(scored),
        "groups": len(groups),
        "small_groups": defined.count(False),
    }
    COUNTS.update(counts)
    if counts["unscored_rollouts"] or counts["small_groups"]:
        logging.getLogger(__name__).warning("advantage 0 for want of rewards: %s", counts)
    advantages = [
        ml.advantages(group, K, estimator=RULE, nan_policy="omit") if trains else np.zeros(len(group))
        for group, trains in zip(groups, defined, strict=True)
    ]
    return advantages, advantages
