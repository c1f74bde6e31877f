r"""MaxPO in slime: the function that turns a batch's rewards into what is trained on.

::

    python train.py --custom-reward-post-process-path examples.adapters.slime.post_process_rewards \
        --custom-rollout-log-function-path examples.adapters.slime.log_rollouts \
        --custom-config-path maxpo.yaml --advantage-estimator grpo --n-samples-per-prompt 16 ...

where ``maxpo.yaml`` says ``maxpo_k: 4``; slime sets what it says on its arguments. The function stands in
for slime's normalisation by group, so ``--disable-rewards-normalization`` and
``--disable-grpo-std-normalization`` change nothing. ``--advantage-estimator grpo`` spreads each number over
its response as it is; leave ``--normalize-advantages`` out, which would whiten them over the batch.

A rollout whose reward is None or NaN is left out of its group and gets 0; so does every rollout of a group
with too few scored ones for the rule. ``log_rollouts`` adds how many there are to slime's metrics.

Hooks: THUDM/slime, slime/ray/rollout.py, ``RolloutManager._post_process_rewards`` and
``_log_rollout_data``; the same flags in slime/utils/arguments.py, what follows in
slime/backends/megatron_utils/loss.py, ``compute_advantages_and_returns``.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from typing import Any

import numpy as np

import maxpo_lab as ml

RULE = ml.get_estimator("maxpo")


def post_process_rewards(args: Any, samples: list[Any]) -> tuple[list[float], list[float]]:
    """The rewards for the log, 0 for a missing one, and the advantages to train on, in the samples' order."""
    rewards = np.array([_reward(args, sample) for sample in samples])
    advantages = ml.advantages(
        rewards,
        args.maxpo_k,
        estimator=RULE,
        group_ids=[sample.group_index for sample in samples],
        nan_policy="omit",
        small_groups="zero",
    )
    # slime averages these into its metrics: one NaN would take the whole batch's mean with it.
    return np.nan_to_num(rewards, nan=0.0, posinf=np.inf, neginf=-np.inf).tolist(), advantages.tolist()


def log_rollouts(
    rollout_id: int, args: Any, samples: list[Any], extra_metrics: dict[str, Any] | None, _: float
) -> bool:
    """Add to the metrics of a batch how many rollouts and groups get advantage 0; slime logs as ever."""
    scored = Counter({sample.group_index: 0 for sample in samples})
    scored.update(s.group_index for s in samples if not math.isnan(_reward(args, s)))
    counts = {
        "rollout/maxpo_unscored_rollouts": len(samples) - scored.total(),
        "rollout/maxpo_small_groups": sum(
            size == 0 or bool(RULE.why_not(size, args.maxpo_k)) for size in scored.values()
        ),
    }
    if extra_metrics is None:  # of a rollout function of one's own, which returned no metrics
        logging.getLogger(__name__).warning("rollout %d: %s", rollout_id, counts)
    else:
        extra_metrics.update(counts)
    return False


def _reward(args: Any, sample: Any) -> float:
    """A sample's reward, NaN where it was not scored (``get_reward_value`` would look into None)."""
    reward = None if sample.reward is None else sample.get_reward_value(args)
    return math.nan if reward is None else float(reward)
