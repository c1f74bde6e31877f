r"""Replay in SkyRL: MaxPO with each prompt's earlier rewards in its baseline.

Launched as ``skyrl.py`` beside it, with ``trainer.algorithm.advantage_estimator=replay``::

    python -m examples.adapters.skyrl_replay trainer.algorithm.advantage_estimator=replay \
        generator.n_samples_per_prompt=16 ...

SkyRL's uid is the index of the prompt in the dataset, so it is the same in every epoch: nothing has to be
carried. A prompt that is twice in a batch is one group, of twice the size. The memory is of the process that
computes the advantages; SkyRL asks an estimator nothing when it saves, so call ``save`` and ``load`` of
``maxpo_lab.integrations.replay_files`` on ``MEMORY`` beside its checkpoints.

Replay has advantages on groups that fail together. ``zero_variance_filter`` and ``dynamic_sampling`` drop
those, and what is climbed with them: a warning says so.

Hook: as in ``skyrl.py``; the uid is of skyrl/train/dataset/dataset.py, ``PromptDataset.__getitem__``.
"""

from __future__ import annotations

import warnings
from typing import Any

from skyrl.backends.skyrl_train.utils.ppo_utils import AdvantageEstimatorRegistry

import maxpo_lab as ml

MEMORY = ml.Replay(4, keep=64)


def replay(
    token_level_rewards: Any, response_mask: Any, index: Any, config: Any = None, **_: Any
) -> tuple[Any, Any]:
    """Advantages and returns (bs, T): the advantage of a row on each of its tokens."""
    if filters := _filters(config):
        warnings.warn(
            f"trainer.algorithm.{filters} drops groups that replay has advantages on, which biases it; "
            f"switch it off, or use maxpo, which is 0 there",
            stacklevel=2,
        )
    rewards = token_level_rewards.sum(dim=-1)
    written = response_mask.bool().any(dim=-1)
    # SkyRL fills up a batch with rows of uids of their own and an empty mask: no prompts to remember.
    each = rewards.new_zeros(rewards.shape)
    ids = [str(uid) for uid, real in zip(index, written.tolist(), strict=True) if real]
    each[written] = MEMORY.advantages(rewards[written], ids, nan_policy="omit", small_groups="zero")
    advantages = each[:, None] * response_mask
    return advantages, advantages


def _filters(config: Any) -> str | None:
    """The setting that drops dead groups, if one does."""
    if getattr(config, "zero_variance_filter", False):
        return "zero_variance_filter"
    sampling = getattr(getattr(config, "dynamic_sampling", None), "type", None)
    return f"dynamic_sampling.type={sampling}" if sampling else None


AdvantageEstimatorRegistry.register("replay", replay)

if __name__ == "__main__":
    from skyrl.train.entrypoints.main_base import main

    main()
