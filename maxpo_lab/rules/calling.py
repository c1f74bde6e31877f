"""Rules of any origin: names, estimators and users' own callables behind one call, checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ..core.arguments import as_k
from ..core.arrays import Float
from ..core.precision import as_numpy
from ..estimators import Estimator, get_estimator
from ..estimators.entry import Entry
from ..evaluation import ValueRule, get_value_rule
from .errors import (
    BadShapeError,
    CoupledRowsError,
    NotFiniteError,
    NotRealError,
    StatefulRuleError,
    VectorRuleError,
)
from .kinds import (
    OfBatches,
    OfVectors,
    RatioRule,
    WithMemory,
    couples,
    has_memory,
    takes_vectors,
)
from .outputs import ADVANTAGES, Output

Rule = Callable[[Any, int], Any]


def per_group(rule: Rule) -> Rule:
    """Lift a rule for one group, ``(rewards (n,), k) -> (n,)``, to batches ``(B, n)``, row by row.

    A value rule for one group, ``(rewards (n,), k) -> number``, becomes ``(rewards (B, n), k) -> (B,)``.
    """

    def lifted(rewards: Any, k: int) -> Float:
        return np.stack([as_numpy(rule(row, k)) for row in np.asarray(rewards)])

    lifted.__name__ = f"per_group({describe(rule)})"
    return lifted


def describe(rule: str | Rule | OfBatches | WithMemory | OfVectors | RatioRule) -> str:
    """A name to call a rule by in messages."""
    if isinstance(rule, str):
        return rule
    names = (getattr(rule, each, None) for each in ("name", "__name__"))
    return next((name for name in names if isinstance(name, str) and name), repr(rule))


def k_at_most(estimator: object, n: int) -> int | None:
    """What a k is checked against before its rule is: n, or None where the rule says itself how far.

    Raises ValueError for an unknown name.
    """
    rule = get_estimator(estimator) if isinstance(estimator, str) else estimator
    return None if isinstance(rule, Entry) and rule.largest_k(n) > n else n


def refuse_ratios(rule: object) -> None:
    """Raise VectorRuleError for a rule of rewards and ratios, where a rollout has its reward alone."""
    if isinstance(rule, RatioRule):
        raise VectorRuleError(
            f"{describe(rule)} is a rule of rewards and ratios: it takes two numbers of a rollout, and here "
            f"a rollout has one reward; use update_moments, which takes it"
        )


def resolve(estimator: str | Rule | OfBatches | WithMemory | OfVectors | RatioRule, n: int, k: int) -> Rule:
    """The callable meant by a name, an Estimator or a callable, known to be defined at (n, k).

    Raises
    ------
    TypeError
        Neither a name nor callable.
    ValueError
        An unknown name, or an Estimator undefined at this n and k; another callable for ``k > n``.
    CoupledRowsError, StatefulRuleError, VectorRuleError
        A rule of another kind: of a batch, with memory, or of several numbers of a rollout.
    """
    rule = get_estimator(estimator) if isinstance(estimator, str) else estimator
    if couples(rule):
        raise CoupledRowsError(
            f"{describe(rule)} is a batch rule: what a group gets depends on the others, so a group has no "
            f"advantages of its own; use batch_moments, monte_carlo_updates or audit, which take it"
        )
    if has_memory(rule):
        raise StatefulRuleError(
            f"{describe(rule)} is a rule with memory: what a group gets depends on earlier steps; use "
            f"batch_moments with a history, or audit, which take it"
        )
    if takes_vectors(rule):
        raise VectorRuleError(
            f"{describe(rule)} is a {rule.kind} rule: it takes several numbers of a rollout, and here a "
            f"rollout has one reward; measure it under VectorLevels, or take a rule of one reward"
        )
    refuse_ratios(rule)
    if not callable(rule):
        raise TypeError(
            f"estimator={estimator!r} is a {type(estimator).__name__}: pass a name, an Estimator or a "
            f"callable (rewards (B, n), k) -> (B, n)"
        )
    if not isinstance(rule, Estimator):
        as_k(k, n=n)  # it does not say whether it uses k
    elif reason := rule.why_not(n, k):
        raise ValueError(reason)
    return cast("Rule", rule)  # no rule of ratios


def resolve_value(value_rule: str | Rule | OfBatches | WithMemory, n: int, k: int) -> Rule:
    """The callable meant by a name of a value rule, a ValueRule or a callable, known to be defined at (n, k).

    A callable may be asked for ``k > n``: tools report something there.

    Raises
    ------
    TypeError
        Neither a name nor callable.
    ValueError
        An unknown name, or a ValueRule undefined at this n and k.
    """
    rule = get_value_rule(value_rule) if isinstance(value_rule, str) else value_rule
    if not callable(rule):
        raise TypeError(
            f"value_rule={value_rule!r} is a {type(value_rule).__name__}: pass a name, a ValueRule or a "
            f"callable (rewards (B, n), k) -> (B,)"
        )
    as_k(k)
    if isinstance(rule, ValueRule) and (reason := rule.why_not(n, k)):
        raise ValueError(reason)
    return rule


def evaluate(rule: Rule, rewards: Float, k: int, output: Output = ADVANTAGES) -> Float:
    """Advantages (B, n), or values (B,), in float64, checked to be finite real numbers.

    The rule gets a copy, so one that writes into its input harms nobody.
    """
    name = describe(rule)
    result = _as_array(rule(rewards.copy(), k), name, output)
    if result.shape != output.shape_for(rewards.shape):
        raise BadShapeError(
            f"{name} returned shape {result.shape} for rewards of shape {rewards.shape}: a {output.rule} "
            f"maps {output.takes} to {output.shape}; lift one for a single group with maxpo_lab.per_group"
        )
    if result.dtype.kind not in "biuf":
        raise NotRealError(f"{name} returned dtype {result.dtype}: {output.name} must be real numbers")
    result = result.astype(np.float64)
    if not np.isfinite(result).all():
        row = int(np.argwhere(~np.isfinite(result))[0, 0])
        raise NotFiniteError(
            f"{name} returned {result[row].tolist()} for the group {rewards[row].tolist()} at k={k}: "
            f"{output.name} must be finite"
        )
    return result


def _as_array(answer: Any, name: str, output: Output) -> npt.NDArray[Any]:
    """What a rule returned as NumPy: tensors off their graph and device, masked numbers as NaN."""
    if isinstance(answer, np.ma.MaskedArray) and answer.dtype.kind in "biuf":
        answer = np.ma.filled(answer.astype(np.float64), np.nan)
    try:
        return as_numpy(answer)
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadShapeError(f"{name} returned no array of shape {output.shape}: {error}") from error
