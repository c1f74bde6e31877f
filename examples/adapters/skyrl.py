r"""MaxPO in SkyRL: a function in its registry of advantage estimators.

Run SkyRL's entry point with the registration before it; ``initialize_ray`` brings what is registered to the
actors::

    python -m examples.adapters.skyrl trainer.algorithm.advantage_estimator=maxpo \
        generator.n_samples_per_prompt=16 ...

SkyRL calls an estimator with keywords: ``token_level_rewards`` and ``response_mask`` (bs, T), ``index``, a
uid a row, and others (``values``, ``config``, ``gamma``, ``lambd``, ``grpo_norm_by_std``) that a rule on
rewards has no use for. Leave ``trainer.algorithm.advantage_batch_normalize`` False: it would normalise once
more.

Hook: NovaSky-AI/SkyRL, skyrl/backends/skyrl_train/utils/ppo_utils.py,
``AdvantageEstimatorRegistry.register`` and ``compute_advantages_and_returns`` (as in skyrl 0.3.0 on PyPI).
"""

from __future__ import annotations

from typing import Any

from skyrl.backends.skyrl_train.utils.ppo_utils import AdvantageEstimatorRegistry

import maxpo_lab as ml

K = 4


def maxpo(token_level_rewards: Any, response_mask: Any, index: Any, **_: Any) -> tuple[Any, Any]:
    """Advantages and returns (bs, T): the advantage of a row on each of its tokens."""
    rewards = token_level_rewards.sum(dim=-1)
    # SkyRL fills up a batch with rows of uids of their own and an empty loss mask: groups of one.
    each = ml.advantages(rewards, K, estimator="maxpo", group_ids=index, small_groups="zero")
    advantages = each[:, None] * response_mask
    return advantages, advantages


AdvantageEstimatorRegistry.register("maxpo", maxpo)

if __name__ == "__main__":
    from skyrl.train.entrypoints.main_base import main

    main()
