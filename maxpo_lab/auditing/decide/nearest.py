"""The nearest estimator, and where a rule differs from one that it claims to be."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ... import rules
from ...core.arrays import Float
from ...core.precision import FLOAT64, TYPES, Precision, finest
from ...estimators import Estimator, group_estimator, list_estimators
from ...estimators.families.standardised import grpo
from ...estimators.registry import parameters
from .fitting import members

#: Epsilons that frameworks ship, next to which one is fitted.
_EPSILONS = (1e-4, 1e-5, 1e-6, 1e-8, 1e-9)
#: Families of sums up to T, and the largest T that is tried.
_SUMS = (
    *("pass-sum", "maxrl-truncated", "maclaurin", "maclaurin-baseline"),
    *("cross-fitted-maclaurin", "oversample-subset-vr"),
)
_LARGEST_SUM = 8
#: Named after all others: PODS that keeps the whole group is GRPO with its epsilon.
_LATE = ("pods",)
#: Decimal logarithms between which an epsilon is looked for, and digits to which it is told.
_FITTED, _DIGITS = (-12.0, 0.0), (1, 2, 3, 6)


@dataclass(frozen=True, slots=True)
class Nearest:
    """How near a rule is to an estimator at ``k``: ``A = scale A_name``, off by ``distance |A|``.

    ``exact``: by rounding alone, that of the type ``precision``. ``alike``: other names with the same numbers
    here. ``reward_weights``: of a rule of several rewards, where they are not those that were said.
    """

    name: str
    k: int
    scale: float
    distance: float
    exact: bool
    precision: str | None = None
    alike: tuple[str, ...] = ()
    reward_weights: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A group on which two rules differ."""

    n: int
    k: int
    rewards: tuple[float, ...]
    got: tuple[float, ...]
    expected: tuple[float, ...]


def nearest(rule: rules.Rule, groups: Float, k: int, *, prefer: tuple[str, ...] = ()) -> Nearest | None:
    """The estimator that is nearest on some groups (B, n), up to a factor.

    At this K, or at another where only that is exact; of equals one of scale 1, then a preferred one, then
    the first. For rules with an epsilon, those that frameworks ship are tried, and one fitted; for those with
    another parameter, one fitted, where it is exact. None where the rule gives 0 everywhere.
    """
    n = groups.shape[1]
    ours = rules.evaluate(rule, groups, k)
    if (np.abs(ours) <= rules.tolerance(rule, groups, ours, k, FLOAT64)).all():
        return None
    made = rules.precision_of(rule)
    early = [name for name in list_estimators() if name not in _LATE]
    names = tuple(dict.fromkeys([*prefer, *early, *_shipped(), *_sums(n), *_LATE]))
    found = _compared(ours, groups, names, k, made)
    if not any(each.exact for each in found):
        using = tuple(name for name in names if group_estimator(name).uses_k)
        others = (other for other in range(1, n + 1) if other != k)
        found += [
            each for other in others for each in _compared(ours, groups, using, other, made) if each.exact
        ]
    if not any(each.precision == made.name for each in found):
        fitted = (name for ddof in (0, 1) for name in _fitted(ours, groups, k, ddof))
        found += _compared(ours, groups, tuple(fitted), k, made)
    if not any(each.precision == made.name for each in found):
        likely = tuple(members(ours, groups, k))
        # A parameter bends to whatever it is fitted to: it is told where it explains everything, alone.
        found += [each for each in _compared(ours, groups, likely, k, made) if each.exact]
    if not found:
        return None
    best = min(found, key=_by_nearness)
    alike = [
        each.name
        for each in found
        if best.exact and (each.precision, each.scale, each.k) == (best.precision, best.scale, best.k)
    ]
    return replace(best, alike=tuple(dict.fromkeys(name for name in alike if name != best.name)))


def _by_nearness(each: Nearest) -> tuple[int, float, float]:
    """To the finest rounding, then to two digits of the distance; of equals scale 1, to 1e-3."""
    if each.exact:
        return -next(made.bits for made in TYPES if made.name == each.precision), 0.0, float(each.scale != 1)
    return 0, float(f"{each.distance:.1e}"), round(abs(float(np.log(abs(each.scale)))), 3)


