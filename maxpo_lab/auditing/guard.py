"""How a rule behaves: whether it answers at all, in time, alike each time, and leaves its input alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .. import rules
from ..core.arrays import Float
from ..core.precision import FLOAT64, recognise
from ..estimators import BatchEstimator, Estimator
from ..evaluation import ValueRule
from ..integrations.conventions import Adapted, NoConventionError, Signature, adapt
from .worker import HungError, RaisedError, Worker

Kind = Literal[
    "raises",
    "hangs",
    "ends",
    "shape",
    "not real",
    "not finite",
    "random",
    "coupled rows",
    "other coupling",
    "mutates",
]

#: Groups of a call that its time limit is for; a call of more may take longer.
_AT_ONCE = 256
#: Groups of the largest batch that a rule is tried in.
_MANY = 256


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """What a rule does that no rule may do, and the group or error that shows it."""

    kind: Kind
    detail: str


_KINDS: tuple[tuple[type[Exception], Kind], ...] = (
    (HungError, "hangs"),
    (RaisedError, "raises"),
    (rules.BadShapeError, "shape"),
    (rules.NotRealError, "not real"),
    (rules.NotFiniteError, "not finite"),
    (rules.RandomRuleError, "random"),
    (rules.CoupledRowsError, "coupled rows"),
)
#: What a rule can do that ends its audit.
FAILURES = tuple(kind for kind, _ in _KINDS)


class Guard:
    """A rule whose calls end: in time, or with HungError; and that remembers whether it wrote into its input.

    Calls run in a thread, which is left behind where one hangs; after that nothing more is called.
    ``first_mutation``: the first group that came back changed, before and after. ``precision``: the type that
    the rule computes in, see ``settle``.
    """

    def __init__(self, rule: rules.Rule, seconds: float) -> None:
        self.rule, self.seconds = rule, seconds
        self.name = rules.describe(rule)
        self._worker = Worker()
        self._hung: HungError | None = None
        self.first_mutation: tuple[list[Any], list[Any]] | None = None
        self.precision = FLOAT64

    def __call__(self, rewards: Any, k: int) -> Any:
        """The rule's answer. Raises HungError, or RaisedError from what the rule raised."""
        if self._hung is not None:
            raise self._hung
        before = np.array(rewards)
        seconds = self.seconds * max(1.0, len(before) / _AT_ONCE)
        try:
            answer = self._worker(lambda: self.rule(rewards, k), seconds, self.name)
        except HungError as error:
            self._hung = error
            raise
        changed = ~((before == rewards) | (np.isnan(before) & np.isnan(rewards)))
        if changed.any() and self.first_mutation is None:
            row = np.argwhere(changed.reshape(len(before), -1))[0, 0]
            self.first_mutation = (before[row].tolist(), np.asarray(rewards)[row].tolist())
        return answer

    def settle(self, n: int, k: int) -> None:
        """Find out in which floating type the rule computes: less, maybe, than it is given or returns."""
        if not isinstance(self.rule, Estimator | BatchEstimator | ValueRule):
            self.precision = recognise(self, n, k)


def guarded(
    function: Any,
    signature: Signature,
    settings: Any,
    *,
    n: int,
    k: int,
    seconds: float,
    output: rules.Output = rules.ADVANTAGES,
) -> Guard | Misbehaviour:
    """The function behind its calling convention and a guard, or what keeps it from being called."""
    name = rules.describe(function)
    try:
        rule = Worker()(
            lambda: adapt(function, signature, settings=settings, n=n, k=k, output=output), seconds, name
        )
    except HungError as error:
        return Misbehaviour("hangs", str(error))
    except RaisedError as error:
        answered = isinstance(error.__cause__, NoConventionError) and error.__cause__.answered
        return Misbehaviour("shape" if answered else "raises", str(error.__cause__))
    return Guard(rule, seconds)


def observe(
    rule: rules.Rule, groups: Float, k: int, output: rules.Output = rules.ADVANTAGES
) -> rules.Behaviour | Misbehaviour:
    """Behaviour on some groups (B, n), or what makes exact moments meaningless."""
    try:
        return rules.observe(rule, groups, np.searchsorted(np.unique(groups), groups), k, output)
    except FAILURES as error:
        return misbehaviour(error)


def in_a_large_batch(rule: rules.Rule, groups: Float, k: int) -> Misbehaviour | None:
    """Whether groups (B, n) get something else in a batch of many than by themselves."""
    try:
        alone = rules.evaluate(rule, groups, k)
        many = np.resize(groups, (_MANY, groups.shape[1]))
        off = np.abs(rules.evaluate(rule, many, k)[: len(groups)] - alone)
    except FAILURES as error:
        return misbehaviour(error)
    wrong = np.flatnonzero((off > rules.tolerance(rule, groups, alone, k)).any(axis=1))
    if not len(wrong):
        return None
    return Misbehaviour(
        "coupled rows",
        f"{rules.describe(rule)} gives the group {groups[wrong[0]].tolist()} other advantages in a batch of "
        f"{_MANY}",
    )


def misbehaviour(error: BaseException) -> Misbehaviour:
    """What a failure of ``FAILURES`` says of the rule."""
    found = next(name for kind, name in _KINDS if isinstance(error, kind))
    hint = "; one written for a single group has the signature group" if found == "coupled rows" else ""
    return Misbehaviour(found, _shortened(str(error)) + hint)


def mutation(guard: Guard) -> Misbehaviour | None:
    """Whether any call so far wrote into its input."""
    if guard.first_mutation is None:
        return None
    before, after = guard.first_mutation
    return Misbehaviour("mutates", f"{guard.name} turned its input {before} into {after}")


def convention(guard: Guard) -> str:
    """The calling convention that was found or named."""
    return guard.rule.convention if isinstance(guard.rule, Adapted) else "batch"


def _shortened(message: str) -> str:
    return message if len(message) <= 600 else message[:600] + " ..."
