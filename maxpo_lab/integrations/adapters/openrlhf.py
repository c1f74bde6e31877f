r"""The catalogue in OpenRLHF: an experience maker that computes the advantages of a rule.

OpenRLHF has no hook; its trainer makes a ``RemoteExperienceMaker``, which ``install`` replaces by one that
takes the rewards as they are after length penalties and gives the advantages of a rule. The trainer is an
actor of Ray, so it must be done in Ray's workers, by a setup hook; a script of your own starts the training::

    # train.py: python train.py --algo.advantage.estimator dr_grpo --rollout.n_samples_per_prompt 16 ...
    import ray, runpy
    from maxpo_lab.integrations.adapters import openrlhf

    ray.init(runtime_env={"worker_process_setup_hook": openrlhf.setup_hook("maxpo", k=4)})
    runpy.run_module("openrlhf.cli.train_ppo_ray", run_name="__main__")

Leave ``--algo.advantage.estimator`` at ``dr_grpo``: any other is refused, as it would change nothing, or
whiten. Advantages are not clipped: OpenRLHF's ``--reward.clip_range`` (10) acts on what its own estimators
give, and MaxPO reaches K times the range of the rewards. A KL penalty in the reward is added to each token,
as there.

Groups are ``n_samples_per_prompt`` samples that follow each other. One with a reward of NaN is left out of
its group and gets 0. ``reward_keys`` names numbers that the reward function returns in ``extra_logs``, for a
rule of several rewards. ``"replay"`` knows a prompt by its text, which samples carry; ``memory_folder`` keeps
the memory. ``--algo.dynamic_filtering_enable`` drops groups by their scores, so a rule with advantages on
dead groups is refused there. The metrics of ``TrainingRule`` are logged as ``maxpo/...``.

Hook: OpenRLHF/OpenRLHF, openrlhf/trainer/ppo_utils/experience_maker.py,
``RemoteExperienceMaker.compute_advantages_and_returns``. Tested with openrlhf 0.11.2: the method was run, and
the hook in an actor of Ray 2.60; the launch was read.
"""

from __future__ import annotations

import itertools
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .changed import Release
from .training_rule import CatalogueRule, SmallGroups, TrainingRule

TESTED = Release("OpenRLHF", "0.11.2", "openrlhf")
_MAKER = "RemoteExperienceMaker"
_MODULE = "openrlhf.trainer.ppo_utils.experience_maker"


def install(
    estimator: CatalogueRule = "maxpo",
    k: int | None = None,
    *,
    small_groups: SmallGroups = "zero",
    reward_keys: Sequence[str] = (),
    reward_weights: Sequence[float] | None = None,
    memory_folder: str | None = None,
) -> TrainingRule:
    """Replace OpenRLHF's experience maker in this process, wherever it is held; the rule, with its metrics.

    Raises
    ------
    FrameworkChangedError
        OpenRLHF has another experience maker.
    """
    module = TESTED.module(_MODULE)
    theirs = TESTED.has(module, _MAKER)
    theirs = getattr(theirs, "replaced", theirs)
    TESTED.takes(theirs, "compute_advantages_and_returns", "self", "experiences")
    TESTED.takes(theirs, "get_cumulative_returns", "self", "rewards", "action_mask", "gamma")
    TESTED.takes(module, "compute_reward", "r", "kl_coef", "kl", "action_mask", "reward_clip_range")
    TESTED.takes(module, "apply_length_penalties", "experiences", "args")
    one = None if reward_keys else "no reward_keys say which: pass reward_keys=[...], names in extra_logs"
    rule = TrainingRule(
        estimator,
        k,
        small_groups=small_groups,
        reward_weights=reward_weights,
        memory_folder=memory_folder,
        one_reward=one,
    )
    if reward_keys and not rule.several:
        raise ValueError(
            f"reward_keys={list(reward_keys)} with {rule.rule.name}, which takes one reward; leave them out, "
            f"or use per-reward:{rule.rule.name}"
        )
    ours = type(
        _MAKER,
        (_RuleMaker, theirs),
        {"replaced": theirs, "rule": rule, "reward_keys": tuple(reward_keys), "module": module},
    )
    for each in list(sys.modules.values()):
        held = getattr(each, "__dict__", {}).get(_MAKER)
        if held is not None and getattr(held, "replaced", held) is theirs:
            setattr(each, _MAKER, ours)
    return rule


