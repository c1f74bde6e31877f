"""What an audit begins with: its arguments checked, the rule called, and the rewards that it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import rules
from ..core.arguments import as_group_size, as_k, real_number
from ..core.arrays import Float
from ..estimators import BatchEstimator, Estimator, get_estimator
from ..integrations.conventions import SIGNATURES, Signature
from ..objectives import Objective, as_objective
from ..rules.samples import sample_groups
from .decide import claims as claims_of
from .decide.claims import EQUALS, Setting
from .guard import (
    FAILURES,
    Guard,
    Misbehaviour,
    convention,
    guarded,
    in_a_large_batch,
    misbehaviour,
    mutation,
    observe,
)

#: Kinds of rewards on which claims can be decided.
REWARDS = ("auto", "binary", "graded", "continuous")
#: Groups that are looked for in a large batch.
_FEW = 32


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A rule that has been called: behind its guard, with what is asked of it; or what keeps it from that.

    ``setting``, ``behaviour`` and ``first``, its first answer to the groups of its claims, are None where
    ``misbehaviours`` end the audit, and for a rule of batches.
    """

    facts: dict[str, Any]
    claims: tuple[str, ...]
    guard: Any
    rewards: str
    function: Any = None
    allow_scale: bool = False
    setting: Setting | None = None
    behaviour: rules.Behaviour | None = None
    first: Float | None = None
    misbehaviours: tuple[Misbehaviour, ...] = ()


def prepare(
    rule: Any,
    *,
    n: int,
    k: int,
    claims: Sequence[str],
    target: str,
    rewards: str,
    signature: Signature,
    settings: Mapping[str, Any] | None,
    allow_scale: bool,
    seconds: float,
) -> Prepared:
    """Check the arguments and look at the rule."""
    n = as_group_size(n)
    k = as_k(k, n=n)
    wanted = claims_of.check_claims(claims)
    if isinstance(target, Objective):
        raise TypeError(
            f"target={target.name!r} is an Objective, of one group size: counterexamples are looked for in "
            f"smaller groups too, so it must be a name, e.g. max@k"
        )
    if (size := as_objective(target, n, k, argument="target").size) > n:
        raise ValueError(
            f"target={target!r} looks at {size} rollouts, the group has n={n}: audit at n >= {size}, or "
            f"another target"
        )
    if rewards not in REWARDS:
        raise ValueError(f"rewards={rewards!r}: must be {', '.join(REWARDS)}")
    SIGNATURES[signature]  # refuses an unknown one
    check_seconds(seconds)
    function = _function(rule)
    rules.refuse_ratios(function)
    if isinstance(function, Estimator | BatchEstimator) and (reason := function.why_not(n, k)):
        raise ValueError(reason)
    for claim in wanted:
        named = claim.removeprefix(EQUALS)
        if claim.startswith(EQUALS) and (reason := get_estimator(named).why_not(n, k)):
            raise ValueError(f"claim {claim}: {reason}")

    guard = guarded(function, signature, settings, n=n, k=k, seconds=seconds)
    shown = signature if isinstance(guard, Misbehaviour) else convention(guard)
    facts = {"rule": rules.describe(function), "signature": shown, "n": n, "k": k, "target": target}
    asked: dict[str, Any] = {
        "facts": facts,
        "claims": wanted,
        "function": function,
        "guard": guard,
        "allow_scale": allow_scale,
    }
    if isinstance(guard, Misbehaviour):
        return Prepared(**asked, rewards=rewards, misbehaviours=(guard,))
    guard.settle(n, k)
    if rules.couples(function):
        return Prepared(**asked, rewards=rewards)
    kind, behaviour = behaviour_on(guard, rewards, n=n, k=k)
    if not isinstance(behaviour, Misbehaviour) and not isinstance(function, Estimator):
        behaviour = in_a_large_batch(guard, claims_of.groups_of(kind, n)[:_FEW], k) or behaviour
    if isinstance(behaviour, Misbehaviour):
        found = (behaviour, *filter(None, [mutation(guard)]))
        return Prepared(**asked, rewards=kind, misbehaviours=found)
    setting = Setting(
        n=n, k=k, target=target, rewards=kind, equivariant=behaviour.equivariant, allow_scale=allow_scale
    )
    try:
        first = rules.evaluate(guard, claims_of.groups_of(kind, n), k)
    except FAILURES as error:
        found = (misbehaviour(error), *filter(None, [mutation(guard)]))
        return Prepared(**asked, rewards=kind, misbehaviours=found)
    return Prepared(**asked, rewards=kind, setting=setting, behaviour=behaviour, first=first)


def check_seconds(seconds: Any) -> None:
    """Check the time that a call may take."""
    if not 0 < real_number(seconds, "seconds") < float("inf"):
        raise ValueError(f"seconds={seconds}: a call needs some time, e.g. seconds=10")


def behaviour_on(
    guard: Guard, rewards: str, *, n: int, k: int, output: rules.Output = rules.ADVANTAGES
) -> tuple[str, rules.Behaviour | Misbehaviour]:
    """The kind of rewards that is audited, and the behaviour on it."""

    def on(kind: str) -> rules.Behaviour | Misbehaviour:
        if kind == "continuous":
            return observe(guard, claims_of.groups_of(kind, n), k, output)
        values = claims_of.levels_of(kind, n)
        return observe(guard, values[sample_groups(n, len(values))], k, output)

    kind = "graded" if rewards == "auto" else rewards
    seen = on(kind)
    if rewards == "auto" and isinstance(seen, Misbehaviour) and seen.kind in ("raises", "not finite"):
        binary = on("binary")
        if not isinstance(binary, Misbehaviour):
            return "binary", binary
    return kind, seen


def _function(rule: Any) -> Any:
    """The rule that is meant."""
    function = get_estimator(rule) if isinstance(rule, str) else rule
    if not callable(function):
        raise TypeError(f"rule={rule!r} is a {type(rule).__name__}: it must be callable, or a name")
    return function
