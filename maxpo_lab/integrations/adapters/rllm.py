r"""The catalogue in rLLM: functions in its registry of advantage estimators.

::

    from maxpo_lab.integrations.adapters import rllm

    rllm.register("maxpo", k=4)
    AgentTrainer(..., traj_group_adv_estimator_map={"solver": "maxpo"})

The map names the estimator of each role of a workflow and keeps the name as it is;
``rllm.algorithm.adv_estimator`` passes through an enumeration, which turns every name that it does not know
into ``"other"``. The groups of a role are answered together, each of any size. A trajectory whose reward is
NaN is left out of its group and gets 0 (rLLM itself refuses None), and so do the members of a group that is
too small.

``"replay"`` knows a prompt by a column of the dataset, ``prompt_key``, in ``Trajectory.task``: the
``task_id`` of a group is a new UUID at every step. ``reward_keys`` reads several rewards from
``Trajectory.signals``. An estimator cannot add to rLLM's metrics, whose
``advantage/<role>/fraction_zero`` has these rollouts in it: those of ``TrainingRule`` are ``rule.metrics``,
and a warning is logged where rewards were wanting.

rLLM is not on PyPI. Hook: rllm-org/rllm, rllm/trainer/algorithms/advantage.py,
``register_rllm_adv_estimator`` and ``collect_reward_and_advantage_from_trajectory_groups``; earlier versions,
which have it in rllm/experimental/common, are refused by name. Tested against the sources at commit 9beb6e0
(2026-08-15).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...core.arrays import Float
from .changed import Release
from .training_rule import CatalogueRule, SmallGroups, TrainingRule

TESTED = Release(
    "rLLM", "at commit 9beb6e0 of 2026-08-15", "rllm", "install it from https://github.com/rllm-org/rllm"
)
_FORGETS = (
    "rLLM gives a group a new task_id at every step: pass prompt_key=, a column of the dataset that says "
    "which prompt a row is"
)
_COLLECTS = "collect_reward_and_advantage_from_trajectory_groups"


class Estimator:
    """What rLLM calls: the rewards (n,) of each group of a role to advantages and returns, the same lists."""

    def __init__(self, rule: TrainingRule, reward_keys: tuple[str, ...], prompt_key: str | None) -> None:
        self.rule, self.reward_keys, self.prompt_key = rule, reward_keys, prompt_key

    def __call__(
        self, rewards: Sequence[Any], traj_groups: Sequence[Any] = (), **_: Any
    ) -> tuple[list[Float], list[Float]]:
        """Advantages, an array (n,) for each group."""
        sizes = [len(each) for each in rewards]
        ids = np.repeat(np.arange(len(sizes)), sizes)
        if self.reward_keys:
            values: Any = [self._several(each) for group in traj_groups for each in group.trajectories]
        else:
            values = [each for group in rewards for each in np.asarray(group, dtype=np.float64).tolist()]
        prompts = None
        if self.rule.memory is not None:
            prompts = [self._prompt_of(each) for group in traj_groups for each in group.trajectories]
        found = self.rule(values, ids, prompts=prompts)
        self.rule.warn(logging.getLogger(__name__))
        split = np.split(found, np.cumsum(sizes)[:-1]) if sizes else []
        return split, split

    def _several(self, trajectory: Any) -> list[Any]:
        given = trajectory.signals
        missing = [key for key in self.reward_keys if key not in given]
        if missing:
            raise ValueError(
                f"reward_keys: a trajectory has no signals[{missing[0]!r}], only {', '.join(given)}"
            )
        return [given[key] for key in self.reward_keys]

    def _prompt_of(self, trajectory: Any) -> str:
        task = trajectory.task if isinstance(trajectory.task, Mapping) else vars(trajectory.task or object)
        if self.prompt_key not in task:
            raise ValueError(
                f"prompt_key={self.prompt_key!r} is nothing of a task, which has {', '.join(task)}"
            )
        return str(task[str(self.prompt_key)])


def register(
    estimator: CatalogueRule = "maxpo",
    k: int | None = None,
    *,
    name: str | None = None,
    small_groups: SmallGroups = "zero",
    reward_keys: Sequence[str] = (),
    reward_weights: Sequence[float] | None = None,
    prompt_key: str | None = None,
    memory_folder: str | None = None,
) -> Estimator:
    """Register a rule with rLLM, under its own name unless told; see ``TrainingRule``.

    Raises
    ------
    ValueError
        rLLM has an estimator of this name.
    FrameworkChangedError
        The registry is elsewhere, or rLLM calls estimators otherwise.
    """
    module = TESTED.module("rllm.trainer.algorithms.advantage")
    TESTED.takes(module, "register_rllm_adv_estimator", "name")
    TESTED.calls(module, _COLLECTS, "advantage_fn", ("rewards", "algorithm_config", "traj_groups"))
    registry = TESTED.has(module, "RLLM_ADV_ESTIMATOR_REGISTRY")
    one = (
        None
        if reward_keys
        else "no reward_keys say which: pass reward_keys=[...], names in Trajectory.signals"
    )
    rule = TrainingRule(
        estimator,
        k,
        small_groups=small_groups,
        reward_weights=reward_weights,
        memory_folder=memory_folder,
        one_reward=one,
        forgets=None if prompt_key else _FORGETS,
    )
    if reward_keys and not rule.several:
        raise ValueError(
            f"reward_keys={list(reward_keys)} with {rule.rule.name}, which takes one reward; leave them out"
        )
    name = rule.rule.name if name is None else name
    if name in registry:
        raise ValueError(
            f"rLLM has an estimator {name!r} already, and would replace it: pass name= another, e.g. "
            f"name='maxpo-{name}'"
        )
    made = Estimator(rule, tuple(reward_keys), prompt_key)
    module.register_rllm_adv_estimator(name)(made)
    return made
