"""The audit of a rule with memory: as one of a group at a fresh state, after some steps, and as given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import rules
from ..core.arguments import as_group_size
from ..core.arrays import Float
from ..core.precision import FLOAT64, as_numpy
from ..estimators import get_estimator, list_estimators
from ..estimators.entry import DeadGroups
from ..estimators.memory import MemoryEstimator
from .decide import claims as claims_of
from .decide.claims import EQUALS, Verdict
from .decide.climbing import climbs
from .decide.nearest import Nearest
from .decide.verdicts import undecided, verdict
from .guard import FAILURES, Misbehaviour, misbehaviour
from .memories.found import AtState, Memory
from .memories.frozen import ChangedStateError, Frozen, advantages_along, path, states, step
from .preparation import Prepared, prepare
from .report.audit_report import AuditReport
from .worker import RaisedError, Worker

#: Rewards of the steps that make states.
_VALUES = np.array([0.0, 0.25, 1.0])
#: Advantages below which a group gets nothing.
_NOTHING = 1e-9
#: Options that papers and trainers run, beside those that the catalogue lists.
_OTHERS = (
    *(f"rae:decay={decay}" for decay in (0.5, 0.9, 0.99)),
    *(f"spo:rho={rho},whiten={whiten}" for rho in (0.875, 0.9, 0.96, 1) for whiten in (0, 1)),
    *(f"dbb:keep={keep}" for keep in (0.25, 0.5, 1)),
    "ha-dw:scale=1",
    "ha-dw:scale=1.3",
    "ebpo:ddof=0",
)
#: How such a rule is called, and the share of the largest advantage by which equals may differ.
_CALL, _SAME = "update(state, rewards, k, prompts)", 1e-9


def with_memory(rule: Any) -> rules.WithMemory | None:
    """The rule with memory that is meant; None where it is of another kind."""
    found = get_estimator(rule) if isinstance(rule, str) else rule
    return found if rules.has_memory(found) else None


def measured_memory(
    rule: rules.WithMemory, *, state: Any, signature: str, settings: Any, claims: Any, **asked: Any
) -> AuditReport:
    """The report of a rule with memory."""
    n, k = as_group_size(asked["n"]), asked["k"]
    if signature != "auto" or settings:
        raise ValueError(
            f"signature={signature!r}, settings={settings!r}: {rule.name} has memory, and is called as "
            f"update(state, rewards, k, prompts); leave them out"
        )
    claims = claims_of.check_claims(claims)
    if isinstance(rule, MemoryEstimator):
        if reason := rule.why_not(n, k):
            raise ValueError(reason)
        if state is not None:  # refused by name where it is none of this rule's
            rule.update(state, np.zeros((1, n)), k, np.array([0]))
    every = {**asked, "signature": "batch", "settings": None, "claims": _of_groups(claims)}
    facts: dict[str, Any] = {"rule": rule.name, "signature": _CALL, "n": n, "k": k, "target": asked["target"]}
    rewards = asked["rewards"]
    try:
        at = Worker()(lambda: _at_states(rule, state, n=n, k=k), asked["seconds"], rule.name)
        prepared = [(words, prepare(frozen, **every)) for words, frozen in at]
        rewards = prepared[0][1].rewards
        found = next((each.misbehaviours for _, each in prepared if each.misbehaviours), ())
        if not found:
            memory = Memory(tuple(_at(*each) for each in prepared), _remembers(rule, n, k))
            verdicts = tuple(_verdict(rule, claim, prepared) for claim in claims)
            blank = AuditReport.without_moments(**facts, rewards=rewards, misbehaviours=(), claims=verdicts)
            setting, guard = prepared[0][1].setting, prepared[0][1].guard
            levels = () if rewards == "continuous" else tuple(setting.values.tolist())  # type: ignore[union-attr]
            return replace(
                blank,
                levels=levels,
                precision=guard.precision.name,
                memory=memory,
                nearest=_nearest(rule, n, k),
            )
    except FAILURES as error:
        found = (_misbehaviour(error),)
    lost = AuditReport.without_moments(
        **facts, rewards=rewards, misbehaviours=found, claims=undecided(claims, found)
    )
    return _compared(rule, lost, asked["seconds"]) if found[0].kind == "coupled rows" else lost


def _compared(rule: rules.WithMemory, lost: AuditReport, seconds: float) -> AuditReport:
    """What can be said where prompts meet: which rule of the catalogue it is, or whether it is the named."""

    def decided() -> tuple[Verdict, ...]:
        return tuple(
            _equal(rule, each.claim, lost.n, lost.k) if each.claim.startswith(EQUALS) else each
            for each in lost.claims
        )

    try:
        claims = Worker()(decided, seconds, rule.name)
        near = Worker()(lambda: _nearest(rule, lost.n, lost.k), seconds, rule.name)
    except FAILURES:  # what the rule did before is told already
        return lost
    return replace(lost, claims=claims, nearest=near)


def _of_groups(claims: Sequence[str]) -> tuple[str, ...]:
    """The claims that are decided a state at a time."""
    return tuple(claim for claim in claims if not claim.startswith(EQUALS))


def _at_states(rule: rules.WithMemory, state: Any, *, n: int, k: int) -> list[tuple[str, Frozen]]:
    """The rule at all states. Raises CoupledRowsError where prompts of a step change each other's answers."""
    _hold_apart(rule, n=n, k=k)
    found = list(states(rule, _VALUES, n=n, k=k))
    rewards = path(_VALUES, n)[0]
    start = rule.init(len(rewards))
    together, again = (as_numpy(step(rule, start, rewards, k, np.arange(len(rewards)))[0]) for _ in "ab")
    if not np.array_equal(together, again):
        raise rules.RandomRuleError(
            f"{rule.name} gave two answers for the same state and rewards: what it remembers must be in its "
            f"state, and it must draw nothing"
        )
    for prompt, group in enumerate(rewards):
        alone = as_numpy(step(rule, start, group[None], k, np.array([prompt]))[0])[0]
        if not np.allclose(alone, together[prompt], rtol=1e-6, atol=1e-6):
            raise rules.CoupledRowsError(
                f"{rule.name} gives the group {group.tolist()} other advantages in a step by itself than "
                f"beside other prompts: a rule with memory is judged where prompts remember, and do not meet"
            )
    return [*found, ("as given", Frozen(rule, state, 0))] if state is not None else found


