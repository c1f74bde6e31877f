"""What is observed of a rule before anything is measured of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from ..core.arrays import Bool, Float, Int
from ..core.precision import FLOAT32, Precision, recognise
from ..estimators import Estimator
from ..evaluation import ValueRule
from ..evaluation.registry import is_registered
from . import independence
from .calling import Rule, describe, evaluate, resolve, resolve_value
from .errors import CoupledRowsError, RandomRuleError
from .kinds import OfBatches, WithMemory
from .outputs import ADVANTAGES, Output
from .rounding import precision_of
from .samples import sample_groups

#: Rewards that a rule is tried on where the consumer does not know which it will meet: 0 and 1, and graded
#: ones of either sign. A rule may be defined on one kind alone.
_KINDS = (np.array([0.0, 1.0]), np.array([0.0, 0.25, 0.5, 1.0]), np.array([-1.5, -0.3, 0.1, 0.8, 2.0]))
#: Groups that a user's rule is tried on at most.
_SAMPLE = 64
#: Numbers that differ by less than this share of the largest one count as equal: far above any
#: rounding in float64, far below any dependence worth the name.
_SAME = 1e-9


def admit(
    estimator: str | Rule | OfBatches | WithMemory,
    n: int,
    k: int,
    *,
    values: Float | None = None,
    batch: int = 0,
    lift: Callable[[Rule], Rule] | None = None,
    output: Output = ADVANTAGES,
) -> Rule:
    """The rule meant, known to give each group advantages of its own: what every consumer asks first.

    Moments, spectra and training take a group's advantages, or its value, for a function of its rewards. A
    rule that is random, remembers earlier calls or couples the groups of a batch has none, and what is
    measured of it depends on how the consumer happens to cut its batches. Rules of the catalogue work row by
    row, which the tests hold them to; any other callable is tried on a fixed set of groups.

    Parameters
    ----------
    estimator
        A name, an ``Estimator``, or any callable ``(rewards (B, n), k) -> (B, n)``; of values a ``ValueRule``
        or any callable ``(rewards (B, n), k) -> (B,)``.
    n, k
        Where it must be defined.
    values
        The reward levels that it will meet. None where they are not known: it is tried on 0/1 and on graded
        rewards, and must answer to one of these.
    batch
        Groups of the largest call that is to come.
    lift
        Makes of the rule, as the consumer calls it, one on NumPy arrays.
    output
        ``ADVANTAGES`` or ``VALUES``: what the rule gives.

    Returns
    -------
    The rule, not lifted.

    Raises
    ------
    TypeError, ValueError
        As ``resolve`` or ``resolve_value``; an Estimator that is not defined on the values; what the rule
        raised, where it answers on none of the groups; and the errors of ``evaluate``.
    RandomRuleError, StatefulRuleError, CoupledRowsError
        The rule has no advantages of a group's own.

    Notes
    -----
    Cost: nothing for the catalogue, else about 40 calls on up to 64 groups, three times that where the values
    are not known. A coupling that shows neither on these groups nor in these batches is not seen.
    """
    rule = resolve(estimator, n, k) if output.per_rollout else resolve_value(estimator, n, k)
    if values is not None and isinstance(rule, Estimator) and (reason := rule.why_not_rewards(values)):
        raise ValueError(reason)
    if _of_catalogue(rule):
        return rule
    called = lift(rule) if lift else rule
    failures: list[Exception] = []
    kinds = _KINDS if values is None else (np.asarray(values, dtype=np.float64),)
    for kind in kinds:
        try:
            _examined(called, kind[_sample(n, len(kind))], k, batch, output)
        except (RandomRuleError, CoupledRowsError):
            raise
        except Exception as error:  # of a stranger's rule that may not be defined on such rewards
            failures.append(error)
    if len(failures) == len(kinds):
        raise failures[0]
    return rule


def _of_catalogue(rule: Rule) -> bool:
    """Whether a rule is of this package: pure, row by row; a test holds that all of them are."""
    home = Estimator.__module__.rpartition(".")[0]
    return is_registered(rule) or (
        isinstance(rule, Estimator) and type(rule).__module__.startswith(home + ".")
    )


def _order_free(rule: Rule) -> bool:
    """Whether a rule of this package is equivariant, or gives values whatever the order, which tests hold."""
    if not _of_catalogue(rule):
        return False
    if isinstance(rule, ValueRule):
        return rule.claims.order_free
    return not isinstance(rule, Estimator) or rule.claims.equivariant


def _sample(n: int, size: int) -> Int:
    """Level indices (B, n) of at most 64 groups, ordered by their levels, from the worst to the best."""
    found = sample_groups(n, size)
    places = np.unique(np.linspace(0, len(found) - 1, _SAMPLE).astype(int))
    return np.asarray(found[np.lexsort(found.T)[places]])


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What was observed of a rule.

    ``counterexample``: a group and a permutation of it that get different advantages, ties aside, or
    different values.
    """

    counterexample: tuple[list[float], list[float]] | None

    @property
    def equivariant(self) -> bool:
        """Whether no counterexample was found."""
        return self.counterexample is None


