"""MaxPO in rLLM: a function in its registry of advantage estimators.

Import this module where the trainer is built, and name the estimator for each role of your workflow, with
``rllm.algorithm.use_rllm=true``::

    import examples.adapters.rllm
    AgentTrainer(..., traj_group_adv_estimator_map={"solver": "maxpo"})

The map keeps the name as it is; ``rllm.algorithm.adv_estimator`` passes through an enumeration, which turns
every name that it does not know into ``"other"``. rLLM calls an estimator with keywords: ``rewards``, one
array (n,) a group, ``algorithm_config`` and ``traj_groups``, which a rule on rewards has no use for.

A rollout whose reward is NaN and a group with fewer scored rollouts than the rule needs get advantage 0 and
do not stop the run. rLLM has no place for an estimator's metrics: ``LEFT_OUT`` counts both since the start,
and a warning says so of each batch; log the counter beside your own metrics. A reward of None never comes
here: rLLM refuses it before.

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
#: Rollouts that got advantage 0 for want of a reward, or of others to be compared with.
LEFT_OUT: Counter[str] = Counter(unscored=0, in_small_groups=0)


@register_rllm_adv_estimator("maxpo")
def maxpo(rewards: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
    """Advantages and returns: an array (n,) for each group's rewards (n,)."""
    found: Counter[str] = Counter()
    advantages = []
    for group in rewards:
        scored = int((~np.isnan(group)).sum())
        found["unscored"] += len(group) - scored
        found["in_small_groups"] += scored if scored and RULE.why_not(scored, K) else 0
        ids = np.zeros(len(group), dtype=int)
        advantages.append(
            ml.advantages(group, K, estimator=RULE, group_ids=ids, nan_policy="omit", small_groups="zero")
        )
    LEFT_OUT.update(found)
    if found.total():
        logging.getLogger(__name__).warning("maxpo: advantage 0 for %s", dict(found))
    return advantages, advantages
