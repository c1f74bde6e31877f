"""Rules of any origin: names, estimators and users' own callables behind one call, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt

from .estimators import Estimator, get_estimator
from .precision import FLOAT32, FLOAT64, Precision, allowed, as_numpy, ladder, recognise

Float = npt.NDArray[np.float64]
Rule = Callable[[Any, int], Any]

#: Advantages that differ by less than this share of the largest one count as equal: far above any
#: rounding in float64, far below any dependence worth the name.
_SAME = 1e-9


class BadShapeError(ValueError):
    """A rule returned another number of advantages than there are rollouts."""


class NotRealError(TypeError):
    """A rule returned something other than real numbers."""


class NotFiniteError(ValueError):
    """A rule returned a NaN or an infinity for finite rewards."""


class RandomRuleError(ValueError):
    """A rule gave two answers for the same rewards."""


class CoupledRowsError(ValueError):
    """The rows of a batch influence each other, so that a group has no advantages of its own."""


def per_group(rule: Rule) -> Rule:
    """Lift a rule for one group, ``(rewards (n,), k) -> (n,)``, to batches ``(B, n)``, row by row."""

    def lifted(rewards: Any, k: int) -> Float:
        return np.stack([np.asarray(rule(row, k)) for row in np.asarray(rewards)])

    lifted.__name__ = f"per_group({describe(rule)})"
    return lifted


def describe(rule: str | Rule) -> str:
    """A name to call a rule by in messages."""
    if isinstance(rule, str):
        return rule
    names = (getattr(rule, each, None) for each in ("name", "__name__"))
    return next((name for name in names if isinstance(name, str) and name), repr(rule))


def resolve(estimator: str | Rule, n: int, k: int) -> Rule:
    """The callable meant by a name, an Estimator or a callable, known to be defined at (n, k).

    Raises
    ------
    TypeError
        Neither a name nor callable.
    ValueError
        An unknown name, or an Estimator undefined at this n and k.
    """
    rule = get_estimator(estimator) if isinstance(estimator, str) else estimator
    if not callable(rule):
        raise TypeError(
            f"estimator={estimator!r} is a {type(estimator).__name__}: pass a name, an Estimator or a "
            f"callable (rewards (B, n), k) -> (B, n)"
        )
    if isinstance(rule, Estimator) and (reason := rule.why_not(n, k)):
        raise ValueError(reason)
    return rule


def evaluate(rule: Rule, rewards: Float, k: int) -> Float:
    """Advantages (B, n) in float64, checked to be one finite real number a rollout.

    The rule gets a copy, so one that writes into its input harms nobody.
    """
    result = as_numpy(rule(rewards.copy(), k))
    name = describe(rule)
    if result.shape != rewards.shape:
        raise BadShapeError(
            f"{name} returned shape {result.shape} for rewards of shape {rewards.shape}: a rule maps "
            f"(B, n) to (B, n); lift one for a single group with maxpo_lab.per_group"
        )
    if result.dtype.kind not in "biuf":
        raise NotRealError(f"{name} returned dtype {result.dtype}: advantages must be real numbers")
    result = result.astype(np.float64)
    if not np.isfinite(result).all():
        row = int(np.argwhere(~np.isfinite(result))[0, 0])
        raise NotFiniteError(
            f"{name} returned {result[row].tolist()} for the group {rewards[row].tolist()} at k={k}: "
            f"advantages must be finite"
        )
    return result


def tolerance(rule: Rule, groups: Float, advantages: Float, k: int, made: Precision | None = None) -> Float:
    """What rounding may do to the advantages of groups, both (B, n): an absolute error a group, (B, 1).

    In the coarsest type that the rule may compute in, or in ``made``; relative to the group's own advantages
    or to ``K max|R|`` over all groups, the larger (``precision``).
    """
    found = precision_of(rule)
    size = np.maximum(np.abs(advantages).max(axis=-1), np.finfo(np.float64).tiny)
    made = made or ladder(found)[-1]
    unit = k * float(np.abs(groups).max())
    return np.asarray(allowed(made, found, size, unit, groups.shape[-1]))[:, None]


def finest(rule: Rule, groups: Float, advantages: Float, k: int, off: Float) -> Precision | None:
    """The finest type whose rounding explains errors ``off`` (B, n) or (B, 1); None where none does."""
    fits = (
        made
        for made in ladder(precision_of(rule))
        if (off <= tolerance(rule, groups, advantages, k, made)).all()
    )
    return next(fits, None)


def precision_of(rule: Rule) -> Precision:
    """The type that a rule says it computes in, by an attribute ``precision``; else float64."""
    found: Precision = getattr(rule, "precision", FLOAT64)
    return found


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What was observed of a rule.

    ``counterexample``: a group and a permutation of it that get different advantages, ties aside.
    """

    counterexample: tuple[list[float], list[float]] | None

    @property
    def equivariant(self) -> bool:
        """Whether no counterexample was found."""
        return self.counterexample is None


