r"""MaxPO in SkyRL: a function in its registry of advantage estimators.

Run SkyRL's entry point with the registration before it; ``initialize_ray`` brings what is registered to the
actors::

    python -m examples.adapters.skyrl trainer.algorithm.advantage_estimator=maxpo \
        generator.n_samples_per_prompt=16 ...

SkyRL calls an estimator with keywords: ``token_level_rewards`` and ``response_mask`` (bs, T), ``index``, one
uid per row, and others (``values``, ``config``, ``gamma``, ``lambd``, ``grpo_norm_by_std``) that a rule on
rewards has no use for. Leave ``trainer.algorithm.advantage_batch_normalize`` False: it would normalise once
more.

A rollout whose reward is NaN is left out of its group and gets 0; so does every rollout of a group with too
few scored ones for the rule. An estimator cannot add to SkyRL's metrics: ``COUNTS`` and a warning of this
module's logger say how many there are.

Hook: NovaSky-AI/SkyRL, skyrl/backends/skyrl_train/utils/ppo_utils.py,
``AdvantageEstimatorRegistry.register`` and ``compute_advantages_and_returns`` (as in skyrl 0.3.0 on PyPI).
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from skyrl.backends.skyrl_train.utils.ppo_utils import AdvantageEstimatorRegistry

import maxpo_lab as ml

K = 4
RULE = ml.get_estimator("maxpo")
#: Rollouts and groups of all batches so far, and those of them that got 0 for want of rewards.
COUNTS: Counter[str] = Counter()


def maxpo(token_level_rewards: Any, response_mask: Any, index: Any, **_: Any) -> tuple[Any, Any]:
    """Advantages and returns (bs, T): the advantage of a row on each of its tokens."""
    rewards = token_level_rewards.sum(dim=-1)
    _count(rewards.isnan().tolist(), response_mask.bool().any(dim=-1).tolist(), list(index))
    # SkyRL fills up a batch with rows of uids of their own and an empty loss mask: groups of one.
    each = ml.advantages(rewards, K, estimator=RULE, group_ids=index, nan_policy="omit", small_groups="zero")
    advantages = each[:, None] * response_mask
    return advantages, advantages


def _count(missing: list[bool], written: list[bool], ids: list[Any]) -> None:
    """Count rows and groups; a group of one row is SkyRL's padding where it wrote nothing."""
    sizes = Counter(ids)
    rows = [i for i, uid in enumerate(ids) if sizes[uid] > 1 or written[i]]
    scored = Counter({ids[i]: 0 for i in rows})
    scored.update(ids[i] for i in rows if not missing[i])
    counts = {
        "rollouts": len(rows),
        "unscored_rollouts": len(rows) - scored.total(),
        "groups": len(scored),
        "small_groups": sum(size == 0 or bool(RULE.why_not(size, K)) for size in scored.values()),
    }
    COUNTS.update(counts)
    if counts["unscored_rollouts"] or counts["small_groups"]:
        logging.getLogger(__name__).warning("advantage 0 for want of rewards: %s", counts)


AdvantageEstimatorRegistry.register("maxpo", maxpo)

if __name__ == "__main__":
    from skyrl.train.entrypoints.main_base import main

    main()