def observe(rule: Rule, rewards: Float, level: Int, k: int, output: Output = ADVANTAGES) -> Behaviour:
    """Check, on sample groups (B, n), what exact moments by counts take for granted.

    Raises
    ------
    RandomRuleError, StatefulRuleError, CoupledRowsError
        The rule is random or remembers earlier calls, or the rows of a batch influence each other.
    """
    answer = _answer_of(rule, k, output)
    first, same = _examined(rule, rewards, k, len(rewards), output)
    return _equivariance(answer, rewards, level, first=first, same=same)


def equivariance(rule: Rule, rewards: Float, level: Int, k: int, output: Output = ADVANTAGES) -> Behaviour:
    """Permutation equivariance of an admitted rule, on sample groups (B, n); of values, invariance.

    It is up to ties: within a level the advantages may change places, so a rule that breaks ties by index
    passes. The permutations are fixed: the same rule always gets the same verdict. Rules of the catalogue
    that claim it are equivariant, which the tests hold them to, and are not called.
    """
    if _order_free(rule):
        return Behaviour(counterexample=None)
    answer = _answer_of(rule, k, output)
    first = answer(rewards)
    same = _likeness(rule, rewards, first, k, output)
    return _equivariance(answer, rewards, level, first=first, same=same)


def _answer_of(rule: Rule, k: int, output: Output) -> independence.Answer:
    """The rule at one K; a value is a row of one number."""

    def call(groups: Float) -> Float:
        return evaluate(rule, groups, k, output).reshape(len(groups), -1)

    return independence.Answer(call, describe(rule), output.name)


def _examined(rule: Rule, rewards: Float, k: int, batch: int, output: Output) -> tuple[Float, _Likeness]:
    """What groups (B, n) get, known to be the groups' own, and what counts as equal to it."""
    answer = _answer_of(rule, k, output)
    # Before anything else is called: a rule with a memory must not have seen other rewards yet.
    heard = independence.hear(answer, rewards)
    same = _likeness(rule, rewards, heard.first, k, output)
    independence.check(answer, rewards, heard=heard, same=same, batch=batch)
    return heard.first, same


@dataclass(frozen=True, slots=True)
class _Likeness:
    """Which rows of two answers are equal to the rounding of a type on groups of n, relative to a scale."""

    made: Precision
    scale: float
    n: int

    def __call__(self, a: Float, b: Float, made: Precision | None = None) -> Bool:
        allowed = max(_SAME, (made or self.made).share(self.n)) * self.scale
        return np.asarray((np.abs(a - b) <= allowed).all(axis=-1))


def _likeness(rule: Rule, rewards: Float, first: Float, k: int, output: Output) -> _Likeness:
    n = rewards.shape[1]
    told = hasattr(rule, "precision") or isinstance(rule, Estimator | ValueRule)
    found = precision_of(rule) if told else recognise(rule, n, k)
    size = min(k, n) if output.per_rollout else 1  # a rule that takes a larger k does not use it
    return _Likeness(found, max(float(np.abs(first).max()), size * float(np.ptp(rewards))), n)


def _equivariance(
    answer: independence.Answer, rewards: Float, level: Int, *, first: Float, same: _Likeness
) -> Behaviour:
    expected = _by_level(first, level)
    example = None
    for order in _orders(*rewards.shape):
        shuffled = np.take_along_axis(rewards, order, axis=1)
        moved = np.take_along_axis(level, order, axis=1)
        got = _by_level(answer(shuffled), moved)
        agree = same(expected, got, min(same.made, FLOAT32))  # sums depend on the order in their last bits
        if not agree.all():
            row = int(np.argmin(agree))
            example = (rewards[row].tolist(), shuffled[row].tolist())
            break
    if not same(first, answer(rewards)).all():  # it has changed its mind meanwhile
        raise independence.changed(answer, rewards)
    return Behaviour(counterexample=example)


def _orders(rows: int, n: int) -> Iterator[Int]:
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


def _by_level(given: Float, level: Int) -> Float:
    """Each group's advantages sorted by level, and inside a level by size; its value as it is."""
    if given.shape != level.shape:
        return given
    order = np.lexsort((given, level), axis=-1)
    return np.take_along_axis(given, order, axis=-1)
