r"""The catalogue in ms-swift's GRPO: a plugin that puts a rule in the place of its advantage function.

A file of your own is the plugin, and the settings leave the scale to the rule::

    # plugin.py:
    #   swift rlhf --rlhf_type grpo --external_plugins plugin.py --scale_rewards none --num_generations 16 ...
    from maxpo_lab.integrations.adapters import ms_swift

    ms_swift.install("maxpo", k=4)

ms-swift has no hook, but one function of rewards that all its trainers call (Transformers, Megatron, Ray):
``compute_advantages``, and ``compute_advantages_dynamic`` where a prompt has any number of rollouts;
``install`` replaces both. It takes None of all reward functions for a reward of 0; here such a rollout is
left out of its group and gets 0. Rules of several rewards get each function's, with ``--reward_weights``.
With ``--kl_in_reward`` the penalty is in the reward, as there. Any ``--scale_rewards`` but ``none``, or
another ``--advantage_estimator`` than ``grpo``, is refused: it would change nothing.

The trainer on Transformers also logs the metrics of ``TrainingRule``, and gives ``"replay"`` its prompts: a
column of the dataset (``prompt_column``) or, of one turn, the text before the response. Its own ``prompt_id``
is counted anew at every generation. ``memory_folder`` keeps the memory. The other two trainers tell no
prompts, so a memory is refused there.

Hook: modelscope/ms-swift, swift/rl_core/advantage.py, and ``GRPOTrainer._compute_advantages`` of
swift/rlhf_trainers/grpo_trainer.py. Tested with ms-swift 4.6.0.
"""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from .changed import Release
from .training_rule import CatalogueRule, SmallGroups, TrainingRule

TESTED = Release("ms-swift", "4.6.0", "ms-swift")
_TRAINER = "swift.rlhf_trainers.grpo_trainer"
_COMMON = ("advantage_estimator", "scale_rewards", "kl_in_reward", "beta", "kl_values")
_PLAIN = ("rewards_per_func", "reward_weights", "num_generations", *_COMMON)
_DYNAMIC = ("rewards_per_func", "reward_weights", "prompt_ids", "request_ids", *_COMMON)


