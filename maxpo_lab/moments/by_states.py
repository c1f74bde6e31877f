"""Moments of any rule, summed over the states that a group can be in."""

from __future__ import annotations

from collections.abc import Sequence

from .. import rules
from ..policies.levels import RewardLevels
from ..rules.samples import sample_groups
from . import states
from .count_sums import CountSums


def over_states(
    rule: rules.Rule, policies: Sequence[RewardLevels], n: int, k: int, max_states: int
) -> list[CountSums]:
    """The sums of a rule over all counts of the levels, or all arrangements where it is not equivariant.

    The policies have their reward levels in common, so that the rule is evaluated once for all. Raises as
    ``exact_moments``: beyond ``max_states`` states, and for a rule that is not admitted. Cost: states x n for
    each policy, and the rule.
    """
    values = policies[0].values
    size = len(values)
    count_states = states.number_of_counts(n, size)
    if count_states > max_states:
        raise ValueError(
            f"{count_states:,} count states for n={n} and {size} reward levels, more than "
            f"max_states={max_states:,}: use a smaller group, merge reward levels, raise max_states, "
            f"sample, or write the rule as a RankLinear, which has no such limit"
        )
    batch = min(count_states, max(1, states.BLOCK_ENTRIES // n))
    rules.admit(rule, n, k, values=values, batch=batch)
    level = sample_groups(n, size)
    behaviour = rules.equivariance(rule, values[level], level, k)
    if behaviour.counterexample is not None:
        if size**n > max_states:
            group, permuted = behaviour.counterexample
            raise ValueError(
                f"{rules.describe(rule)} is not permutation-equivariant ({group} and {permuted} get "
                f"different advantages, ties aside), so it must be evaluated on all {size}^{n} = {size**n:,} "
                f"arrangements, more than max_states={max_states:,}: use a smaller group, raise max_states, "
                f"or sample"
            )
        enumerated = states.arrangement_blocks
    else:
        enumerated = states.count_blocks
    sums = [CountSums(levels, n, by_counts=not behaviour.equivariant) for levels in policies]
    for blocks in zip(*(enumerated(n, levels.probabilities) for levels in policies), strict=True):
        advantages = rules.evaluate(rule, values[blocks[0].level], k)
        for own, block in zip(sums, blocks, strict=True):
            own.add(block, advantages)
    return sums
