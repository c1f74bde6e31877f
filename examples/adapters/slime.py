r"""MaxPO in slime: the function that turns a batch's rewards into what is trained on.

::

    python train.py --custom-reward-post-process-path examples.adapters.slime.post_process_rewards \
        --custom-config-path maxpo.yaml --advantage-estimator grpo --n-samples-per-prompt 16 ...

where ``maxpo.yaml`` says ``maxpo_k: 4``; slime sets what it says on its arguments. The function stands in
for slime's normalisation by group, so ``--disable-rewards-normalization`` and
``--disable-grpo-std-normalization`` change nothing. ``--advantage-estimator grpo`` spreads each number over
its response as it is; leave ``--normalize-advantages`` out, which would whiten them over the batch.

Hook: THUDM/slime, slime/ray/rollout.py, ``RolloutManager._post_process_rewards``; the same flags in
slime/utils/arguments.py, what follows in slime/backends/megatron_utils/loss.py,
``compute_advantages_and_returns``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import maxpo_lab as ml


def post_process_rewards(args: Any, samples: list[Any]) -> tuple[list[float], list[float]]:
    """The rewards as they are, for the log, and the advantages to train on; both in the samples' order."""
    raw = [float(sample.get_reward_value(args)) for sample in samples]
    groups = [sample.group_index for sample in samples]
    advantages = ml.advantages(np.array(raw), args.maxpo_k, estimator="maxpo", group_ids=groups)
    return raw, advantages.tolist()