class Installed:
    """A rule in the place of ms-swift's advantage functions.

    Attributes
    ----------
    rule
        The rule, with ``metrics`` of its latest call.
    prompt_column
        The column that says which prompt a row is; None for the text.
    """

    def __init__(self, rule: TrainingRule, prompt_column: str | None) -> None:
        self.rule, self.prompt_column = rule, prompt_column
        self._prompts: list[str] | None = None
        self._training = True

    def compute_advantages(
        self, rewards_per_func: Any, reward_weights: Any, num_generations: int, *others: Any, **settings: Any
    ) -> tuple[Any, Any]:
        """As ms-swift's: advantages and rewards (N,), of groups that follow each other."""
        given = dict(zip(_COMMON, others, strict=False)) | settings
        ids = np.arange(len(rewards_per_func)) // num_generations
        return self._answered(rewards_per_func, reward_weights, ids, None, given)

    def compute_advantages_dynamic(
        self,
        rewards_per_func: Any,
        reward_weights: Any,
        prompt_ids: list[str],
        request_ids: list[str],
        *others: Any,
        **settings: Any,
    ) -> tuple[Any, Any]:
        """As ms-swift's: groups by prompt, in which a request counts once, by its last row."""
        given = dict(zip(_COMMON, others, strict=False)) | settings
        last = {request: row for row, request in enumerate(request_ids)}
        rows = sorted(last.values())
        ids = [prompt_ids[row] for row in rows]
        place = {request_ids[row]: number for number, row in enumerate(rows)}
        back = [place[request] for request in request_ids]
        return self._answered(rewards_per_func, reward_weights, ids, (rows, back), given)

    def _answered(
        self,
        each: Any,
        weights: Any,
        ids: Any,
        picked: tuple[list[int], list[int]] | None,
        given: dict[str, Any],
    ) -> tuple[Any, Any]:
        _check_settings(given)
        rewards = (each * weights.unsqueeze(0)).nansum(dim=1)
        if given.get("kl_in_reward") and given.get("beta") and given.get("kl_values") is not None:
            rewards = rewards - given["beta"] * given["kl_values"]
            if self.rule.several:
                raise ValueError(
                    f"kl_in_reward with {self.rule.rule.name}: the penalty is of no reward function; set "
                    f"--kl_in_reward false"
                )
        if self.rule.memory is not None and self._prompts is None:
            raise ValueError(
                f"estimator={self.rule.rule.name!r} remembers prompts, and this trainer of ms-swift tells "
                f"none: only the one on Transformers does; use a rule without a memory, e.g. maxpo"
            )
        rows = list(range(len(each))) if picked is None else picked[0]
        values = each if self.rule.several else rewards.masked_fill(each.isnan().all(dim=1), float("nan"))
        if self.rule.several:
            self.rule.reward_weights = tuple(weights.tolist())
        found = self.rule(
            values[rows],
            ids,
            prompts=None if self._prompts is None else [self._prompts[row] for row in rows],
            remember=self._training,
        )
        self.rule.warn(logging.getLogger(__name__))
        advantages = rewards.new_tensor(found)
        return (advantages if picked is None else advantages[picked[1]]), rewards

    def around(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """``GRPOTrainer._compute_advantages`` that tells the prompts, and logs."""

        @functools.wraps(method)
        def _compute_advantages(trainer: Any, samples: Any, *arguments: Any, **named: Any) -> Any:
            self._training = bool(trainer.model.training)
            if self.rule.memory is not None:
                gather = import_module("accelerate.utils").gather_object
                self._prompts = gather([self._prompt_of(each) for each in samples])
            try:
                found = method(trainer, samples, *arguments, **named)
            finally:
                self._prompts = None
            metrics = trainer._metrics["train" if self._training else "eval"]
            for name, value in self.rule.metrics.items():
                metrics[f"maxpo/{name}"].append(value)
            return found

        return _compute_advantages

    def _prompt_of(self, sample: Any) -> str:
        if self.prompt_column is not None:
            if self.prompt_column not in sample.extra:
                raise ValueError(
                    f"prompt_column={self.prompt_column!r} is no column of the dataset, whose others are "
                    f"{', '.join(sample.extra) or 'none'}"
                )
            return str(sample.extra[self.prompt_column])
        before = [each for each in sample.messages if each["role"] != "assistant"]
        if sample.messages[:-1] != before:
            raise ValueError(
                "a dialogue of several turns has no one text before the response: pass prompt_column=, a "
                "column of the dataset that says which prompt a row is"
            )
        return json.dumps(before, sort_keys=True)


def install(
    estimator: CatalogueRule = "maxpo",
    k: int | None = None,
    *,
    small_groups: SmallGroups = "zero",
    prompt_column: str | None = None,
    memory_folder: str | None = None,
) -> Installed:
    """Put a rule in the place of ms-swift's advantage functions, in every module that has them, now or later.

    ``prompt_column`` is of a memory; the rest as ``TrainingRule`` takes it. Installing again replaces the
    rule.

    Raises
    ------
    FrameworkChangedError
        ms-swift has other functions, or its trainer calls them otherwise.
    """
    source = TESTED.module("swift.rl_core.advantage")
    trainer = TESTED.module(_TRAINER).GRPOTrainer
    rule = TrainingRule(estimator, k, small_groups=small_groups, memory_folder=memory_folder)
    if prompt_column is not None and rule.memory is None:
        raise ValueError(
            f"prompt_column={prompt_column!r} changes nothing without a memory: use estimator='replay'"
        )
    made = Installed(rule, prompt_column)
    theirs = {}
    for name, parameters in {"compute_advantages": _PLAIN, "compute_advantages_dynamic": _DYNAMIC}.items():
        current = TESTED.has(source, name)
        theirs[name] = getattr(current, "replaced", current)
        TESTED.takes(type("rl_core", (), {name: staticmethod(theirs[name])}), name, *parameters)
    method = TESTED.takes(trainer, "_compute_advantages", "self", "samples", "rewards_per_func")
    original = getattr(method, "replaced", method)
    TESTED.calls(
        type("GRPOTrainer", (), {"_compute_advantages": original}),
        "_compute_advantages",
        "compute_advantages",
        _PLAIN,
    )
    for name, function in theirs.items():
        _replace(name, function, getattr(made, name))
    trainer._compute_advantages = _marked(made.around(original), original)
    return made


def _replace(name: str, theirs: Any, ours: Callable[..., Any]) -> None:
    """In every module of ms-swift that holds the function, or what replaced it before."""
    made = _marked(functools.wraps(theirs)(functools.partial(ours)), theirs)
    for module in list(sys.modules.values()):
        held = getattr(module, "__dict__", {}).get(name)
        own = str(getattr(module, "__name__", "")).partition(".")[0] == "swift"
        if own and held is not None and getattr(held, "replaced", held) is theirs:
            setattr(module, name, made)


def _marked(ours: Any, theirs: Any) -> Any:
    ours.replaced = theirs
    return ours


def _check_settings(given: dict[str, Any]) -> None:
    for name, only in {"scale_rewards": "none", "advantage_estimator": "grpo"}.items():
        default = "group" if name == "scale_rewards" else "grpo"
        if (value := given.get(name, default)) != only:
            raise ValueError(
                f"{name}={value!r}: the rule defines its own scale, so this would change nothing; set "
                f"--{name} {only}"
            )
