"""Every group that claims about a value rule are decided on, and what the rule gives there."""

from __future__ import annotations

import numpy as np

from ... import rules
from ...core.arrays import Float, Int
from ...moments import states
from ..decide.claims import FLAT, Setting, TooManyError, few_enough


def levels_of(setting: Setting) -> tuple[Float, ...]:
    """Sets of reward levels to decide on: the setting's, and where they are graded no binary fractions.

    Of those there are three, which a setting of two levels, at large n, has no room for.
    """
    both = setting.rewards == "graded" and len(setting.values) >= len(FLAT)
    every = (setting.values, np.array(FLAT)) if both else (setting.values,)
    return tuple(setting.unit * values for values in every)


def level_indices(setting: Setting, size: int) -> Int:
    """Every count state (S, n) as a sorted group, or every arrangement where the order matters.

    The simplest first: by the sum of the levels. Raises TooManyError where that are too many.
    """
    if not few_enough(setting):
        raise TooManyError(
            f"a rule that depends on the order of rollouts needs all {size}^{setting.n} arrangements of a "
            f"group: audit it at a smaller n"
        )
    alike = np.full(size, 1.0 / size)
    enumerated = states.count_blocks if setting.equivariant else states.arrangement_blocks
    level = np.concatenate([block.level for block in enumerated(setting.n, alike)])
    return np.asarray(level[np.argsort(level.sum(axis=1), kind="stable")])


def evaluated(rule: rules.Rule, groups: Float, k: int) -> Float:
    """Values (B,) of groups (B, n), in calls of bounded size."""
    rows = max(1, states.BLOCK_ENTRIES // groups.shape[1])
    parts = (groups[start : start + rows] for start in range(0, len(groups), rows))
    return np.concatenate([rules.evaluate(rule, part, k, rules.VALUES) for part in parts])


def averaged(rule: rules.Rule, setting: Setting, levels: Float) -> tuple[Float, Float]:
    """Every count state as a group (S, n), the simplest first, and its mean value over its orders (S,)."""
    level = level_indices(setting, len(levels))
    values = evaluated(rule, levels[level], setting.k)
    if setting.equivariant:
        return levels[level], values
    counts, state = np.unique(np.sort(level, axis=1), axis=0, return_inverse=True)
    state = state.ravel()
    means = np.bincount(state, weights=values) / np.bincount(state)
    simplest = np.argsort(counts.sum(axis=1), kind="stable")
    return levels[counts[simplest]], means[simplest]


def allowed(rule: rules.Rule, groups: Float, values: Float) -> Float:
    """What rounding may do to the values (B,) of groups (B, n), relative to the largest reward."""
    return rules.tolerance(rule, groups, values[:, None], 1)[:, 0]
