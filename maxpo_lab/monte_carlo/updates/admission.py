"""Rules of any kind on batches of groups: admitted first, then called with rewards and ratios."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ... import rules
from ...core.arguments import as_k
from ...core.arrays import Float
from ...estimators import BatchEstimator, get_estimator
from ...estimators.entry import Entry
from ...rules.batch_calls import of_batches

#: What a rule of any kind is given by.
AnyRule = str | rules.Rule | rules.OfBatches | rules.RatioRule
#: Advantages (U P, n) of rewards and log-ratios of rollouts, (U P, n) each.
Advantages = Callable[[Float, Float], Float]
#: Levels that a stranger's rule is tried on at most.
_LEVELS = 8


def admitted(
    asked: Mapping[str, AnyRule], n: int, k: int, *, prompts: int, rewards: Float, log_ratios: Float
) -> list[Advantages]:
    """The rules, known to be defined at (n, k) and a function of what they see.

    ``rewards`` and ``log_ratios`` (U P, n) are of a first draw: strangers' rules are tried on what is in it.

    Raises
    ------
    TypeError, ValueError
        As ``rules.admit`` and ``rules.admit_batch``; a rule of groups alone among prompts is none of a batch.
    """
    return [
        _one(rule, n, k, prompts=prompts, rewards=rewards, log_ratios=log_ratios) for rule in asked.values()
    ]


def _one(asked: AnyRule, n: int, k: int, *, prompts: int, rewards: Float, log_ratios: Float) -> Advantages:
    estimator = get_estimator(asked) if isinstance(asked, str) else asked
    if isinstance(estimator, rules.RatioRule):
        return _of_ratios(estimator, n, k, rewards=rewards, log_ratios=log_ratios)
    if rules.couples(estimator):
        return _of_batches(estimator, n, k, prompts=prompts, rewards=rewards)
    rule = rules.admit(estimator, n, k, values=_some(np.unique(rewards)), batch=len(rewards))

    def of_groups(rewards: Float, _: Float) -> Float:
        _hold_domain(rule, rewards)
        return rules.evaluate(rule, rewards, k)

    return of_groups


def _of_batches(rule: rules.OfBatches, n: int, k: int, *, prompts: int, rewards: Float) -> Advantages:
    if isinstance(rule, BatchEstimator):
        if reason := rule.why_not(n, k) or rule.why_not_batch(prompts):
            raise ValueError(reason)
    else:
        rules.admit_batch(rule, n, k, prompts=prompts, values=_some(np.unique(rewards)))

    def whole(rewards: Float, _: Float) -> Float:
        _hold_domain(rule, rewards)
        found: Float = of_batches(rule, rewards.reshape(-1, prompts, n), k)
        return np.asarray(found.reshape(rewards.shape))

    return whole


def _of_ratios(rule: rules.RatioRule, n: int, k: int, *, rewards: Float, log_ratios: Float) -> Advantages:
    as_k(k, n=n)
    pairs = _some(np.unique(np.stack([rewards.ravel(), log_ratios.ravel()], axis=1), axis=0))

    def by_number(numbers: Any, k: int) -> Any:
        at = np.asarray(numbers).astype(np.intp)
        return rule(pairs[at, 0], k, log_ratios=pairs[at, 1])

    by_number.__name__ = rule.name
    rules.admit(by_number, n, k, values=np.arange(float(len(pairs))), batch=len(rewards))

    def of_pairs(rewards: Float, log_ratios: Float) -> Float:
        def seen(rewards: Any, k: int) -> Any:
            return rule(rewards, k, log_ratios=log_ratios.copy())

        seen.__name__ = rule.name
        return rules.evaluate(seen, rewards, k)

    return of_pairs


def _some(levels: Float) -> Float:
    """A few of the levels, the first and the last among them."""
    return np.asarray(levels[np.unique(np.linspace(0, len(levels) - 1, _LEVELS).astype(int))])


def _hold_domain(rule: object, rewards: Float) -> None:
    if isinstance(rule, Entry) and rule.domain != "real" and (reason := rule.why_not_rewards(rewards)):
        raise ValueError(reason)
