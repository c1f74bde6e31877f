"""What a rule does when rollouts change places, and rewards their origin, unit or K."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ... import rules
from ...core.arrays import Float
from ..worker import HungError, RaisedError

ScaleLaw = Literal["linear", "invariant", "none"]

#: Factors of the rewards' unit, the first before the rest.
FACTORS = (3.0, 1e1, 1e2, 1e3, 1e4, 1e5)
#: Groups on which further factors and values of K are tried.
_FEW = 64
#: An epsilon next to a standard deviation leaves this much of a change of unit.
_EPSILON = 2e-3


@dataclass(frozen=True, slots=True)
class Symmetries:
    """Centering and the symmetries, each with the group that breaks it.

    ``largest_sum`` is ``max |sum A|`` over the groups, ``worst_group`` the one that has it. ``permuted`` is
    a group and a permutation of it that get other advantages, ties aside, or None. ``tie`` is a group and its
    advantages in which equal rewards get different ones, or None. ``shift`` and ``scale`` say what adding a
    constant and multiplying by 3 does: None where the rule refuses such rewards; ``scale_up_to`` is the
    largest of the factors 3, 10, 100, ..., 100000 up to which ``scale`` is so. ``uses_k``: whether another K
    changes anything, None where there is none to try.
    """

    centered: bool
    largest_sum: float
    worst_group: tuple[float, ...]
    worst_advantages: tuple[float, ...]
    permuted: tuple[list[float], list[float]] | None
    tie: tuple[list[float], list[float]] | None
    shift: bool | None
    scale: ScaleLaw | None
    scale_up_to: float | None
    uses_k: bool | None

    @property
    def equivariant(self) -> bool:
        """Whether no permutation changes anything but who of equals gets what."""
        return self.permuted is None


def symmetries(
    rule: rules.Rule, groups: Float, flat: Float, behaviour: rules.Behaviour, k: int
) -> Symmetries:
    """Observe a rule on some groups (B, n); on ``flat`` ones (F, n) also whether it is centered."""
    n = groups.shape[1]
    advantages = rules.evaluate(rule, groups, k)
    same = rules.tolerance(rule, groups, advantages, k)
    every = np.concatenate([groups, flat])
    given = np.concatenate([advantages, rules.evaluate(rule, flat, k)]) if len(flat) else advantages
    total = np.abs(given.sum(axis=1))
    worst = int(total.argmax())
    scale, up_to = _scale_law(rule, groups, advantages, k, same)
    few = np.unique(np.linspace(0, len(groups) - 1, _FEW).astype(int))
    return Symmetries(
        centered=bool((total <= n * rules.tolerance(rule, every, given, k)[:, 0]).all()),
        largest_sum=float(total[worst]),
        worst_group=tuple(every[worst].tolist()),
        worst_advantages=tuple(given[worst].tolist()),
        permuted=behaviour.counterexample,
        tie=_uneven_tie(groups, advantages, same),
        shift=_shift_law(rule, groups, advantages, k, same),
        scale=scale,
        scale_up_to=up_to,
        uses_k=_uses_k(rule, groups[few], advantages[few], k, same[few]),
    )


def _uneven_tie(groups: Float, advantages: Float, tolerance: Float) -> tuple[list[float], list[float]] | None:
    order = np.argsort(groups, axis=1, kind="stable")
    ranked, given = (np.take_along_axis(each, order, axis=1) for each in (groups, advantages))
    uneven = (np.diff(ranked, axis=1) == 0) & (np.abs(np.diff(given, axis=1)) > tolerance)
    rows = np.flatnonzero(uneven.any(axis=1))
    if not len(rows):
        return None
    return groups[rows[0]].tolist(), advantages[rows[0]].tolist()


def _evaluated(rule: rules.Rule, groups: Float, k: int) -> Float | None:
    """Advantages, or None where the rule refuses or cannot give finite ones."""
    try:
        return rules.evaluate(rule, groups, k)
    except (RaisedError, ValueError, TypeError):
        return None


def _shift_law(rule: rules.Rule, groups: Float, advantages: Float, k: int, same: Float) -> bool | None:
    moved = _evaluated(rule, groups + 1.0, k)
    if moved is None:
        return None
    # Rounding of the rewards themselves, as large again as they were.
    tolerance = 4 * same * _condition(advantages, groups)
    return bool((np.abs(moved - advantages) <= tolerance).all())


def _scale_law(
    rule: rules.Rule, groups: Float, advantages: Float, k: int, same: Float
) -> tuple[ScaleLaw | None, float | None]:
    """The law of a change of unit, and the largest factor up to which it holds."""
    law: ScaleLaw | None = None
    up_to = None
    few = np.unique(np.linspace(0, len(groups) - 1, _FEW).astype(int))
    for factor in FACTORS:
        chosen = slice(None) if factor == FACTORS[0] else few
        scaled = _evaluated(rule, factor * groups[chosen], k)
        found = (
            None
            if scaled is None
            else _answer_to(factor, scaled, groups[chosen], advantages[chosen], same[chosen])
        )
        if factor == FACTORS[0]:
            law = found
        if found is None or found != law:
            break
        up_to = factor
    return law, up_to


def _answer_to(factor: float, scaled: Float, groups: Float, advantages: Float, same: Float) -> ScaleLaw:
    tolerance = 4 * same * _condition(advantages, groups)
    if (np.abs(scaled - factor * advantages) <= factor * tolerance).all():
        return "linear"
    size = np.abs(advantages).max(axis=1, keepdims=True)
    if (np.abs(scaled - advantages) <= np.maximum(_EPSILON * size, tolerance)).all():
        return "invariant"
    return "none"


def _condition(advantages: Float, groups: Float) -> float:
    """How much larger than the advantages the rewards are, that the rule subtracts from each other."""
    size = float(np.abs(advantages).max())
    return max(1.0, float(np.abs(groups).max()) / size) if size else 1.0


def _uses_k(rule: rules.Rule, groups: Float, advantages: Float, k: int, tolerance: Float) -> bool | None:
    tried = False
    for other in sorted(range(1, groups.shape[1] + 1), key=lambda each: (abs(each - k), each)):
        if other == k:
            continue
        try:
            changed = _evaluated(rule, groups, other)
        except HungError:
            continue
        if changed is None:
            continue
        tried = True
        if (np.abs(changed - advantages) > tolerance).any():
            return True
    return False if tried else None
