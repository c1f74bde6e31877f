"""MaxPO in prime-rl: an algorithm that scores a group of rollouts.

In the orchestrator's config, for all environments or one of them::

    [orchestrator.algo]
    type = "custom"
    import_path = "examples.adapters.prime_rl.MaxPO"

prime-rl awaits ``score_group`` once a group is complete. A rollout has its ``reward``, and takes the credit
of all its trainable tokens by ``assign_advantages``. A group with several trainable agents is refused, as by
prime-rl's own algorithms for groups.

Hook: PrimeIntellect-ai/prime-rl, src/prime_rl/orchestrator/algo/base.py, ``Algorithm.score_group`` and
``assert_single_trainable_agent``, and algo/__init__.py, ``build_algorithm``. The interface moves: a version
whose config has no ``import_path`` wants the class in ``ALGORITHM_CLASSES`` of that file, and earlier ones
call the method ``assign``.
"""

from __future__ import annotations

from typing import Any

from prime_rl.orchestrator.algo.base import Algorithm, assert_single_trainable_agent

import maxpo_lab as ml

K = 4


class MaxPO(Algorithm):
    """The GRPO pipeline with the advantages of MaxPO."""

    async def score_group(self, group: list[Any]) -> None:
        """Give each rollout of a group its advantage."""
        assert_single_trainable_agent(group)
        advantages = ml.advantages([float(rollout.reward) for rollout in group], K, estimator="maxpo")
        for rollout, advantage in zip(group, advantages.tolist(), strict=True):
            rollout.assign_advantages(advantage)
