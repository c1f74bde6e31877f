r"""The catalogue in Trinity-RFT: an advantage function that its configuration names by its path.

In the YAML file of a run, with nothing else to import::

    algorithm:
      algorithm_type: grpo
      repeat_times: 16
      advantage_fn: maxpo_lab.integrations.adapters.trinity.RuleAdvantage
      advantage_fn_args: {estimator: maxpo, k: 4}
      loss_agg_mode: seq-mean-token-sum

Experiences of one task (``eid.batch`` and ``eid.task``) are a group, of any size; each is one rollout, as in
Trinity's own grpo, also where a run has several steps. One whose reward is None or NaN is left out of its
group and gets 0, and so do the members of a group that is too small. The metrics of ``TrainingRule`` are
logged as ``experience_pipeline/maxpo/...``.

*Several rewards.* ``reward_keys: [accuracy, format_score]`` reads them from the ``metrics`` of an experience,
where Trinity's workflows put what a reward function returns by name; ``reward_weights`` weighs them.

*A memory.* ``estimator: replay`` knows a prompt by ``info["task_index"]``, the task set and the row in it,
which lasts over epochs; an experience without one is an error. ``memory_folder`` is where the memory is kept,
after every step, and taken up from. It is unbiased whatever it holds, so it may be ahead of a checkpoint.

Hook: agentscope-ai/Trinity-RFT, trinity/algorithm/advantage_fn, ``ADVANTAGE_FN`` and ``GroupAdvantage``.
Tested with trinity-rft 0.6.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .changed import Release
from .training_rule import SmallGroups, TrainingRule

TESTED = Release("Trinity-RFT", "0.6.0", "trinity-rft")
_advantage_fn = TESTED.module("trinity.algorithm.advantage_fn")
_Base: Any = TESTED.has(_advantage_fn, "GroupAdvantage")
TESTED.takes(_Base, "process", "self", "exps")
TESTED.takes(_Base, "default_args")


class RuleAdvantage(_Base):  # type: ignore[misc]
    """A rule of the catalogue on the experiences of a step; the arguments are those of ``TrainingRule``.

    Parameters
    ----------
    reward_keys
        Names in the ``metrics`` of an experience, of a rule of several rewards.
    memory_folder
        Of a rule with a memory: where it is kept. None keeps it in the process alone.
    """

    def __init__(
        self,
        estimator: str = "maxpo",
        *,
        k: int | None = None,
        small_groups: SmallGroups = "zero",
        reward_keys: Sequence[str] | None = None,
        reward_weights: Sequence[float] | None = None,
        memory_folder: str | None = None,
    ) -> None:
        one = None if reward_keys else "no reward_keys say which: add reward_keys: [...] to advantage_fn_args"
        self.rule = TrainingRule(
            estimator,
            k,
            small_groups=small_groups,
            reward_weights=reward_weights,
            one_reward=one,
            memory_folder=memory_folder,
        )
        if reward_keys and not self.rule.several:
            raise ValueError(
                f"reward_keys={list(reward_keys)} with {estimator}, which takes one reward; leave them out, "
                f"or use per-reward:{estimator}"
            )
        self.reward_keys = tuple(reward_keys or ())

    @classmethod
    def default_args(cls) -> dict[str, Any]:
        """No arguments: a rule needs a K, which the configuration must say."""
        return {"estimator": "maxpo"}

    def group_experiences(self, exps: list[Any]) -> dict[str, list[Any]]:
        """By task, as Trinity's own."""
        groups: dict[str, list[Any]] = {}
        for each in exps:
            groups.setdefault(each.eid.tid, []).append(each)
        return groups

    def calculate_group_advantage(self, group_id: str, exps: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Of one group alone."""
        return self._answered(exps, [group_id] * len(exps))

    def process(self, exps: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Sets ``advantages`` and ``returns`` of all experiences of a step, in their order; and metrics."""
        if not exps:
            return [], {}
        return self._answered(exps, [each.eid.tid for each in exps])

    def _answered(self, exps: list[Any], ids: list[str]) -> tuple[list[Any], dict[str, Any]]:
        prompts = None if self.rule.memory is None else [_prompt_of(each) for each in exps]
        lengths = [int(each.action_mask.sum()) for each in exps]
        found = self.rule([self._reward(each) for each in exps], ids, prompts=prompts, lengths=lengths)
        for each, advantage in zip(exps, found.tolist(), strict=True):
            each.advantages = advantage * each.action_mask.float()
            each.returns = each.advantages.clone()
        return exps, {f"maxpo/{name}": value for name, value in self.rule.metrics.items()}

    def _reward(self, experience: Any) -> Any:
        if not self.reward_keys:
            return experience.reward
        return [experience.metrics.get(key) for key in self.reward_keys]


def _prompt_of(experience: Any) -> str:
    """The task set and the row in it; ValueError where the experience says none."""
    place = experience.info.get("task_index") or {}
    if "index" not in place:
        raise ValueError(
            f"experience {experience.eid.uid} has no info['task_index'] with an index, so its prompt is not "
            f"known again in the next epoch: read tasks from a file or a Hugging Face dataset, or use a rule "
            f"without a memory, e.g. maxpo"
        )
    return f"{place.get('taskset_id', 0)}/{place['index']}"
