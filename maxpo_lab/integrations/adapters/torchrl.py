r"""The catalogue in TorchRL: its ``MCAdvantage``, on any rule.

::

    from maxpo_lab.integrations.adapters.torchrl import RuleAdvantage

    buffer = ReplayBuffer(storage=LazyStackStorage(1000), batch_size=64)
    buffer.append_transform(RuleAdvantage(16, estimator="maxpo", k=4))
    for data in collector:
        buffer.extend(data)  # whole trajectories; the group of a prompt is written once it has 16

As in TorchRL, trajectories of one prompt are held back until there are ``grpo_size``, and each one's
advantage is on all of its steps; the return of a trajectory is the sum of its rewards
(``trajectory_return``). TorchRL itself divides by ``max(std, 1e-6)``, and without ``trajectory_return`` it
compares steps, not trajectories.

``empty()`` of a buffer leaves what is held back; ``clear_queues()`` drops it, for a policy that has moved on.

A trajectory with a reward of NaN is left out of its group and gets 0. ``flush`` writes the groups that are
still short, for a buffer that is to be trained on as it is. Rewards with a last axis of several are those of
a rule of several rewards. ``"replay"`` knows a prompt by its key, text or a tensor, which lasts, and its
memory is in ``state_dict``.

TorchRL's ``candidate_group_size`` picks a group out of more by its returns, which biases every rule: it is
refused. So is ``keep_return_bounds``, which drops groups, with a rule that has advantages on dead ones.

Hook: ``torchrl.objectives.llm.MCAdvantage._trajectory_advantage``, which is overridden. Tested with torchrl
0.14.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from .changed import Release
from .training_rule import CatalogueRule, SmallGroups, TrainingRule

TESTED = Release("TorchRL", "0.14.1", "torchrl")
_llm = TESTED.module("torchrl.objectives.llm")
_Base: Any = TESTED.has(_llm, "MCAdvantage")
TESTED.takes(_Base, "_trajectory_advantage", "self", "trajs")
TESTED.calls(_Base, "_inv_call_single", "_trajectory_advantage", 1)


class RuleAdvantage(_Base):  # type: ignore[misc]
    """``MCAdvantage`` with a rule of the catalogue.

    Parameters
    ----------
    grpo_size
        Trajectories of a prompt that make a group.
    prompt_key, rewards_key, advantage_key, done_key, verbose, keep_return_bounds
        As ``MCAdvantage`` takes them.
    estimator, k, small_groups, reward_weights
        As ``TrainingRule`` takes them; a rule is refused that is undefined at ``grpo_size`` and k.
    trajectory_return
        How rewards of steps make that of a trajectory.

    Raises
    ------
    ValueError
        A setting that changes what is climbed, see the module; a rule undefined on such groups.
    """

    def __init__(
        self,
        grpo_size: int,
        *,
        estimator: CatalogueRule = "maxpo",
        k: int | None = None,
        small_groups: SmallGroups = "zero",
        reward_weights: Sequence[float] | None = None,
        trajectory_return: Literal["sum", "max", "mean"] = "sum",
        **settings: Any,
    ) -> None:
        rule = TrainingRule(estimator, k, small_groups=small_groups, reward_weights=reward_weights)
        if rule.memory is None and (reason := rule.rule.why_not(grpo_size, rule.k)):
            raise ValueError(
                f"{rule.rule.name} at grpo_size={grpo_size} and k={rule.k} is undefined: {reason}"
            )
        for name in ("candidate_group_size", "candidate_selection_min_size", "candidate_selector"):
            if settings.get(name) is not None:
                raise ValueError(
                    f"{name}={settings[name]!r} picks trajectories by their returns, which no rule allows "
                    f"for; leave it out"
                )
        if settings.get("keep_return_bounds") is not None and rule.rule.dead_groups != "none":
            raise ValueError(
                f"keep_return_bounds={settings['keep_return_bounds']} drops groups that {rule.rule.name} has "
                f"advantages on; leave it out, or use a rule that is 0 there, e.g. maxpo"
            )
        super().__init__(grpo_size, trajectory_return=trajectory_return, **settings)
        self.rule = rule

    def _trajectory_advantage(self, trajs: list[Any]) -> Any:
        rewards = [each.get(self.rewards_key) for each in trajs]
        returns = [self._return_of(each) for each in rewards]
        if self.keep_return_bounds is not None:
            low, high = self.keep_return_bounds
            scored = [float(each.sum()) for each in returns if not bool(each.isnan().any())]
            if not scored or not low < sum(scored) / len(scored) < high:
                return None
        prompt = str(_known(trajs[0][0][self.prompt_key]))
        values = [each.tolist() if self.rule.several else float(each) for each in returns]
        found = self.rule(values, [prompt] * len(trajs))
        self.selected_trajectories += len(trajs)
        for each, given, advantage in zip(trajs, rewards, found.tolist(), strict=True):
            shape = (*given.shape[:-1], 1) if self.rule.several else given.shape
            each.set(self.advantage_key, given.new_full(shape, advantage))
        return self._cat_tensordicts(trajs, -1)

    def _return_of(self, reward: Any) -> Any:
        """Of a trajectory's rewards (T, 1), or (T, d) for a rule of several: a number, or d of them."""
        steps = reward.double()
        if not self.rule.several:
            steps = steps.reshape(-1)
        if self.trajectory_return == "max":
            return steps.amax(dim=0)
        return steps.sum(dim=0) if self.trajectory_return == "sum" else steps.mean(dim=0)

    def flush(self) -> Any:
        """The groups that are still short, with the advantages of what there is; None where there are none.

        A group that is too small for the rule gets 0, or is an error, as ``small_groups`` says.
        """
        with self._state_lock:
            found = [self._trajectory_advantage(list(queue)) for queue in self.queues.values() if len(queue)]
            self.queues.clear()
        kept = [each for each in found if each is not None]
        return self._cat_tensordicts(kept) if kept else None

    def share_memory_(self) -> Any:
        """As TorchRL's; a memory of prompts is of one process, so it is refused there."""
        if self.rule.memory is not None:
            raise ValueError(
                f"estimator={self.rule.rule.name!r} in a buffer that several processes write to: each would "
                f"have a memory of its own; write from one process, or use a rule without a memory, e.g. "
                f"maxpo"
            )
        return super().share_memory_()

    def get_extra_state(self) -> dict[str, Any]:
        """The memory, for ``state_dict``."""
        import torch  # noqa: PLC0415 - it is there with TorchRL

        memory = self.rule.memory
        return (
            {}
            if memory is None
            else {key: torch.as_tensor(value) for key, value in memory.state_dict().items()}
        )

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """From ``load_state_dict``. ValueError: a state without a memory, for a rule that has one."""
        if self.rule.memory is not None:
            self.rule.memory.load_state_dict(state)


def _known(prompt: Any) -> Any:
    """A prompt by value, as TorchRL's queues know it."""
    return prompt.reshape(-1).tolist() if hasattr(prompt, "reshape") else prompt
