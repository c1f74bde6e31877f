"""Chance of a group that teaches a rank-linear rule nothing, by recursion over the reward levels."""

from __future__ import annotations

import numpy as np

from ...core.arrays import Bool, Float
from ...policies.levels import RewardLevels
from .thresholds import BinaryTable, thinned


def dead_probability(table: BinaryTable, levels: RewardLevels, threshold: float) -> float:
    r"""Chance of a group in which every advantage is 0, up to ``threshold``.

    Neighbours in a group differ by ``gap (a+(c) - a-(c))``, c the number above the gap. So all advantages are
    equal iff ``a+(c) = a-(c) = v(c)`` at every gap, and their common value is then ``offset R_min + sum gap
    v(c)``. Three cases are decided, over the counts c = 1..n-1 at which success and failure get the same:

    - v is 0 at all of them: the value is ``offset R_min``;
    - v is the offset at all of them: the value is ``offset R_max``;
    - the offset is 0 and v is of one sign: the value is 0 iff v is 0 at every gap.

    Every rule of the catalogue is one of them. Elsewhere signs could cancel: NaN. A gap so small that
    its part of every advantage is within the threshold counts as a tie.

    Cost O(L n^2) time, O(L n) memory.
    """
    n, offset, values = table.n, float(table.success[-1]), levels.values
    success, failure = table.success[1:n], table.failure[1:n]
    size = np.maximum(np.maximum(np.abs(success), np.abs(failure)), abs(offset))
    tie = np.diff(values)[:, None] * size <= threshold
    equal = success == failure
    shared = success[equal]
    nothing = np.abs(offset * values) <= threshold
    anything = np.ones(len(values), dtype=np.bool_)
    if not shared.any():
        return _chance(levels.probabilities, tie | equal, lowest=nothing, highest=anything)
    if (shared == offset).all():
        return _chance(levels.probabilities, tie | equal, lowest=anything, highest=nothing)
    if not offset and ((shared >= 0).all() or (shared <= 0).all()):
        return _chance(levels.probabilities, tie, lowest=anything, highest=anything)
    return float("nan")


def _chance(probabilities: Float, allowed: Bool, *, lowest: Bool, highest: Bool) -> float:
    """Chance that all counts above thresholds are allowed, the lowest and highest level in their sets.

    ``allowed`` (L-1, n-1) is of the counts 1..n-1: with 0 or n there is no gap at the threshold. Recursion
    from the top threshold down: ``chance[c]`` is that of all that lies above the present threshold,
    given c rollouts above it.
    """
    n = allowed.shape[1] + 1
    up = np.cumsum(probabilities[::-1])[::-1]
    chance = np.full(n + 1, float(highest[-1]))
    chance[0] = 1.0  # nobody is above: the maximum was found below
    chance[n] *= lowest[-1]  # everybody is above: the minimum is still to be found
    for level in range(len(probabilities) - 2, -1, -1):
        chance[1:n] *= allowed[level]
        chance[0] = highest[level]
        total = up[level + 1] + probabilities[level]
        kept, lost = up[level + 1] / total, probabilities[level] / total
        all_above = kept**n * chance[n]
        chance = thinned(chance, kept, lost)
        if not lowest[level]:
            chance[n] = all_above
        chance[0] = 1.0
    return float(chance[n])
