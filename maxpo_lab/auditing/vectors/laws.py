"""What a rule of several rewards does when one of them changes its origin or unit, or is flat."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ...core.arrays import Float
from ..decide.symmetries import ScaleLaw
from .calls import RowRule
from .rows import plain_row, plain_rows
from .structure import answer

#: By how much rewards are multiplied, and what is added to them.
FACTOR, SHIFT = 3.0, 1.0
#: Heights of a flat reward, the second no binary fraction.
FLATS = (0.0, 0.1, 1.0)
#: An epsilon next to a standard deviation leaves this much of a change of unit.
_EPSILON = 2e-3


@dataclass(frozen=True, slots=True)
class OfReward:
    """What changing one reward alone does; None where the rule refuses that.

    Attributes
    ----------
    shift
        Whether adding a constant to it changes nothing.
    scale
        Whether multiplying it by 3 changes nothing, but for an epsilon.
    flat
        Whether, where a group is flat on it, its height changes nothing.
    """

    shift: bool | None
    scale: bool | None
    flat: bool | None


@dataclass(frozen=True, slots=True)
class Laws:
    """How a rule of several rewards answers.

    Attributes
    ----------
    centered
        Whether the advantages of every group sum to 0; ``worst_group``, ``worst_advantages`` where they are
        farthest from that.
    rewards
        One ``OfReward`` a reward.
    scale
        What multiplying all rewards by 3 does, as in ``Symmetries``.
    exchangeable
        Whether any two rewards may change places and nothing changes.
    uses_k
        Whether another K changes anything; None where there is none to try.
    lengths
        Rows and advantages that change where the responses become equally long; None where nothing does, or
        the rule takes no lengths.
    """

    centered: bool
    worst_group: tuple[tuple[float, ...], ...]
    worst_advantages: tuple[float, ...]
    rewards: tuple[OfReward, ...]
    scale: ScaleLaw | None
    exchangeable: bool | None
    uses_k: bool | None
    lengths: tuple[str, str] | None


def laws_of(rule: RowRule, groups: Float, k: int) -> Laws:
    """Observe a rule on some groups of rows (B, n, c)."""
    given = rule(groups, k)
    same = rule.tolerance(groups, given, k)
    total = np.abs(given.sum(axis=1))
    worst = int(total.argmax())
    n, rewards = groups.shape[1], range(rule.rewards)
    return Laws(
        centered=bool((total <= n * same[:, 0]).all()),
        worst_group=tuple(map(tuple, groups[worst].tolist())),
        worst_advantages=tuple(given[worst].tolist()),
        rewards=tuple(_of_reward(rule, groups, given, k, place) for place in rewards),
        scale=_scale(rule, groups, given, k),
        exchangeable=_exchangeable(rule, groups, given, k),
        uses_k=_uses_k(rule, groups, given, k),
        lengths=_lengths(rule, groups, given, k),
    )


def _changed(groups: Float, place: int | list[int], factor: float, shift: float) -> Float:
    moved = groups.copy()
    moved[..., place] = factor * moved[..., place] + shift
    return moved


def _same(rule: RowRule, seen: tuple[Float, Float], k: int, moved: Float, factor: float = 1.0) -> bool | None:
    """Whether moved rows get ``factor`` times what groups were seen to get; None where the rule refuses."""
    (groups, given), other = seen, answer(rule, moved, k)
    if other is None:
        return None
    # Rounding of the rewards themselves, as large again as they were.
    allowed = 4 * np.maximum(rule.tolerance(moved, other, k), rule.tolerance(groups, given, k))
    size = float(np.abs(given).max())
    condition = max(1.0, rule.unit(moved, k) / size) if size else 1.0
    return bool((np.abs(other - factor * given) <= allowed * condition).all())


def _invariant(rule: RowRule, given: Float, k: int, moved: Float) -> bool | None:
    other = answer(rule, moved, k)
    if other is None:
        return None
    allowed = np.maximum(_EPSILON * np.abs(given).max(), rule.tolerance(moved, other, k))
    return bool((np.abs(other - given) <= allowed).all())


def _of_reward(rule: RowRule, groups: Float, given: Float, k: int, place: int) -> OfReward:
    flats = [_changed(groups, place, 0.0, height) for height in FLATS]
    first = answer(rule, flats[0], k)
    heights = [None] if first is None else [_same(rule, (flats[0], first), k, flat) for flat in flats[1:]]
    return OfReward(
        shift=_same(rule, (groups, given), k, _changed(groups, place, 1.0, SHIFT)),
        scale=_invariant(rule, given, k, _changed(groups, place, FACTOR, 0.0)),
        flat=None if None in heights else all(heights),
    )


def _scale(rule: RowRule, groups: Float, given: Float, k: int) -> ScaleLaw | None:
    scaled = _changed(groups, [*range(rule.rewards)], FACTOR, 0.0)
    linear = _same(rule, (groups, given), k, scaled, FACTOR)
    if linear is None:
        return None
    return "linear" if linear else "invariant" if _invariant(rule, given, k, scaled) else "none"


def _exchangeable(rule: RowRule, groups: Float, given: Float, k: int) -> bool | None:
    found = []
    for one, other in combinations(range(rule.rewards), 2):
        order = np.arange(groups.shape[-1])
        order[[one, other]] = order[[other, one]]
        found.append(_same(rule, (groups, given), k, groups[..., order]))
    return None if None in found else all(found)


def _uses_k(rule: RowRule, groups: Float, given: Float, k: int) -> bool | None:
    tried = False
    for other in sorted(range(1, groups.shape[1] + 1), key=lambda each: (abs(each - k), each)):
        if other == k or (at := answer(rule, groups, other)) is None:
            continue
        tried = True
        if (np.abs(at - given) > rule.tolerance(groups, given, k)).any():
            return True
    return False if tried else None


def _lengths(rule: RowRule, groups: Float, given: Float, k: int) -> tuple[str, str] | None:
    if not rule.lengths:
        return None
    even = groups.copy()
    even[..., -1] = 1.0
    at_even = rule(even, k)
    rows = np.flatnonzero((np.abs(at_even - given) > rule.tolerance(groups, given, k)).any(axis=1))
    if not len(rows):
        return None
    return plain_rows(groups[rows[0]]), f"{plain_row(given[rows[0]])}, not {plain_row(at_even[rows[0]])}"
