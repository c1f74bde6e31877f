"""The groups that a loop draws: with copies, and without those it drops."""

from __future__ import annotations

from collections.abc import Iterator
from math import comb
from typing import Literal

import numpy as np

from ... import rules
from ...core.arrays import Float, Int
from ...rules.samples import sample_groups
from .. import states
from .group_sums import Draws

#: What a loop does with groups of rewards that are all alike.
DeadGroupPolicy = Literal["keep", "drop", "redraw", "replace"]


def draws(
    rule: rules.Rule,
    values: Float,
    probabilities: Float,
    *,
    n: int,
    k: int,
    dead_groups: DeadGroupPolicy,
    duplicates: float,
    max_states: int,
    rewards: Float | None = None,
) -> Iterator[Draws]:
    """All groups of n rollouts, with their chances and advantages; a dropped one has none.

    With duplicates, each rollout but the first is a copy of the first with that chance. ``rewards`` of the
    levels say which groups are dead, where what the rule sees of a level are other ``values``. Raises as
    ``exact_moments``.
    """
    size = len(values)
    paid = values if rewards is None else rewards
    needed = sum(
        size * states.number_of_counts(n - copies, size) for copies in _copies(n, duplicates) if copies > 1
    ) + states.number_of_counts(n, size)
    if needed > max_states:
        raise ValueError(
            f"{needed:,} count states for n={n} and {size} "
            f"{'reward levels' if rewards is None else 'classes of reward and ratio'}, more than "
            f"max_states={max_states:,}: use a smaller group, merge levels, raise max_states, or sample with "
            f"monte_carlo_updates"
        )
    rules.admit(rule, n, k, values=values, batch=max(1, min(needed, states.BLOCK_ENTRIES // n)))
    level = sample_groups(n, size)
    observed = rules.equivariance(rule, values[level], level, k)
    symmetric = observed.counterexample is None
    if not symmetric and (size**n > max_states or duplicates):
        group, permuted = observed.counterexample or ("", "")
        raise ValueError(
            f"{rules.describe(rule)} is not permutation-equivariant ({group} and {permuted} get different "
            f"advantages, ties aside), so it must be evaluated on all {size}^{n} = {size**n:,} arrangements, "
            f"of rollouts without duplicates and at most max_states={max_states:,}: use a smaller group or "
            f"another rule, or sample with monte_carlo_updates"
        )
    for copies in _copies(n, duplicates):
        chance = comb(n - 1, copies - 1) * duplicates ** (copies - 1) * (1 - duplicates) ** (n - copies)
        for units, probability in _units(n, copies, probabilities, symmetric=symmetric):
            whole = np.concatenate([np.repeat(units[:, :1], copies, axis=1), units[:, 1:]], axis=1)
            advantages = rules.evaluate(rule, values[whole], k)
            alive = (paid[whole] != paid[whole[:, :1]]).any(axis=1).astype(np.float64)
            kept = np.ones(len(whole)) if dead_groups == "keep" else alive
            parts = np.stack(
                [np.maximum(advantages, 0.0), np.minimum(advantages, 0.0), np.ones_like(advantages)], axis=-1
            )
            parts *= kept[:, None, None]
            first = parts[:, :copies].sum(axis=1, keepdims=True)
            yield Draws(
                level=units,
                chance=chance * probability * (kept if dead_groups in ("redraw", "replace") else 1.0),
                sums=np.concatenate([first, parts[:, copies:]], axis=1),
                copies=copies,
                alive=alive,
                counted=kept,
            )


def _copies(n: int, duplicates: float) -> range:
    return range(1, n + 1) if duplicates else range(1, 2)


def _units(n: int, copies: int, probabilities: Float, *, symmetric: bool) -> Iterator[tuple[Int, Float]]:
    """Levels of the independent units of groups, (B, n - copies + 1), the copied one first."""
    if copies == 1:
        blocks = states.count_blocks if symmetric else states.arrangement_blocks
        for block in blocks(n, probabilities):
            yield block.level, block.probability
        return
    for own, chance in enumerate(probabilities.tolist()):
        if copies == n:
            yield np.full((1, 1), own, dtype=np.intp), np.array([chance])
            continue
        for block in states.count_blocks(n - copies, probabilities):
            first = np.full((len(block.level), 1), own, dtype=np.intp)
            yield np.concatenate([first, block.level], axis=1), chance * block.probability
