"""Exact errors of value rules: bias and variance of an estimate of J_K from one group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np

from ... import rules
from ...core.arguments import as_group_size, as_k
from ...objectives import Objective, as_objective
from ...policies.levels import RewardLevels
from ...policies.objective import objective_value
from ...rules.samples import sample_groups
from .. import states
from ..exact import MAX_STATES
from ..weighted import WeightedMoments


@dataclass(frozen=True, kw_only=True)
class ValueMoments:
    """Errors of a value rule under a policy.

    Attributes
    ----------
    n, k
        Group size and K.
    objective
        What the value is measured against.
    value
        The objective's exact value, J.
    mean, variance
        Of the rule's value over groups of n i.i.d. rollouts.
    states
        Groups that were evaluated: count states, or arrangements where the rule depends on the order.
    lowest, highest
        The least and the largest value that the rule takes.
    """

    n: int
    k: int
    objective: Objective
    value: float
    mean: float
    variance: float
    states: int
    lowest: float
    highest: float

    @property
    def bias(self) -> float:
        """``mean - value``."""
        return self.mean - self.value

    @property
    def relative_bias(self) -> float:
        """``bias / |value|``: negative where the rule reports too little; NaN where the value is 0."""
        return self.bias / abs(self.value) if self.value else nan

    @property
    def standard_deviation(self) -> float:
        """Of one group's value; over B prompts of this policy the mean has this over sqrt(B)."""
        return sqrt(self.variance)

    @property
    def mean_squared_error(self) -> float:
        """``bias^2 + variance``."""
        return self.bias**2 + self.variance


def value_moments(
    value_rule: str | rules.Rule,
    levels: RewardLevels,
    *,
    n: int,
    k: int,
    target: str | Objective = "max@k",
    max_states: int = MAX_STATES,
) -> ValueMoments:
    r"""Bias and variance of an estimate of J_K from one group, exactly.

    With v(c) the value of a group with counts c of the reward levels,

    .. math:: E[v] = \sum_c P(c)\, v(c), \qquad \mathrm{Var}[v] = \sum_c P(c)\, (v(c) - E[v])^2 ,

    over ``C(n+L-1, L-1)`` multinomial counts, n+1 for 0/1 rewards.

    Parameters
    ----------
    value_rule
        A name (``list_value_rules``), a ``ValueRule``, or any callable ``(rewards (B, n), k) -> (B,)`` on
        NumPy float64; one written for a single group is lifted by ``per_group``.
    levels
        The policy; its scores are not used.
    n, k
        Group size and K. K may exceed n: tools report something there, and J_K exists.
    target
        The objective that the bias is measured against: ``"max@k"``, ``"mean"``, ``"max@n"``, an
        L-statistic such as ``"l-statistic:TopM:2"``, or an ``Objective``.
    max_states
        Refuse beyond this many groups.

    Returns
    -------
    ValueMoments

    Raises
    ------
    TypeError, ValueError
        Bad arguments; a rule that is undefined at (n, k), random, returns anything but one finite real value
        per group, or whose rows influence each other; more than ``max_states`` states.

    Notes
    -----
    Assumes i.i.d. rollouts. Whether the order of rollouts matters is checked on permuted groups; a rule that
    depends on it is evaluated on all ``L^n`` arrangements. Cost states x n, and the rule; memory is bounded
    by blocks of 2^17 rewards.
    """
    n, k = as_group_size(n), as_k(k)
    if not isinstance(levels, RewardLevels):
        raise TypeError(f"levels is a {type(levels).__name__}: it must be a RewardLevels")
    objective = as_objective(target, n, k, argument="target")
    rule = rules.resolve_value(value_rule, n, k)
    moments, lowest, highest, number = WeightedMoments(1), np.inf, -np.inf, 0
    for block in _blocks(rule, levels, n, k, max_states):
        values = rules.evaluate(rule, levels.values[block.level], k, rules.VALUES)
        moments.merge(block.probability, values[:, None])
        lowest, highest = min(lowest, values.min()), max(highest, values.max())
        number += len(values)
    return ValueMoments(
        n=n,
        k=k,
        objective=objective,
        value=objective_value(levels, objective),
        mean=float(moments.mean[0]),
        variance=float(moments.comoment[0, 0]),
        states=number,
        lowest=float(lowest),
        highest=float(highest),
    )


def _blocks(
    rule: rules.Rule, levels: RewardLevels, n: int, k: int, max_states: int
) -> Iterator[states.Block]:
    """The states that an admitted rule must be evaluated on, in blocks."""
    size = len(levels.values)
    count_states = states.number_of_counts(n, size)
    if count_states > max_states:
        raise ValueError(
            f"{count_states:,} count states for n={n} and {size} reward levels, more than "
            f"max_states={max_states:,}: use a smaller group, merge reward levels, or raise max_states"
        )
    batch = min(count_states, max(1, states.BLOCK_ENTRIES // n))
    rules.admit(rule, n, k, values=levels.values, batch=batch, output=rules.VALUES)
    level = sample_groups(n, size)
    behaviour = rules.equivariance(rule, levels.values[level], level, k, rules.VALUES)
    if behaviour.counterexample is None:
        return states.count_blocks(n, levels.probabilities)
    if size**n > max_states:
        group, permuted = behaviour.counterexample
        raise ValueError(
            f"{rules.describe(rule)} depends on the order of rollouts ({group} and {permuted} get different "
            f"values), so it must be evaluated on all {size}^{n} = {size**n:,} arrangements, more than "
            f"max_states={max_states:,}: use a smaller group, or raise max_states"
        )
    return states.arrangement_blocks(n, levels.probabilities)
