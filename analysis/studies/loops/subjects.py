"""The rules of the study, those with history at every history of fair successes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from maxpo_lab import rules
from maxpo_lab.core.arrays import Float
from maxpo_lab.core.binomial import binomial
from maxpo_lab.estimators.history.centered import centered_replay
from maxpo_lab.estimators.history.replay import replay
from maxpo_lab.losses import off_policy_advantages

from ...measure.success_tables import NUMPY, HistoryRule

RULES = ("maxpo", "pkpo-loo1", "pkpo-s", "replay", "centered-replay", "grpo", "rloo")
#: Products of ratios over subsets, where the others take a ratio of their own rollout at most.
OFF_POLICY = rules.ratio_rule(off_policy_advantages, name="off-policy max@k")
#: Rules with a history, of as many rewards as a group has.
_WITH_HISTORY: dict[str, HistoryRule] = {"replay": replay, "centered-replay": centered_replay}
#: A history rarer than this changes no digit that is shown.
_RARE = 1e-12


Subject = str | rules.Rule | rules.RatioRule


def at_histories(rule: str, *, n: int, success: float) -> Iterator[tuple[float, Subject]]:
    """The rule, or the rule at each history of n rewards of the policy that draws, with its chance."""
    if rule == OFF_POLICY.name:
        yield 1.0, OFF_POLICY
        return
    each = histories(rule, n)
    chances = [1.0] if len(each) == 1 else binomial(n, success, 1 - success).tolist()
    yield from ((chance, at) for chance, at in zip(chances, each, strict=True) if chance > _RARE)


def histories(rule: str, n: int) -> list[str | rules.Rule]:
    """The rule, or the rule at a history of n rewards with 0 .. n successes."""
    if rule not in _WITH_HISTORY:
        return [rule]
    return [_at(_WITH_HISTORY[rule], rule, np.arange(n) < count) for count in range(n + 1)]


def _at(rule: HistoryRule, name: str, past: np.ndarray) -> Callable[[Float, int], Float]:
    given = past.astype(np.float64)

    def at(rewards: Float, k: int) -> Float:
        y = np.broadcast_to(given, (*rewards.shape[:-1], len(given)))
        return np.asarray(rule(NUMPY, rewards, k, y, np.ones_like(y)))

    at.__name__ = name
    return at
