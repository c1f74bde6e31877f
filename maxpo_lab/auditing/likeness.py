"""The nearest rule of the catalogue, and where a rule differs from one that it claims to be."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .. import rules
from ..estimators import Estimator, get_estimator, list_estimators

Float = npt.NDArray[np.float64]

#: Variants of rules with parameters that frameworks ship.
_VARIANTS = (
    "grpo:ddof=0",
    "grpo:eps=1e-4",
    "grpo:eps=1e-4,ddof=0",
    "grpo:eps=1e-8",
    "grpo:eps=1e-8,ddof=0",
    "grpo:eps=1e-9",
    "grpo:eps=1e-9,ddof=0",
)


@dataclass(frozen=True, slots=True)
class Likeness:
    """How near a rule is to one of the catalogue at ``k``: ``A = scale A_name``, off by ``distance |A|``.

    ``exact``: by rounding alone. ``alike``: other names with the same numbers here.
    """

    name: str
    k: int
    scale: float
    distance: float
    exact: bool
    alike: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """A group on which two rules differ."""

    n: int
    k: int
    rewards: tuple[float, ...]
    got: tuple[float, ...]
    expected: tuple[float, ...]


def nearest(rule: rules.Rule, groups: Float, k: int, *, prefer: tuple[str, ...] = ()) -> Likeness | None:
    """The rule of the catalogue that is nearest on some groups (B, n), up to a factor.

    At this K, or at another where only that is exact; of equals, a preferred one, then the first. None where
    the rule gives 0 everywhere.
    """
    n = groups.shape[1]
    ours = rules.evaluate(rule, groups, k)
    if not ours.any():
        return None
    allowed = rules.tolerance(rule, ours)
    names = tuple(dict.fromkeys([*prefer, *list_estimators(), *_VARIANTS]))
    found = _compared(ours, groups, names, k, allowed)
    if not any(each.exact for each in found):
        using = tuple(name for name in names if get_estimator(name).uses_k)
        others = (other for other in range(1, n + 1) if other != k)
        found += [
            each for other in others for each in _compared(ours, groups, using, other, allowed) if each.exact
        ]
    if not found:
        return None
    best = min(found, key=lambda each: (not each.exact, each.exact and each.scale != 1, each.distance))
    alike = [
        each.name
        for each in found
        if best.exact and each.exact and (each.scale, each.k) == (best.scale, best.k)
    ]
    return replace(best, alike=tuple(name for name in alike if name != best.name))


def _compared(ours: Float, groups: Float, names: tuple[str, ...], k: int, allowed: float) -> list[Likeness]:
    """How near each rule of these names comes, those that are defined and not 0 on these groups."""
    size = float(np.linalg.norm(ours))
    found = []
    for name in names:
        theirs = _if_defined(get_estimator(name), groups, k)
        if theirs is None or not theirs.any():
            continue
        same = bool((np.abs(ours - theirs) <= allowed).all())
        scale = 1.0 if same else float(np.sum(ours * theirs) / np.sum(theirs * theirs))
        off = ours - scale * theirs
        exact = bool((np.abs(off) <= allowed).all())
        found.append(Likeness(name, k, scale, 0.0 if exact else float(np.linalg.norm(off)) / size, exact))
    return found


def first_difference(
    rule: rules.Rule, name: str, groups: Float, k: int, *, scaled: bool = False
) -> Difference | None:
    """The first of some groups (B, n) on which a rule has other advantages than the one of this name.

    ``scaled``: a common positive factor is no difference. None too where the named rule is not defined.
    """
    theirs = _if_defined(get_estimator(name), groups, k)
    if theirs is None:
        return None
    ours = rules.evaluate(rule, groups, k)
    factor = float(np.sum(ours * theirs) / np.sum(theirs * theirs)) if scaled and theirs.any() else 1.0
    factor = factor if factor > 0 else 1.0  # 0 and a wrong sign are no scale
    off = np.abs(ours - factor * theirs) > max(rules.tolerance(rule, each) for each in (ours, theirs))
    rows = np.flatnonzero(off.any(axis=1))
    if not len(rows):
        return None
    shown = (tuple(each[rows[0]].tolist()) for each in (groups, ours, factor * theirs))
    return Difference(groups.shape[1], k, *shown)


def _if_defined(other: Estimator, groups: Float, k: int) -> Float | None:
    if other.why_not(groups.shape[1], k) or other.why_not_rewards(groups):
        return None
    return np.asarray(other(groups, k))