def observe(rule: Rule, rewards: Float, level: npt.NDArray[np.intp], k: int) -> Behaviour:
    """Check, on sample groups (B, n), what exact moments by counts take for granted.

    Permutation equivariance is up to ties: within a level the advantages may change places, so a
    rule that breaks ties by index passes. The permutations are fixed: the same rule always gets the same
    verdict.

    Raises
    ------
    RandomRuleError, CoupledRowsError
        The rule is random, or the rows of a batch influence each other.
    """
    name = describe(rule)
    advantages = evaluate(rule, rewards, k)
    told = hasattr(rule, "precision") or isinstance(rule, Estimator)
    found = precision_of(rule) if told else recognise(rule, rewards.shape[1], k)
    scale = max(float(np.abs(advantages).max()), k * float(np.ptp(rewards)))

    def same(a: Float, b: Float, made: Precision = found) -> npt.NDArray[np.bool_]:
        allowed = max(_SAME, made.share(rewards.shape[1])) * scale
        return np.asarray((np.abs(a - b) <= allowed).all(axis=-1))

    if not same(advantages, evaluate(rule, rewards, k)).all():
        raise RandomRuleError(
            f"{name} gave two answers for the same rewards: exact moments need a deterministic rule; "
            f"average over its randomness, or fix its seed inside the call"
        )
    few = np.unique(np.linspace(0, len(rewards) - 1, 16).astype(int))
    alone = np.concatenate([evaluate(rule, rewards[i : i + 1], k) for i in few])
    if not same(advantages[few], alone).all():
        row = few[int(np.argmin(same(advantages[few], alone)))]
        raise CoupledRowsError(
            f"{name} gives the group {rewards[row].tolist()} other advantages alone than in a batch: the "
            f"rows of a batch influence each other, so a group has no moments of its own; wrap a rule "
            f"for one group with maxpo_lab.per_group"
        )
    expected = _by_level(advantages, level)
    for order in _orders(*rewards.shape):
        shuffled = np.take_along_axis(rewards, order, axis=1)
        moved = np.take_along_axis(level, order, axis=1)
        got = _by_level(evaluate(rule, shuffled, k), moved)
        agree = same(expected, got, min(found, FLOAT32))  # sums depend on the order in their last bits
        if not agree.all():
            row = int(np.argmin(agree))
            example = (rewards[row].tolist(), shuffled[row].tolist())
            return Behaviour(counterexample=example)
    return Behaviour(counterexample=None)


def _orders(rows: int, n: int) -> Iterator[npt.NDArray[np.intp]]:
    """Permutations (rows, n) to try: all of them for n <= 4, else three regular and six random ones."""
    start = np.arange(n)
    if n <= 4:
        regular = [np.array(order) for order in permutations(range(n))]
    else:
        regular = [start[::-1], np.roll(start, 1), np.concatenate([start[::2], start[1::2]])]
    for order in regular:
        yield np.broadcast_to(order, (rows, n))
    rng = np.random.default_rng(0)
    for _ in range(6 if n > 4 else 0):
        yield rng.permuted(np.broadcast_to(start, (rows, n)), axis=1)


def _by_level(advantages: Float, level: npt.NDArray[np.intp]) -> Float:
    """Each group's advantages sorted by level, and inside a level by size."""
    order = np.lexsort((advantages, level), axis=-1)
    return np.take_along_axis(advantages, order, axis=-1)
