"""Moments of any rule, summed over the states that a group can be in."""

from __future__ import annotations

import numpy as np

from .. import rules
from ..core import states
from ..core.arrays import Float
from ..policies.levels import RewardLevels


class CountSums:
    """Running moments of ``x = sum_l T_l G_l`` and of the advantages, over weighted states.

    All gradients lie in the span of the mean scores, so x is kept in an orthonormal basis of it: at most
    L numbers, whatever d. Mean and co-moments are updated block by block with Chan's rule, so the
    variance is a sum of squares of deviations, never a difference of large moments.
    """

    def __init__(self, levels: RewardLevels, n: int, *, by_counts: bool) -> None:
        self.size, self.n = len(levels.values), n
        self.basis, self.coordinates = levels.span()
        self.weight = 0.0
        self.mean = np.zeros(self.coordinates.shape[1])
        self.comoment = np.zeros((len(self.mean), len(self.mean)))
        self.squares = np.zeros(self.size)
        self.sum_square = self.sum_max = 0.0
        self.states = 0
        self._largest: list[Float] = []
        self._chance: list[Float] = []
        self._per_count: dict[tuple[int, ...], Float] | None = {} if by_counts else None

    def add(self, block: states.Block, advantages: Float) -> None:
        """Take in a block of states and the rule's advantages (B, n) on them."""
        chance = block.probability
        x = block.sums(advantages, self.size) @ self.coordinates
        self.squares += chance @ block.sums(advantages**2, self.size)
        total = advantages.sum(axis=1)
        self.sum_square += float(chance @ total**2)
        self.sum_max = max(self.sum_max, float(np.abs(total).max()))
        self._largest.append(np.abs(advantages).max(axis=1))
        self._chance.append(chance)
        self.states += len(chance)
        if self._per_count is not None:
            self._add_per_count(block, x, self._per_count)
        self._merge(chance, x)

    def _merge(self, chance: Float, x: Float) -> None:
        weight = float(chance.sum())
        if not weight:
            return
        mean = chance @ x / weight
        deviation = x - mean
        merged = self.weight + weight
        step = mean - self.mean
        self.comoment += (chance[:, None] * deviation).T @ deviation
        self.comoment += np.outer(step, step) * (self.weight * weight / merged)
        self.mean += step * (weight / merged)
        self.weight = merged

    def _add_per_count(self, block: states.Block, x: Float, per_count: dict[tuple[int, ...], Float]) -> None:
        counts, inverse = np.unique(np.sort(block.level, axis=1), axis=0, return_inverse=True)
        weighted = np.column_stack([block.probability, block.probability[:, None] * x])
        for index, key in enumerate(map(tuple, counts.tolist())):
            part = weighted[inverse.ravel() == index].sum(axis=0)
            per_count[key] = per_count.get(key, 0.0) + part

    def between_counts(self) -> float:
        """Trace of the covariance of E[x | counts]."""
        if self._per_count is None:
            return float(np.trace(self.comoment))
        rows = np.stack([row for row in self._per_count.values() if row[0]])
        deviation = rows[:, 1:] / rows[:, :1] - self.mean
        return float(rows[:, 0] @ np.sum(deviation**2, axis=1))

    def dead_probability(self, threshold: float) -> float:
        """Chance of a group whose largest |A| is at most the threshold."""
        dead = np.concatenate(self._largest) <= threshold
        return float(np.concatenate(self._chance)[dead].sum())


def over_states(rule: rules.Rule, levels: RewardLevels, n: int, k: int, max_states: int) -> CountSums:
    """The sums of a rule over all counts of the levels, or all arrangements where it is not equivariant.

    Raises as ``exact_moments``: beyond ``max_states`` states, and for a rule that is not admitted. Cost:
    states x n, and the rule.
    """
    size = len(levels.values)
    count_states = states.number_of_counts(n, size)
    if count_states > max_states:
        raise ValueError(
            f"{count_states:,} count states for n={n} and {size} reward levels, more than "
            f"max_states={max_states:,}: use a smaller group, merge reward levels, raise max_states, "
            f"sample, or write the rule as a RankLinear, which has no such limit"
        )
    batch = min(count_states, max(1, states.BLOCK_ENTRIES // n))
    rules.admit(rule, n, k, values=levels.values, batch=batch)
    level = states.sample_groups(n, size)
    behaviour = rules.equivariance(rule, levels.values[level], level, k)
    if behaviour.counterexample is None:
        blocks = states.count_blocks(n, levels.probabilities)
    else:
        if size**n > max_states:
            group, permuted = behaviour.counterexample
            raise ValueError(
                f"{rules.describe(rule)} is not permutation-equivariant ({group} and {permuted} get "
                f"different advantages, ties aside), so it must be evaluated on all {size}^{n} = {size**n:,} "
                f"arrangements, more than max_states={max_states:,}: use a smaller group, raise max_states, "
                f"or sample"
            )
        blocks = states.arrangement_blocks(n, levels.probabilities)
    sums = CountSums(levels, n, by_counts=not behaviour.equivariant)
    for block in blocks:
        sums.add(block, rules.evaluate(rule, levels.values[block.level], k))
    return sums
