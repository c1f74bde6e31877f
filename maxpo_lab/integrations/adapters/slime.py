r"""The catalogue in slime: the function that turns a batch's rewards into what is trained on.

::

    python train.py --custom-config-path maxpo.yaml --advantage-estimator grpo --n-samples-per-prompt 16 \
        --custom-reward-post-process-path maxpo_lab.integrations.adapters.slime.post_process_rewards \
        --custom-rollout-log-function-path maxpo_lab.integrations.adapters.slime.log_rollouts ...

where ``maxpo.yaml`` says ``maxpo_k: 4``, and what else there is; slime sets what it says on its arguments:

- ``maxpo_estimator: maxpo``: the rule;
- ``maxpo_reward_keys: [correct, format]``: of a rule of several rewards, keys of the reward of a sample;
  ``maxpo_reward_weights`` weighs them;
- ``maxpo_small_groups: raise``: a group that is too small for the rule is an error, where it would get 0;
- ``maxpo_memory_folder: path``: of ``replay``, which knows a prompt by ``Sample.prompt``: where its memory is
  kept.

The function stands in for slime's normalisation by group, so ``--disable-rewards-normalization`` and
``--disable-grpo-std-normalization`` change nothing. ``--advantage-estimator grpo`` spreads each number over
its response as it is; leave ``--normalize-advantages`` out, which would whiten them over the batch.

Samples of one ``group_index`` are a group, of any size (slime itself takes a batch whose groups differ in
size for one group). One whose reward is None or NaN is left out of its group and gets 0, and so do the
members of a group that is too small. ``log_rollouts`` adds the metrics of ``TrainingRule`` to slime's, as
``rollout/maxpo/...``.

slime is not on PyPI. Hooks: THUDM/slime, slime/ray/rollout.py, ``RolloutManager._post_process_rewards``, and
slime/observability/rollout_metrics.py, ``log_rollout_data``. Tested against the sources at commit 624b824
(2026-08-21). Another ``Sample`` is refused by name.
"""

from __future__ import annotations

import json
import logging
import math
from typing import Any

import numpy as np

from .changed import Release
from .training_rule import TrainingRule

TESTED = Release(
    "slime", "at commit 624b824 of 2026-08-21", "slime", "install it from https://github.com/THUDM/slime"
)
#: The rule of this process, with what it was made from.
_MADE: dict[tuple[Any, ...], TrainingRule] = {}


def rule_of(args: Any) -> TrainingRule:
    """The rule that slime's arguments ask for: one a process, which keeps its memory.

    Raises
    ------
    ValueError
        No ``maxpo_k``, or another setting that cannot be honoured.
    FrameworkChangedError
        The arguments are not slime's.
    """
    TESTED.has(args, "custom_reward_post_process_path")
    k = getattr(args, "maxpo_k", None)
    estimator = getattr(args, "maxpo_estimator", "maxpo")
    keys = tuple(getattr(args, "maxpo_reward_keys", None) or ())
    weights = getattr(args, "maxpo_reward_weights", None)
    small: Any = getattr(args, "maxpo_small_groups", "zero")
    folder = getattr(args, "maxpo_memory_folder", None)
    settings = (k, estimator, keys, None if weights is None else tuple(weights), small, folder)
    if settings not in _MADE:
        one = None if keys else "no maxpo_reward_keys say which: add them to the file of --custom-config-path"
        rule = TrainingRule(
            estimator,
            k,
            small_groups=small,
            reward_weights=weights,
            memory_folder=folder,
            one_reward=one,
        )
        if keys and not rule.several:
            raise ValueError(
                f"maxpo_reward_keys={list(keys)} with {estimator}, which takes one reward; leave them out"
            )
        _MADE[settings] = rule
    return _MADE[settings]


def post_process_rewards(args: Any, samples: list[Any]) -> tuple[list[float], list[float]]:
    """The rewards for the log, 0 for a missing one, and the advantages to train on, in the samples' order."""
    for name in ("group_index", "reward", "prompt"):
        for each in samples[:1]:
            if not hasattr(each, name):
                raise TESTED.error(f"{type(each).__name__} has no {name}")
    rule = rule_of(args)
    keys = tuple(getattr(args, "maxpo_reward_keys", None) or ())
    one = [_reward(args, each) for each in samples]
    values = [_several(each, keys) for each in samples] if keys else one
    prompts = None if rule.memory is None else [json.dumps(each.prompt, sort_keys=True) for each in samples]
    lengths = [max(1, getattr(each, "response_length", 0)) for each in samples]
    found = rule(values, [each.group_index for each in samples], prompts=prompts, lengths=lengths)
    rule.warn(logging.getLogger(__name__))
    # slime averages these into its metrics: one NaN would take the whole batch's mean with it.
    return [0.0 if math.isnan(each) else each for each in one], found.tolist()


def log_rollouts(
    rollout_id: int, args: Any, _samples: list[Any], extra_metrics: dict[str, Any] | None, _time: float
) -> bool:
    """Add the metrics of the latest batch to slime's, which logs as ever."""
    metrics = {f"rollout/maxpo/{name}": value for name, value in rule_of(args).metrics.items()}
    if extra_metrics is None:  # of a rollout function of one's own, which returned no metrics
        logging.getLogger(__name__).warning("rollout %d: %s", rollout_id, metrics)
    else:
        extra_metrics.update(metrics)
    return False


def _reward(args: Any, sample: Any) -> float:
    """A sample's reward, NaN where it was not scored (``get_reward_value`` would look into None)."""
    if getattr(args, "maxpo_reward_keys", None) and not args.reward_key:
        return float(np.nansum(_several(sample, tuple(args.maxpo_reward_keys))))
    reward = None if sample.reward is None else sample.get_reward_value(args)
    return math.nan if reward is None else float(reward)


def _several(sample: Any, keys: tuple[str, ...]) -> list[float]:
    given = sample.reward or {}
    found = [given.get(key) for key in keys]
    return [math.nan if each is None else float(each) for each in found]
