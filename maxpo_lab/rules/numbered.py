"""A rule of rows under policies of rows, as a rule of the numbers of their levels.

A rollout's row is one of a table's, so a rule of rows is one of row numbers, looked up in the table: a group
rule on levels 0, 1, 2, ..., or one of batches. What is measured of it needs no engine of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import array_api_compat
import numpy as np

from ..core.arrays import Float
from ..estimators import VectorBatchEstimator, VectorEstimator, get_estimator
from ..estimators.of_vectors.numbers import of_batches_of_numbers, of_numbers
from ..objectives import VectorObjective, as_vector_objective
from ..policies.levels import RewardLevels
from ..policies.vector_levels import VectorLevels
from .calling import Rule, describe
from .errors import VectorRuleError
from .kinds import OfBatches, OfVectors, VectorRule, WithMemory, takes_vectors


class ByNumber(NamedTuple):
    """A rule of numbers of rows, the policies by number, and the objective, which knows the rows."""

    rule: Rule | OfBatches
    policies: tuple[RewardLevels, ...]
    target: VectorObjective


def by_number(
    estimator: str | Rule | OfBatches | WithMemory | OfVectors,
    policies: Sequence[VectorLevels],
    *,
    n: int,
    k: int,
    target: str | Any = "max@k",
) -> ByNumber:
    """A rule of rows, policies and objective by the numbers of the rows that the policies have together.

    The weights of the objective are the rule's.

    Raises
    ------
    VectorRuleError
        A rule of one reward: which sum of them it is to see is a choice.
    TypeError, ValueError
        Policies of another number of rewards, or of which some have lengths and others none; a rule that is
        undefined at (n, k) or on the rows, that takes lengths where there are none, or has other weights; an
        unknown target.
    """
    rule = get_estimator(estimator) if isinstance(estimator, str) else estimator
    if not takes_vectors(rule):
        name = describe(rule)
        raise VectorRuleError(
            f"{name} takes one reward of a rollout, and here rollouts carry rows: take summed:{name} or "
            f"per-reward:{name} (a callable through vector_rule), or measure it under "
            f"levels.of_reward(weights)"
        )
    table, numbers = _joined(policies)
    lengths = policies[0].lengths is not None
    if rule.takes_lengths and not lengths:
        raise ValueError(f"{describe(rule)} takes lengths: give the levels lengths=, one an outcome")
    rewards = policies[0].rewards.shape[1]
    rows = table if rule.takes_lengths else table[:, :rewards]
    if isinstance(rule, VectorRule):
        weights = rule.reward_weights or (1.0,) * rewards
        if len(weights) != rewards:
            raise ValueError(f"reward_weights={weights} are {len(weights)}, of {rewards} rewards")
    else:
        weights = rule.weights(rewards)
        of_group = rule.own if isinstance(rule, VectorBatchEstimator) else rule
        if reason := rule.why_not(n, k) or of_group.why_not_rows(
            array_api_compat.array_namespace(rows), rows
        ):
            raise ValueError(reason)
    objective = as_vector_objective(target, n, k, weights=weights, table=table[:, :rewards])
    found = tuple(
        replace(each.by_number, values=number) for each, number in zip(policies, numbers, strict=True)
    )
    return ByNumber(_looked_up(rule, rows), found, objective)


def _joined(policies: Sequence[VectorLevels]) -> tuple[Float, list[Float]]:
    """The distinct rows of all policies, and the number of each level's row, ascending for each policy."""
    widths = {(each.rewards.shape[1], each.lengths is not None) for each in policies}
    if len(widths) > 1:
        raise ValueError(
            f"policies have rows of {sorted(widths)} (rewards, lengths or not): they must be of one kind"
        )
    table, number = np.unique(np.concatenate([each.table for each in policies]), axis=0, return_inverse=True)
    if len(policies) == 1:
        return policies[0].table, [np.arange(float(len(policies[0].rewards)))]
    ends = np.cumsum([len(each.rewards) for each in policies])[:-1]
    numbers = [part.astype(np.float64) for part in np.split(number.ravel(), ends)]
    for each, own in zip(policies, numbers, strict=True):
        if (np.diff(own) <= 0).any():
            raise ValueError(
                f"levels of {len(each.rewards)} rows are in an order of their own: build those of several "
                f"prompts with VectorLevels.from_outcomes or from_softmax, which sort them"
            )
    return table, numbers


def _looked_up(rule: OfVectors, rows: Float) -> Rule | OfBatches:
    if isinstance(rule, VectorEstimator):
        return of_numbers(rule, rows)
    if isinstance(rule, VectorBatchEstimator):
        return of_batches_of_numbers(rule, rows)
    table, lengths = (rows[:, :-1], rows[:, -1]) if rule.takes_lengths else (rows, None)

    def looked_up(numbers: Any, k: int) -> Any:
        at = np.asarray(numbers).astype(np.intp)
        return rule(table[at], k, lengths=None if lengths is None else lengths[at])

    looked_up.__name__ = rule.name
    return looked_up
