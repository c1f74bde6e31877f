r"""The catalogue in AReaL: a workflow around all rollouts of a prompt, whose advantages arrive as rewards.

::

    from maxpo_lab.integrations.adapters import areal

    areal.check(config.actor)  # and config.gconfig.n_samples is 1: the group is made in the workflow
    trainer.train(
        workflow="maxpo_lab.integrations.adapters.areal.RuleWorkflow",
        workflow_kwargs=dict(
            workflow="areal.workflow.rlvr.RLVRWorkflow",
            workflow_kwargs=dict(reward_fn="my.solved", gconfig=config.gconfig, tokenizer="Qwen/Qwen3-0.6B"),
            group_size=16, estimator="maxpo", k=4,
        ),
    )

AReaL has no hook at its advantages: it clips rewards at ``reward_clip`` (20), normalises them if told
(``reward_norm``), spreads them over the tokens and normalises again if told (``adv_norm``). With neither,
which is its default, what a workflow writes as ``rewards`` arrives. ``check`` refuses the settings under
which it does not, and the workflow an advantage that would be clipped.

The inner workflow is run ``group_size`` times. A run that returns None is rejected, as in AReaL, and the
group is smaller; a reward of NaN is left out of it and gets 0. Rules that are not centered are fine here, as
nothing is subtracted. ``task_rewards`` holds what the inner workflow gave, and ``rewards_key`` names another
tensor for a rule of several rewards.

Evaluate with the inner workflow, as the other makes advantages of its rewards.

``"replay"`` knows a prompt by ``prompt_key``, a column of the dataset: AReaL hands a workflow its row. The
memory is of the process that runs the workflow, and each group is a step of it; ``memory_folder`` keeps it.

AReaL's other way, ``reward_norm`` by groups of ``group_size``, takes them by their places, so a rejected run
moves the groups behind it. Hook: inclusionAI/AReaL, areal/api/workflow_api.py, ``RolloutWorkflow``; what
follows in areal/trainer/ppo/actor.py, ``PPOActor._compute_advantages``. Tested with areal 1.0.4.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from .by_rewards import refuse_clipped
from .changed import Release
from .training_rule import CatalogueRule, SmallGroups, TrainingRule

TESTED = Release("AReaL", "1.0.4", "areal")
_Base: Any = TESTED.has(TESTED.module("areal.api.workflow_api"), "RolloutWorkflow")
TESTED.takes(_Base, "arun_episode", "self", "engine", "data")

#: Settings of a ``PPOActorConfig`` under which advantages given as rewards arrive: the one value of each.
_SETTINGS: Mapping[str, Any] = {
    "reward_norm": None,
    "adv_norm": None,
    "reward_scaling": 1.0,
    "reward_bias": 0.0,
    "discount": 1.0,
    "gae_lambda": 1.0,
    "overlong_reward_penalty": False,
    "mask_no_eos_with_zero": False,
}


def check(config: Any) -> None:
    """Refuse a ``PPOActorConfig`` that would change advantages given as rewards.

    Raises
    ------
    ValueError
        A setting that does; the message says its one value.
    FrameworkChangedError
        The configuration has no such setting.
    """
    for name, only in _SETTINGS.items():
        if not hasattr(config, name):
            raise TESTED.error(f"{type(config).__name__} has no setting {name}")
        if (value := getattr(config, name)) != only:
            raise ValueError(
                f"actor.{name}={value!r} would change the advantages of the rule: set it to {only!r}"
            )


class RuleWorkflow(_Base):  # type: ignore[misc]
    """A workflow whose ``rewards`` are the advantages of all rollouts of a prompt.

    Parameters
    ----------
    workflow
        Makes one rollout, a dictionary of tensors of one row or several, or None where it is rejected: an
        object with ``arun_episode``, or the class of one, or its path.
    workflow_kwargs
        What the class takes.
    group_size
        How often it is run for a row of the dataset.
    estimator, k, small_groups, reward_weights, memory_folder
        As ``TrainingRule`` takes them.
    rewards_key
        The tensor of a rule of several rewards, (rows, d).
    prompt_key
        Of a memory: the column that says which prompt a row of the dataset is.
    reward_clip
        The actor's; an advantage beyond it is an error. None looks at none.
    """

    def __init__(
        self,
        workflow: Any,
        group_size: int,
        *,
        workflow_kwargs: Mapping[str, Any] | None = None,
        estimator: CatalogueRule = "maxpo",
        k: int | None = None,
        small_groups: SmallGroups = "zero",
        reward_weights: Sequence[float] | None = None,
        rewards_key: str = "rewards",
        prompt_key: str | None = None,
        memory_folder: str | None = None,
        reward_clip: float | None = 20.0,
    ) -> None:
        grouped = TESTED.module("areal.infra.remote_inf_engine")
        runs = TESTED.takes(grouped, "GroupedRolloutWorkflow", "workflow", "group_size", "logger")
        if isinstance(workflow, str):
            folder, _, name = workflow.rpartition(".")
            workflow = getattr(import_module(folder), name)
        if isinstance(workflow, type):
            workflow = workflow(**(workflow_kwargs or {}))
        elif workflow_kwargs is not None:
            raise ValueError("workflow_kwargs with a workflow that is made already: leave them out")
        self.group = runs(workflow, group_size, logging.getLogger(__name__))
        forgets = None
        if prompt_key is None:
            forgets = "no prompt_key says which column tells one: pass prompt_key='query_id', or another"
        one = "rewards_key names one tensor of one: pass rewards_key=, one of d columns"
        self.rule = TrainingRule(
            estimator,
            k,
            small_groups=small_groups,
            reward_weights=reward_weights,
            memory_folder=memory_folder,
            forgets=forgets,
            one_reward=one if rewards_key == "rewards" else None,
        )
        self.rewards_key, self.prompt_key, self.reward_clip = rewards_key, prompt_key, reward_clip

    async def arun_episode(self, engine: Any, data: dict[str, Any]) -> dict[str, Any] | None:
        """The rollouts of one row of the dataset, or None where all were rejected."""
        found = await self.group.arun_episode(engine, data)
        if found is None:
            return None
        if "rewards" not in found:
            raise TypeError(
                f"the workflow gave {sorted(map(str, found))[:3]}: a dictionary of tensors with rewards is "
                f"needed, as RLVRWorkflow gives; an agent's interactions are rewarded one by one"
            )
        rewards = found["rewards"]
        prompts = None
        if self.rule.memory is not None:
            if self.prompt_key not in data:
                raise ValueError(
                    f"prompt_key={self.prompt_key!r} is no column of the dataset, which has {', '.join(data)}"
                )
            prompts = [str(data[self.prompt_key])] * len(rewards)
        given = found[self.rewards_key]
        lengths = found["loss_mask"].sum(dim=-1)
        advantages = self.rule(given, [0] * len(rewards), prompts=prompts, lengths=lengths)
        refuse_clipped(self.rule, advantages, self.reward_clip)
        self.rule.warn(logging.getLogger(__name__))
        self._log()
        found["task_rewards"] = rewards
        found["rewards"] = rewards.new_tensor(advantages)
        return dict(found)

    def _log(self) -> None:
        """Into AReaL's statistics, beside the reward."""
        context = TESTED.module("areal.infra.workflow_context")
        stats = TESTED.module("areal.utils.stats_tracker")
        named = {f"maxpo/{name}": value for name, value in self.rule.metrics.items()}
        stats.get(context.stat_scope()).scalar(**named)