def _shipped() -> tuple[str, ...]:
    return tuple(_named(eps, ddof) for ddof in (1, 0) for eps in _EPSILONS)


def _sums(n: int) -> tuple[str, ...]:
    return tuple(f"{family}:{T}" for family in _SUMS for T in range(2, min(n, _LARGEST_SUM) + 1))


def _named(eps: float, ddof: int) -> str:
    """GRPO by its parameters, those that are the default left out."""
    default = parameters("grpo")
    told = {"eps": f"{eps:g}", "ddof": str(ddof)}
    given = {"eps": eps, "ddof": ddof}
    changed = [f"{key}={told[key]}" for key in told if given[key] != default[key]]
    return f"grpo:{','.join(changed)}" if changed else "grpo"


def _fitted(ours: Float, groups: Float, k: int, ddof: int) -> tuple[str, ...]:
    """GRPO with the epsilon that is nearest to some advantages, up to a factor, to fewer and more digits."""
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 - slow to import, and few rules are fitted

    def distance(exponent: float) -> float:
        theirs = np.asarray(grpo(eps=10.0**exponent, ddof=ddof)(groups, k))
        return float(np.linalg.norm(ours - _factor(ours, theirs) * theirs)) if theirs.any() else np.inf

    eps = 10.0 ** float(minimize_scalar(distance, bounds=_FITTED, options={"xatol": 1e-8}).x)
    return tuple(dict.fromkeys(_named(float(f"{eps:.{digits - 1}e}"), ddof) for digits in _DIGITS))


def _compared(ours: Float, groups: Float, names: tuple[str, ...], k: int, made: Precision) -> list[Nearest]:
    """How near each rule of these names comes, those that are defined and not 0 on these groups."""
    size = np.abs(ours).max(axis=1)
    scale_of = (made, size, float(size.max()), ours.shape[1])
    found = []
    for name in names:
        theirs = _if_defined(group_estimator(name), groups, k)
        if theirs is None or not theirs.any():
            continue
        fitted = _factor(ours, theirs)
        same = finest(ours - theirs, *scale_of)
        scale = 1.0 if same or not fitted else fitted
        exact = same or finest(ours - scale * theirs, *scale_of)
        off = 0.0 if exact else float(np.linalg.norm(ours - scale * theirs) / np.linalg.norm(ours))
        found.append(Nearest(name, k, scale, off, exact is not None, exact.name if exact else None))
    return found


def first_difference(
    rule: rules.Rule, name: str, groups: Float, k: int, *, scaled: bool = False
) -> Difference | None:
    """The first of some groups (B, n) on which a rule has other advantages than the one of this name.

    ``scaled``: a common positive factor is no difference. None too where the named rule is not defined.
    """
    theirs = _if_defined(group_estimator(name), groups, k)
    if theirs is None:
        return None
    ours = rules.evaluate(rule, groups, k)
    factor = positive_factor(ours, theirs) if scaled else 1.0
    off = np.abs(ours - factor * theirs)
    rows = np.flatnonzero((off > rules.tolerance(rule, groups, theirs, k)).any(axis=1))
    if not len(rows):
        return None
    shown = (tuple(each[rows[0]].tolist()) for each in (groups, ours, factor * theirs))
    return Difference(groups.shape[1], k, *shown)


def positive_factor(ours: Float, theirs: Float) -> float:
    """The factor nearest to ``ours = c theirs``; 1 where that is 0 or negative, which are no scale."""
    factor = _factor(ours, theirs) if theirs.any() else 1.0
    return factor if factor > 0 else 1.0


def _factor(ours: Float, theirs: Float) -> float:
    return float(np.sum(ours * theirs) / np.sum(theirs * theirs))


def _if_defined(other: Estimator, groups: Float, k: int) -> Float | None:
    if other.why_not(groups.shape[1], k) or other.why_not_rewards(groups):
        return None
    return np.asarray(other(groups, k))
