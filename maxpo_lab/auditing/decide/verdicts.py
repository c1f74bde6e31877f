"""A claim's verdict: decided on rewards up to 1, then followed to larger ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

import numpy as np

from ... import rules
from ...core.arrays import Float
from ...core.precision import FLOAT64
from ...estimators import get_estimator
from ..guard import Guard, Misbehaviour
from ..worker import RaisedError
from . import claims as claims_of
from .claims import EQUALS, FLAT, LARGEST, Setting, Verdict, Where
from .lengths import coded, fault_with_lengths, few_enough, lengths_matter
from .objective import Ascent
from .pairs import on_levels

Fault = Callable[[Setting], str | None]
_Setting = TypeVar("_Setting", bound=Where)


def verdict(rule: rules.Rule, claim: str, setting: Setting, climbed: Ascent | None) -> Verdict:
    """Whether a rule keeps a claim, why, and how large rewards may be.

    ``climbed`` is what its pairs say, which decide on ``unbiased``; other claims do without.
    """
    fault: Fault
    if claim == "unbiased" and climbed is not None:
        holds, detail = _unbiased(rule, setting, climbed)
        fault = lambda each: _biased_at_n(rule, each)  # noqa: E731
    elif claim.startswith(EQUALS):
        name = claim.removeprefix(EQUALS)
        if (kind := get_estimator(name).kind) != "group":
            return Verdict(claim, False, f"{name} is a {kind} rule, and this is a rule of one group")
        if reason := get_estimator(name).why_not_rewards(_groups(setting)):
            return Verdict(claim, None, f"not decided on {setting.rewards} rewards: {reason}")
        fault = lambda each: claims_of.why_not_equal(rule, name, each)  # noqa: E731
        holds, detail = _decided(fault(setting), f"the numbers of {name} on {_tried(setting)}")
    elif claim == "centered":
        fault = lambda each: claims_of.why_not_centered(rule, each)  # noqa: E731
        holds, detail = _decided(
            fault(setting), f"the advantages of {_tried(setting)} sum to 0{_to_precision(rule, setting)}"
        )
    else:
        fault = lambda each: claims_of.why_not_equivariant(rule, each)  # noqa: E731
        words = "permuted rewards get permuted advantages, ties aside, in some permutations of"
        holds, detail = _decided(fault(setting), f"{words} {_tried(setting)}")
    if holds and (differ := _where_lengths_differ(rule, claim, setting)):
        holds, why = differ
        return Verdict(claim, holds, f"where responses are equally long, {detail}; {why}")
    if not holds:
        return Verdict(claim, holds, detail)
    return Verdict(claim, holds, detail, *followed(fault, setting))


def undecided(
    claims: Sequence[str], found: Sequence[Misbehaviour], given: str = "advantages"
) -> tuple[Verdict, ...]:
    """The verdicts on a rule that has no exact moments."""
    why = {
        "random": "exact moments need a deterministic rule",
        "coupled rows": f"a group has no {given} of its own",
        "hangs": "the rule does not return",
        "raises": "the rule raises",
    }.get(found[0].kind if found else "", f"the rule gives no {given}")
    return tuple(Verdict(claim, None, f"not decided: {why}") for claim in claims)


def _where_lengths_differ(
    rule: rules.Rule, claim: str, setting: Setting
) -> tuple[Literal[False] | None, str] | None:
    """That a claim fails on responses of unequal lengths, or is open there, and why; None where it holds.

    None too where no call of the rule tells lengths.
    """
    numbered = coded(rule) if isinstance(rule, Guard) and setting.equivariant else None
    if numbered is None or not isinstance(rule, Guard):
        return None
    if claim == "unbiased" and not few_enough(setting.n):
        seen = lengths_matter(rule, setting)
        return (None, "where they are not, too many groups to decide") if seen and seen.used else None
    why = fault_with_lengths(numbered, claim, setting)
    return (False, why) if why else None


def _groups(setting: Setting) -> Float:
    return claims_of.with_flat(claims_of.groups_of(setting.rewards, setting.n), setting.rewards)


def _tried(setting: Setting) -> str:
    return f"all {len(_groups(setting)):,} groups tried"


def _decided(why: str | None, else_: str) -> tuple[bool, str]:
    return why is None, why or else_


def _unbiased(rule: rules.Rule, setting: Setting, climbed: Ascent) -> tuple[bool | None, str]:
    """By the pairs on the setting's levels, and on levels that are no binary fractions."""
    holds = climbed.proportional_to_target if setting.allow_scale else climbed.unbiased_for_target
    why = claims_of.why_biased(rule, setting) if holds is False else None
    room = claims_of.few_enough(setting) and len(setting.values) >= len(FLAT)
    if holds and setting.rewards == "graded" and room:
        levels = np.array(FLAT)
        pairs = on_levels(rule, levels, n=setting.n, k=setting.k, equivariant=setting.equivariant)
        why = claims_of.wrongly_paid(pairs, setting)
    if why:
        return False, f"{climbed.text}; {why}"
    return holds, climbed.text


def _biased_at_n(rule: rules.Rule, setting: Setting) -> str | None:
    return claims_of.wrongly_paid(claims_of.pairs_of(rule, setting), setting)


def _to_precision(rule: rules.Rule, setting: Setting) -> str:
    """What must be said of sums that are not 0 to float64's rounding, or that a narrow type hides."""
    groups = _groups(setting)
    try:
        advantages = rules.evaluate(rule, groups, setting.k)
    except (RaisedError, ValueError, TypeError):
        return ""
    total = np.abs(advantages.sum(axis=1, keepdims=True))
    made = rules.finest(rule, groups, advantages, setting.k, total / groups.shape[1])
    if made in (None, FLOAT64):
        return ""
    return f", to the precision of {made.name}: the largest sum is {total.max():.2g}"


def followed(
    fault: Callable[[_Setting], str | None], setting: _Setting, given: str = "advantages"
) -> tuple[float, str | None]:
    """The largest power of ten by which rewards can be multiplied, and what happens at ten times that.

    On the way to the largest rewards graded ones are tried by their lowest and highest alone.
    """

    def at(unit: float) -> str | None:
        kind = "binary" if setting.rewards == "graded" and unit < LARGEST else setting.rewards
        try:
            return fault(replace(setting, unit=unit, rewards=kind))
        except rules.NotFiniteError:
            return f"the {given} are not finite"
        except (RaisedError, ValueError, TypeError) as error:
            return f"refused: {error.__cause__ or error}"

    up_to = 1.0
    while up_to < LARGEST:
        if (found := at(10 * up_to)) is not None:
            return up_to, found
        up_to *= 10
    return LARGEST, None