def setup_hook(
    estimator: CatalogueRule = "maxpo", k: int | None = None, **settings: Any
) -> Callable[[], None]:
    """``install`` for Ray's ``worker_process_setup_hook``; the rule is checked here, before Ray starts."""
    known = {name: value for name, value in settings.items() if name in ("small_groups", "reward_weights")}
    one = None if settings.get("reward_keys") else "no reward_keys say which"
    TrainingRule(estimator, k, one_reward=one, **known)

    def set_up() -> None:
        install(estimator, k, **settings)

    return set_up


class _RuleMaker:
    """Before ``RemoteExperienceMaker``."""

    rule: TrainingRule
    reward_keys: tuple[str, ...]
    module: Any
    strategy: Any
    kl_ctl: Any
    get_cumulative_returns: Callable[..., Any]

    def compute_advantages_and_returns(self, experiences: list[Any]) -> list[Any]:
        """Advantages and returns of each token, from the rewards of all samples."""
        args = self.strategy.args
        self._check(args)
        torch = sys.modules["torch"]
        with torch.no_grad():
            for each in experiences:
                each.rewards = each.rewards.to(torch.promote_types(each.rewards.dtype, torch.float32))
            self.module.apply_length_penalties(experiences, args)
            found = self._advantages(experiences, args.rollout.n_samples_per_prompt)
            self.rule.warn(logging.getLogger(__name__))
            for each, advantages in zip(experiences, found, strict=True):
                given = each.rewards.new_tensor(advantages)
                tokens = self.module.compute_reward(
                    given, self.kl_ctl.value, each.kl, action_mask=each.action_mask, reward_clip_range=None
                )
                each.returns = self.get_cumulative_returns(tokens, each.action_mask, 1.0)
                each.advantages = each.returns.clone()
                each.info["return"] = tokens.sum(dim=-1)
                for name, value in self.rule.metrics.items():
                    each.info[f"maxpo/{name}"] = given.new_full(given.shape, value)
                each.kl = None
        return experiences

    def _advantages(self, experiences: list[Any], n: int) -> list[np.ndarray[Any, Any]]:
        """By experience, each in the order of its samples; an index says the place among all."""
        place = list(itertools.chain.from_iterable(each.index for each in experiences))
        ids = [number // n for number in place]
        if sorted(place) != list(range(len(place))):
            raise TESTED.error(f"samples have the places {sorted(place)[:3]}..., not 0, 1, 2, ...")
        torch = sys.modules["torch"]
        if self.reward_keys:
            missing = [key for key in self.reward_keys if any(key not in each.info for each in experiences)]
            if missing:
                raise ValueError(
                    f"reward_keys={list(self.reward_keys)}: the reward function returned no {missing[0]!r} "
                    f"in extra_logs"
                )
            columns = [
                torch.cat([each.info[key].double().reshape(-1) for each in experiences])
                for key in self.reward_keys
            ]
            rewards = torch.stack(columns, dim=-1)
        else:
            rewards = torch.cat([each.rewards.double() for each in experiences])
        prompts = None
        if self.rule.memory is not None:
            prompts = list(itertools.chain.from_iterable(each.prompts for each in experiences))
        lengths = torch.cat([each.action_mask.sum(dim=-1) for each in experiences])
        found = self.rule(rewards, ids, prompts=prompts, lengths=lengths)
        return np.split(found, np.cumsum([len(each.index) for each in experiences])[:-1])

    def _check(self, args: Any) -> None:
        given = args.algo.advantage.estimator
        if given != "dr_grpo":
            raise ValueError(
                f"--algo.advantage.estimator {given}: {self.rule.rule.name} takes its place, so this would "
                f"change nothing; set it to dr_grpo"
            )
        if self.rule.rule.dead_groups != "none" and getattr(args.algo, "dynamic_filtering_enable", False):
            raise ValueError(
                f"--algo.dynamic_filtering_enable drops groups that {self.rule.rule.name} has advantages on; "
                f"leave it out, or use a rule that is 0 there, e.g. maxpo"
            )
