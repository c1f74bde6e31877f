r"""The catalogue in prime-rl: an algorithm in the place of its GRPO.

prime-rl has no hook for user code: an algorithm is a named class of its own, and its configuration is a
closed union. ``install`` puts a class that computes the advantages of a rule in the place of ``grpo``, in the
process of the orchestrator, which a script of your own starts in place of the command ``orchestrator``::

    # orchestrate.py: python orchestrate.py @ orch.toml   with   algo.type = "grpo"
    from maxpo_lab.integrations.adapters import prime_rl

    prime_rl.install("maxpo", k=4)
    from prime_rl.entrypoints.orchestrator import main

    main()

The traces of a group that can be trained on are the rollouts, as in prime-rl: those that failed are not among
them, so a group may be smaller. One all of whose rewards are None or NaN is left out too and gets 0. A
``length_penalty``, which is of GRPO's rewards, is refused.

``"replay"`` knows a prompt by its environment and the index of its task, which last; each group is a step of
the memory, which ``memory_folder`` keeps. ``reward_keys`` reads several rewards from ``Trace.rewards``.
``filter_zero_advantages`` and the curriculum's gates see the advantages of the rule. The metrics of
``TrainingRule`` are ``rule.metrics``, and a warning is logged where rewards were wanting.

prime-rl is not on PyPI. Hook: PrimeIntellect-ai/prime-rl, src/prime_rl/orchestrator/algo:
``ALGORITHM_CLASSES``, ``Algorithm.score_group(episodes)``, ``iter_trainable_traces``,
``routing.assign_advantages``. Tested against the sources at commit 559b447 (2026-08-21, 0.8.1.dev67).
Versions before that, which scored rollouts or took custom advantage functions from the configuration, are
refused by name.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

from .changed import Release
from .training_rule import CatalogueRule, SmallGroups, TrainingRule

TESTED = Release(
    "prime-rl",
    "at commit 559b447 of 2026-08-21 (0.8.1.dev67)",
    "prime-rl",
    "install it from https://github.com/PrimeIntellect-ai/prime-rl",
)


def install(
    estimator: CatalogueRule = "maxpo",
    k: int | None = None,
    *,
    small_groups: SmallGroups = "zero",
    reward_keys: Sequence[str] = (),
    reward_weights: Sequence[float] | None = None,
    memory_folder: str | None = None,
) -> TrainingRule:
    """Put a rule in the place of prime-rl's GRPO; the rule, with its metrics.

    Raises
    ------
    FrameworkChangedError
        prime-rl's algorithms are made or called otherwise; the message says what differs.
    """
    algo = TESTED.module("prime_rl.orchestrator.algo")
    base = TESTED.module("prime_rl.orchestrator.algo.base")
    routing = TESTED.module("prime_rl.orchestrator.algo.routing")
    classes = TESTED.has(algo, "ALGORITHM_CLASSES")
    theirs = TESTED.has(base, "Algorithm")
    TESTED.takes(theirs, "score_group", "self", "episodes")
    TESTED.takes(base, "iter_trainable_traces", "episodes")
    TESTED.takes(routing, "assign_advantages", "trace", "values")
    if "grpo" not in classes:
        raise TESTED.error(f"ALGORITHM_CLASSES has no 'grpo', only {', '.join(classes)}")
    one = None if reward_keys else "no reward_keys say which: pass reward_keys=[...], names in Trace.rewards"
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
            f"reward_keys={list(reward_keys)} with {rule.rule.name}, which takes one reward; leave them out"
        )
    keys = tuple(reward_keys)

    class RuleAlgorithm(theirs):  # type: ignore[misc, valid-type]
        """The advantages of a rule on the trainable traces of a group."""

        def __init__(self, config: Any, policy_pool: Any) -> None:
            if getattr(config, "length_penalty", None) is not None:
                raise ValueError(
                    f"algo.length_penalty shapes the rewards of GRPO, which {rule.rule.name} takes the place "
                    f"of: leave it out, or put the penalty into the reward"
                )
            super().__init__(config, policy_pool)
            self.rule = rule

        async def score_group(self, episodes: list[Any]) -> None:
            pairs = list(base.iter_trainable_traces(episodes))
            if not pairs:
                return
            traces = [trace for _, trace in pairs]
            prompts = None if rule.memory is None else [_prompt_of(*each) for each in pairs]
            lengths = [max(1, int(getattr(each, "num_output_tokens", 1))) for each in traces]
            values = [_rewards(each, keys) for each in traces]
            found = rule(values, [0] * len(traces), prompts=prompts, lengths=lengths)
            rule.warn(logging.getLogger(__name__))
            for each, advantage in zip(traces, found.tolist(), strict=True):
                routing.assign_advantages(each, advantage)

    RuleAlgorithm.action_loss_type = classes["grpo"].action_loss_type
    classes["grpo"] = RuleAlgorithm
    return rule


def _rewards(trace: Any, keys: tuple[str, ...]) -> Any:
    """The sum of a trace's rewards, or those of some names; NaN where there is none."""
    each = {name: math.nan if given is None else float(given.value) for name, given in trace.rewards.items()}
    if not keys:
        return math.nan if all(map(math.isnan, each.values())) else float(trace.reward)
    missing = [key for key in keys if key not in each]
    if missing:
        raise ValueError(f"reward_keys: a trace has no rewards[{missing[0]!r}], only {', '.join(each)}")
    return [each[key] for key in keys]


def _prompt_of(episode: Any, trace: Any) -> str:
    """The environment and the index of the task in it."""
    index = getattr(getattr(getattr(trace, "task", None), "data", None), "idx", None)
    environment = getattr(getattr(episode, "env", None), "id", None)
    if index is None or environment is None:
        raise TESTED.error(
            "a trace has no task.data.idx, or its episode no env.id, by which prompts are known"
        )
    return f"{environment}/{index}"
