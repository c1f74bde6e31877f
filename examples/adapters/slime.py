r"""MaxPO in slime: the function that turns a batch's rewards into what is trained on.

::

    python train.py --custom-reward-post-process-path examples.adapters.slime.post_process_rewards \
        --custom-rollout-log-function-path examples.adapters.slime.log_left_out \
        --custom-config-path maxpo.yaml --advantage-estimator grpo --n-samples-per-prompt 16 ...

where ``maxpo.yaml`` says ``maxpo_k: 4``; slime sets what it says on its arguments. The function stands in
for slime's normalisation by group, so ``--disable-rewards-normalization`` and
``--disable-grpo-std-normalization`` change nothing. ``--advantage-estimator grpo`` spreads each number over
its response as it is; leave ``--normalize-advantages`` out, which would whiten them over the batch.

A rollout without a reward (None or NaN) and a group with fewer scored rollouts than the rule needs (slime
cuts a batch to its global size, through a group where it comes so) get advantage 0 and do not stop the run.
The log function adds how many to slime's metrics: ``rollout/maxpo_unscored`` and
``rollout/maxpo_in_small_groups``.

Hook: THUDM/slime, slime/ray/rollout.py, ``RolloutManager._post_process_rewards`` and ``_log_rollout_data``,
which goes on to log where the function returns False; the same flags in
slime/utils/arguments.py, what follows in slime/backends/megatron_utils/loss.py,
``compute_advantages_and_returns``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import maxpo_lab as ml

RULE = ml.get_estimator("maxpo")


def post_process_rewards(args: Any, samples: list[Any]) -> tuple[list[float], list[float]]:
    """Rewards, for the log (0 where there is none), and advantages to train on, in the samples' order."""
    rewards, groups = _rewards(args, samples)
    advantages = ml.advantages(
        rewards, args.maxpo_k, estimator=RULE, group_ids=groups, nan_policy="omit", small_groups="zero"
    )
    return np.nan_to_num(rewards).tolist(), advantages.tolist()


def log_left_out(
    _rollout_id: int, args: Any, samples: list[Any], metrics: dict[str, Any], _rollout_time: float
) -> bool:
    """Count the rollouts that get advantage 0 for want of a reward, or of others; False: slime logs on."""
    rewards, groups = _rewards(args, samples)
    scored = ~np.isnan(rewards)
    _, place, sizes = np.unique(groups[scored], return_inverse=True, return_counts=True)
    small = np.array([RULE.why_not(int(size), args.maxpo_k) is not None for size in sizes], dtype=bool)
    metrics["rollout/maxpo_unscored"] = int((~scored).sum())
    metrics["rollout/maxpo_in_small_groups"] = int(small[place].sum())
    return False


def _rewards(args: Any, samples: list[Any]) -> tuple[Any, Any]:
    """Rewards (B,), NaN where there is none, and the group of each."""
    found = [sample.get_reward_value(args) for sample in samples]
    rewards = np.array([np.nan if reward is None else float(reward) for reward in found])
    return rewards, np.array([sample.group_index for sample in samples])