def _hold_apart(rule: rules.WithMemory, *, n: int, k: int) -> None:
    """Raise CoupledRowsError where other rewards of other prompts, now or before, change what one gets."""
    steps = path(_VALUES, n)
    others = _VALUES[0] + _VALUES[-1] - steps
    first = advantages_along(rule, steps, k)
    if not np.array_equal(first, advantages_along(rule, steps, k)):
        return  # told as what it is: of chance
    for prompt in range(steps.shape[1]):
        mixed = others.copy()
        mixed[:, prompt] = steps[:, prompt]
        beside = advantages_along(rule, mixed, k)[:, prompt]
        if not np.allclose(first[:, prompt], beside, rtol=1e-6, atol=1e-6):
            at = int(np.abs(first[:, prompt] - beside).max(axis=1).argmax())
            raise rules.CoupledRowsError(
                f"{rule.name}: at step {at + 1} the group {steps[at, prompt].tolist()} gets other advantages "
                f"beside other prompts than the same after the same of its own: a rule with memory is judged "
                f"where prompts remember, and do not meet"
            )


def _at(words: str, prepared: Prepared) -> AtState:
    setting, guard = prepared.setting, prepared.guard
    climbed = climbs(guard, setting)  # type: ignore[arg-type]
    return AtState(
        state=words,
        climbs=climbed.text,
        scale=climbed.scale if climbed.proportional_to_target else None,
        centered=claims_of.why_not_centered(guard, setting) is None,  # type: ignore[arg-type]
        pays=_pays(guard, setting),
    )


def _pays(guard: Any, setting: Any) -> DeadGroups:
    """Which groups of the least or the greatest reward alone get something."""
    ends = np.array([setting.values.min(), setting.values.max()])
    groups = np.repeat(ends[:, None], setting.n, axis=1)
    fail, correct = np.abs(rules.evaluate(guard, groups, setting.k)).max(axis=1) > _NOTHING
    if fail and correct:
        return "both"
    return "all-fail" if fail else "all-correct" if correct else "none"


