r"""The catalogue in SkyRL: functions in its registry of advantage estimators.

A script of your own registers a rule and then starts SkyRL, which brings what is registered to its actors::

    # train.py: python train.py trainer.algorithm.advantage_estimator=maxpo generator.n_samples_per_prompt=16
    from maxpo_lab.integrations.adapters import skyrl

    if __name__ == "__main__":
        skyrl.register("maxpo", k=4)
        from skyrl.train.entrypoints.main_base import main

        main()

A reward is the sum of a row's tokens, and rows of one uid are a group, of any size. A rollout whose reward is
NaN is left out of its group and gets 0, and so do the members of a group that is too small. SkyRL fills up a
batch with copies of its first row under uids ``pad0``, ``pad1``, ...: they get 0 and are no rollouts.

``"replay"`` remembers prompts by their uid, which is the index in the dataset and lasts; ``memory_folder``
keeps the memory. It has advantages on groups that fail together: a ``zero_variance_filter`` or a
``dynamic_sampling`` that drops them is refused.

``with_metrics`` makes a trainer that logs those of ``TrainingRule``, for an experiment class of your own::

    class Experiment(BasePPOExp):
        def get_trainer(self, *arguments, **named):
            return skyrl.with_metrics(RayPPOTrainer)(*arguments, **named)

Leave ``trainer.algorithm.advantage_batch_normalize`` False: it would scale once more. SkyRL's default loss
divides by the tokens of a batch; ``loss_reduction=sequence_mean`` by those of a response. See
docs/explain/conventions.md.

Hook: NovaSky-AI/SkyRL, skyrl/backends/skyrl_train/utils/ppo_utils.py, ``AdvantageEstimatorRegistry.register``
and ``compute_advantages_and_returns``. Tested with skyrl 0.3.0; 0.4.0, for
Python 3.12, calls it with the same keywords (read).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from .changed import Release
from .training_rule import CatalogueRule, SmallGroups, TrainingRule

TESTED = Release("SkyRL", "0.3.0", "skyrl")
_PADDING = re.compile(r"pad\d+")
_KEYWORDS = ("token_level_rewards", "response_mask", "index", "config")


class Estimator:
    """What SkyRL calls: keywords to advantages and returns (bs, T), the same tensor twice."""

    def __init__(self, rule: TrainingRule) -> None:
        self.rule = rule

    def __call__(
        self, token_level_rewards: Any, response_mask: Any, index: Sequence[Any], config: Any = None, **_: Any
    ) -> tuple[Any, Any]:
        """Each row's advantage on the tokens of its mask, in the rewards' type, on their device."""
        if self.rule.rule.dead_groups != "none" and (dropped := _filters(config)):
            raise ValueError(
                f"trainer.algorithm.{dropped} drops groups that {self.rule.rule.name} has advantages on, "
                f"which changes what is climbed: switch it off, or use a rule that is 0 there, e.g. maxpo"
            )
        rewards = token_level_rewards.detach().sum(dim=-1)
        ids = [str(uid) for uid in index]
        rows = [row for row, uid in enumerate(ids) if not _PADDING.fullmatch(uid)]
        found = np.zeros(len(ids))
        lengths = response_mask.sum(dim=-1)[rows]
        found[rows] = self.rule(rewards[rows], [ids[row] for row in rows], lengths=lengths)
        self.rule.warn(logging.getLogger(__name__))
        advantages = rewards.new_tensor(found)[:, None] * response_mask.to(rewards.dtype)
        return advantages, advantages


def register(
    estimator: CatalogueRule = "maxpo",
    k: int | None = None,
    *,
    name: str | None = None,
    small_groups: SmallGroups = "zero",
    memory_folder: str | None = None,
) -> Estimator:
    """Register a rule with SkyRL, under its own name unless told; see ``TrainingRule``.

    Raises
    ------
    ValueError
        SkyRL has an estimator of this name, or the rule takes several rewards.
    FrameworkChangedError
        SkyRL's registry is not there, or it calls estimators otherwise.
    """
    utils = TESTED.module("skyrl.backends.skyrl_train.utils.ppo_utils")
    registry = TESTED.has(utils, "AdvantageEstimatorRegistry")
    TESTED.takes(registry, "register", "name", "func")
    TESTED.calls(utils, "compute_advantages_and_returns", "estimator_func", _KEYWORDS)
    one = "SkyRL hands over one reward of each token"
    rule = TrainingRule(estimator, k, small_groups=small_groups, one_reward=one, memory_folder=memory_folder)
    made = Estimator(rule)
    registry.register(made.rule.rule.name if name is None else name, made)
    return made


def with_metrics(trainer: type) -> type:
    """A trainer of SkyRL that logs the metrics of its rule, as ``maxpo/...``, where that is one of ours."""
    TESTED.takes(trainer, "compute_advantages_and_returns", "self", "data")
    return type(trainer.__name__, (_WithMetrics, trainer), {"__module__": trainer.__module__})


class _WithMetrics:
    """Before ``RayPPOTrainer``."""

    def compute_advantages_and_returns(self, data: Any) -> Any:
        found = super().compute_advantages_and_returns(data)  # type: ignore[misc]
        utils = TESTED.module("skyrl.backends.skyrl_train.utils.ppo_utils")
        name = self.cfg.trainer.algorithm.advantage_estimator  # type: ignore[attr-defined]
        made = utils.AdvantageEstimatorRegistry.get(name)
        if isinstance(made, Estimator):
            metrics = {f"maxpo/{name}": value for name, value in made.rule.metrics.items()}
            self.all_metrics.update(metrics)  # type: ignore[attr-defined]
        return found


def _filters(config: Any) -> str | None:
    """The setting that drops dead groups, if one does."""
    if getattr(config, "zero_variance_filter", False):
        return "zero_variance_filter=True"
    sampling = getattr(getattr(config, "dynamic_sampling", None), "type", None)
    return f"dynamic_sampling.type={sampling}" if sampling else None
