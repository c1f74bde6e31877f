r"""The catalogue in google-tunix: an advantage estimator and a reward manager in its registry.

::

    from maxpo_lab.integrations.adapters import tunix
    from tunix.rl.grpo.grpo_learner import GRPOConfig, GRPOLearner

    rule = tunix.register("maxpo", k=4)
    config = GRPOConfig(num_generations=16, advantage_estimator=rule.name, reward_manager=rule.name,
                        loss_agg_mode="seq-mean-token-sum")
    learner = GRPOLearner(rl_cluster, config, reward_fns=[solved], metric_fns=[rule.metric_fn])
    learner.train(dataset)

tunix's own reward manager sums over the reward functions with NaN as 0, so an unscored rollout would count as
a failure. The one registered here gives the same sums and remembers which rollouts no function scored, what
each function said, and the prompts; so rules of several rewards work (``reward_weights``, one a function),
unscored rollouts are left out and get 0, and ``"replay"`` knows a prompt by its text. With tunix's manager a
rule of one reward works on what that hands over, and the others are refused.

Groups are ``num_generations`` rows that follow each other. tunix replaces an estimator of one name by
another; here a name that is taken is refused. Its default loss, ``sequence-mean-token-mean``, divides by the
tokens of a response: see docs/explain/conventions.md.

Hook: google/tunix, tunix/rl/function_registry.py, ``register_advantage_estimator`` and
``register_reward_manager``; called in tunix/rl/grpo/grpo_learner.py. Tested with google-tunix 0.1.7.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.arrays import Float
from .changed import Release
from .training_rule import CatalogueRule, SmallGroups, TrainingRule

TESTED = Release("tunix", "0.1.7", "google-tunix")


class Scores(np.ndarray[Any, np.dtype[np.float64]]):
    """The sums that tunix logs and hands to an estimator, (B,), with what they are sums of.

    Attributes
    ----------
    each
        What each function gave, (B, d), NaN where it gave none.
    prompts
        The prompt of each rollout.
    evaluated
        Whether the learner evaluates, and does not train: a memory then stays as it is.
    """

    each: Float | None = None
    prompts: Sequence[str] | None = None
    evaluated: bool = False

    @classmethod
    def of(cls, sums: npt.NDArray[Any], each: Float, prompts: Sequence[str], *, evaluated: bool) -> Scores:
        """The sums, carrying the rest."""
        found = np.asarray(sums, dtype=np.float64).view(cls)
        found.each, found.prompts, found.evaluated = each, list(prompts), evaluated
        return found


@dataclass(frozen=True, eq=False)
class Registered:
    """A rule in tunix's registry.

    Attributes
    ----------
    name
        What the estimator and the reward manager are called there.
    rule
        The rule, with ``metrics`` of its latest call.
    """

    name: str
    rule: TrainingRule

    def estimator(self, rewards: Any, num_generations: int) -> Float:
        """Advantages (B,) of rewards (B,), groups of ``num_generations`` that follow each other."""
        count = len(rewards)
        if count % num_generations:
            raise ValueError(f"{count} rewards are no groups of num_generations={num_generations}")
        each = getattr(rewards, "each", None)
        if each is None and (self.rule.several or self.rule.memory is not None):
            raise ValueError(
                f"{self.rule.rule.name} needs what tunix's reward manager leaves out, each function's reward "
                f"and the prompts: set GRPOConfig(reward_manager={self.name!r})"
            )
        values = np.asarray(rewards, dtype=np.float64)
        if each is not None and not self.rule.several:
            values = np.where(np.isnan(each).all(axis=1), np.nan, values)
        found = self.rule(
            each if self.rule.several else values,
            np.repeat(np.arange(count // num_generations), num_generations),
            prompts=getattr(rewards, "prompts", None),
            remember=not getattr(rewards, "evaluated", False),
        )
        self.rule.warn(logging.getLogger(__name__))
        return found

    def metric_fn(self, **_: Any) -> dict[str, tuple[float, Callable[..., Any]]]:
        """For ``metric_fns`` of a learner: the metrics of the batch that was just answered."""
        return {f"maxpo/{name}": (value, np.mean) for name, value in self.rule.metrics.items()}


def register(
    estimator: CatalogueRule = "maxpo",
    k: int | None = None,
    *,
    name: str | None = None,
    small_groups: SmallGroups = "zero",
    reward_weights: Sequence[float] | None = None,
    memory_folder: str | None = None,
) -> Registered:
    """Register a rule with tunix, under its own name unless told; see ``TrainingRule``.

    Raises
    ------
    ValueError
        tunix has an estimator or a reward manager of this name.
    FrameworkChangedError
        tunix's registry is not there, or its learner calls estimators otherwise.
    """
    registry = TESTED.module("tunix.rl.function_registry")
    managers = TESTED.module("tunix.rl.reward_manager")
    TESTED.takes(registry, "register_advantage_estimator", "name")
    TESTED.takes(registry, "register_reward_manager", "name")
    base = TESTED.has(managers, "SequenceRewardManager")
    TESTED.takes(base, "_prepare_log_metrics", "self", "prompts", "completions", "rewards")
    rule = TrainingRule(
        estimator, k, small_groups=small_groups, reward_weights=reward_weights, memory_folder=memory_folder
    )
    made = Registered(rule.rule.name if name is None else name, rule)
    known = TESTED.has(registry, "default_registry")
    for category in ("advantage_estimator", "reward_manager"):
        if made.name in known.list_functions(category):
            raise ValueError(
                f"tunix has {category} {made.name!r} already, and would replace it: pass name= another, e.g. "
                f"name='maxpo-{made.name}'"
            )
    registry.register_advantage_estimator(made.name)(made.estimator)
    registry.register_reward_manager(made.name)(_manager(base))
    return made


def _manager(base: Any) -> type:
    """Tunix's reward manager of sequences, whose sums say what they are sums of."""

    class ScoringManager(base):  # type: ignore[misc]
        def _prepare_log_metrics(self, prompts: Any, completions: Any, rewards: Any) -> Any:
            self._each = np.array(rewards, dtype=np.float64)
            return super()._prepare_log_metrics(prompts, completions, rewards)

        def __call__(self, prompts: Any, completions: Any, **others: Any) -> dict[str, Any]:
            found: dict[str, Any] = super().__call__(prompts, completions, **others)
            evaluated = others.get("mode") == "eval"  # the learner says it so
            found["rewards"] = Scores.of(found["rewards"], self._each, prompts, evaluated=evaluated)
            return found

    return ScoringManager
