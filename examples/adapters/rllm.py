"""MaxPO in rLLM: a function in its registry of advantage estimators.

Import this module where the trainer is built, and name the estimator for each role of your workflow, with
``rllm.algorithm.use_rllm=true``::

    import examples.adapters.rllm
    AgentTrainer(..., traj_group_adv_estimator_map={"solver": "maxpo"})

The map keeps the name as it is; ``rllm.algorithm.adv_estimator`` passes through an enumeration, which turns
every name that it does not know into ``"other"``. rLLM calls an estimator with keywords: ``rewards``, one
array (n,) a group, ``algorithm_config`` and ``traj_groups``, which a rule on rewards has no use for.

Hook: rllm-org/rllm, rllm/trainer/algorithms/advantage.py, ``register_rllm_adv_estimator`` and
``collect_reward_and_advantage_from_trajectory_groups``; rllm/trainer/algorithms/config.py,
``rLLMAdvantageEstimator`` (earlier versions have both in rllm/experimental/common).
"""

from __future__ import annotations

from typing import Any

from rllm.trainer.algorithms.advantage import register_rllm_adv_estimator

import maxpo_lab as ml

K = 4


@register_rllm_adv_estimator("maxpo")
def maxpo(rewards: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
    """Advantages and returns: an array (n,) for each group's rewards (n,)."""
    advantages = [ml.advantages(group, K, estimator="maxpo") for group in rewards]
    return advantages, advantages