def _verdict(rule: rules.WithMemory, claim: str, prepared: Sequence[tuple[str, Prepared]]) -> Verdict:
    """A claim holds where it does at every state; the first at which it does not is told."""
    if claim.startswith(EQUALS):
        return _equal(rule, claim, prepared[0][1].facts["n"], prepared[0][1].facts["k"])
    every: list[Verdict] = []
    for words, each in prepared:
        climbed = climbs(each.guard, each.setting) if claim == "unbiased" else None  # type: ignore[arg-type]
        found = verdict(each.guard, claim, each.setting, climbed)  # type: ignore[arg-type]
        if not found.holds:
            return replace(found, detail=f"{words}: {found.detail}")
        every.append(found)
    at = ", ".join(words for words, _ in prepared)
    last = min(every, key=lambda each: each.up_to or 0.0)
    return replace(last, detail=f"{last.detail}, at every state tried: {at}")


def _equal(rule: rules.WithMemory, claim: str, n: int, k: int) -> Verdict:
    name = claim.removeprefix(EQUALS)
    named = get_estimator(name)
    if not isinstance(named, MemoryEstimator):
        return Verdict(claim, False, f"{name} is a {named.kind} rule, and this one has memory")
    steps = path(_VALUES, n)
    ours, theirs = (advantages_along(each, steps, k) for each in (rule, named))
    off = np.abs(ours - theirs).max(axis=2) > _SAME * max(1.0, float(np.abs(theirs).max()))
    if not off.any():
        where = f"along {len(steps)} steps of {off.shape[1]} prompts"
        return Verdict(claim, True, f"the numbers of {name} {where}")
    at, prompt = (int(place[0]) for place in np.nonzero(off))
    return Verdict(
        claim,
        False,
        f"step {at + 1}: {claims_of.plain(steps[at, prompt])} gets {claims_of.plain(ours[at, prompt])}; "
        f"{name} gives {claims_of.plain(theirs[at, prompt])}",
    )


def _remembers(rule: rules.WithMemory, n: int, k: int) -> bool:
    """Whether the same rewards get something else after other steps."""
    before = path(_VALUES, n)
    last = before[-1:]
    fresh = advantages_along(rule, last, k)[-1]
    later = advantages_along(rule, np.concatenate([before, last]), k)[-1]
    return not np.allclose(fresh, later, rtol=_SAME, atol=_SAME)


def _nearest(rule: rules.WithMemory, n: int, k: int) -> Nearest | None:
    """The rule with memory of the catalogue whose numbers are nearest along a path; None where all are 0.

    Where none is equal, some other options of each are tried.
    """
    steps = path(_VALUES, n)
    ours = advantages_along(rule, steps, k)
    if not ours.any():
        return None
    found: list[Nearest] = []
    usual = dict.fromkeys((rule.name, *list_estimators("memory")))
    for names in (usual, _OTHERS):
        found += (near for name in names if (near := _distance(name, ours, steps, k)))
        if any(each.exact for each in found):
            break
    return min(found, key=lambda each: each.distance, default=None)


def _distance(name: str, ours: Float, steps: Float, k: int) -> Nearest | None:
    """How near a rule of the catalogue comes; None for none of it, or one that is not defined there."""
    try:
        named = get_estimator(name)
    except ValueError:  # a user's own
        return None
    if not isinstance(named, MemoryEstimator) or (theirs := _along(named, steps, k)) is None:
        return None
    off = float(np.linalg.norm(ours - theirs) / np.linalg.norm(ours))
    exact = bool(np.abs(ours - theirs).max() <= _SAME * float(np.abs(ours).max()))
    return Nearest(named.name, k, 1.0, 0.0 if exact else off, exact, FLOAT64.name if exact else None)


def _along(named: MemoryEstimator, steps: Float, k: int) -> Float | None:
    """Advantages along a path; None where the rule is not defined at all its steps."""
    try:
        return advantages_along(named, steps, k)
    except ValueError:
        return None


def _misbehaviour(error: BaseException) -> Misbehaviour:
    """What a failure says; an update that writes into its state mutates."""
    cause = error.__cause__
    if isinstance(error, RaisedError) and isinstance(cause, rules.RuleError):
        if isinstance(cause, ChangedStateError):
            return Misbehaviour("mutates", str(cause))
        return misbehaviour(cause)
    return misbehaviour(error)
