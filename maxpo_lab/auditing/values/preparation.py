"""What the audit of a value rule begins with: arguments checked, the rule called, the rewards it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ... import rules
from ...core.arguments import as_group_size, as_k
from ...evaluation import ValueRule, get_value_rule
from ...integrations.conventions import Signature, conventions
from ..decide.claims import EQUALS, Setting, groups_of
from ..guard import FAILURES, Guard, Misbehaviour, convention, guarded, misbehaviour, mutation
from ..preparation import Prepared, behaviour_on, check_seconds
from .claims import check_value_claims
from .states import evaluated

#: Kinds of rewards on which claims can be decided.
REWARDS = ("auto", "binary", "graded")


def prepare_value(
    rule: Any,
    *,
    n: int,
    k: int,
    claims: Sequence[str],
    rewards: str,
    signature: Signature,
    settings: Mapping[str, Any] | None,
    seconds: float,
) -> Prepared:
    """Check the arguments and look at the rule."""
    n = as_group_size(n)
    k = as_k(k, n=n)
    wanted = check_value_claims(claims)
    if rewards not in REWARDS:
        raise ValueError(f"rewards={rewards!r}: a value rule is audited on {', '.join(REWARDS)}")
    conventions(signature, rules.VALUES)  # refuses an unknown one
    check_seconds(seconds)
    function = get_value_rule(rule) if isinstance(rule, str) else rule
    if not callable(function):
        raise TypeError(f"rule={rule!r} is a {type(rule).__name__}: it must be callable, or a name")
    named = [claim.removeprefix(EQUALS) for claim in wanted if claim.startswith(EQUALS)]
    for each in [*map(get_value_rule, named), *([function] if isinstance(function, ValueRule) else [])]:
        if reason := each.why_not(n, k):
            raise ValueError(reason)

    guard = guarded(function, signature, settings, n=n, k=k, seconds=seconds, output=rules.VALUES)
    shown = signature if isinstance(guard, Misbehaviour) else convention(guard)
    facts = {"rule": rules.describe(function), "signature": shown, "n": n, "k": k}
    asked: dict[str, Any] = {"facts": facts, "claims": wanted, "guard": guard}
    if isinstance(guard, Misbehaviour):
        return Prepared(**asked, rewards=rewards, misbehaviours=(guard,))
    guard.settle(n, k)
    kind, behaviour = behaviour_on(guard, rewards, n=n, k=k, output=rules.VALUES)
    if isinstance(behaviour, Misbehaviour):
        return Prepared(**asked, rewards=kind, misbehaviours=_all(guard, behaviour))
    setting = Setting(n=n, k=k, target="max@k", rewards=kind, equivariant=behaviour.equivariant)
    try:
        first = evaluated(guard, groups_of(kind, n), k)
    except FAILURES as error:
        return Prepared(**asked, rewards=kind, misbehaviours=_all(guard, misbehaviour(error)))
    return Prepared(**asked, rewards=kind, setting=setting, behaviour=behaviour, first=first)


def _all(guard: Guard, found: Misbehaviour) -> tuple[Misbehaviour, ...]:
    return (found, *filter(None, [mutation(guard)]))
