"""What the audit of a rule of several rewards begins with: its arguments, its rows, and how it behaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ... import rules
from ...core.arguments import as_group_size, as_k
from ...core.arrays import Float, Int
from ...estimators import VectorBatchEstimator, get_estimator
from ...objectives import Objective
from ..batches.companies import drawn
from ..decide.claims import EQUALS, check_claims
from ..guard import FAILURES, Misbehaviour, in_a_large_batch, misbehaviour, mutation, observe
from ..preparation import REWARDS, check_seconds
from ..worker import RaisedError
from .calls import ByNumbers, RowRule, row_rule
from .rows import RowSetting, groups_of

#: Rewards of a rollout where a rule does not say how many.
_REWARDS = 2
#: Groups on which a rule is observed, and those that are looked for in a large batch.
_OBSERVED, _FEW = 256, 32
#: Prompts of a batch, and batches, that a rule is asked twice.
_PROMPTS, _BATCHES = 5, 4


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A rule of several rewards that has been called: what is asked of it, and where.

    ``called`` is None where a misbehaviour came before; ``coupled``: whether its groups meet, by its word or
    as it was seen to be.
    """

    rule: rules.OfVectors
    setting: RowSetting
    claims: tuple[str, ...]
    facts: dict[str, Any]
    called: RowRule | None = None
    coupled: bool = False
    misbehaviours: tuple[Misbehaviour, ...] = ()

    @property
    def own_name(self) -> str | None:
        """Its name, where it is of the catalogue."""
        return None if isinstance(self.rule, rules.VectorRule) else self.rule.name


def subject_of(rule: rules.OfVectors, asked: Mapping[str, Any]) -> Subject:
    """Check the arguments of an audit and look at the rule."""
    claims = check_claims(asked["claims"])
    n = as_group_size(asked["n"])
    rule, setting = _checked(rule, n, as_k(asked["k"], n=n), asked, claims)
    facts: dict[str, Any] = {
        "rule": rules.describe(rule),
        "signature": "batch",
        "n": n,
        "k": setting.k,
        "target": setting.target,
    }
    blank = Subject(rule=rule, setting=setting, claims=claims, facts=facts)
    try:
        called = row_rule(rule, setting.reward_weights, n=n, k=setting.k, seconds=asked["seconds"])
    except FAILURES as error:
        return replace(blank, misbehaviours=(misbehaviour(error),))
    setting, coupled, found = _settled(called, setting, asked["rewards"])
    misbehaviours = () if found is None else (found, *filter(None, [mutation(called.guard)]))
    return replace(blank, setting=setting, called=called, coupled=coupled, misbehaviours=tuple(misbehaviours))


def _checked(
    rule: rules.OfVectors, n: int, k: int, asked: Mapping[str, Any], claims: tuple[str, ...]
) -> tuple[rules.OfVectors, RowSetting]:
    """The rule with its weights told, and where it is judged, as far as that is known before it is called."""
    if asked["signature"] not in ("auto", "batch") or asked["settings"]:
        raise ValueError(
            f"signature={asked['signature']!r}, settings={asked['settings']!r}: {rules.describe(rule)} takes "
            f"several rewards, and is called as (rewards (B, n, d), k); leave them out"
        )
    if (rewards := asked["rewards"]) not in REWARDS or rewards == "continuous":
        raise ValueError(
            f"rewards={rewards!r}: the claims of a rule of several rewards are decided on binary or graded "
            f"ones; must be auto, binary or graded"
        )
    check_seconds(asked["seconds"])
    target = asked["target"]
    if isinstance(target, Objective) or not isinstance(target, str):
        raise TypeError(f"target={target!r}: of several rewards it must be a name, e.g. per-reward:max@k")
    weights = rule.reward_weights or (1.0,) * _REWARDS
    if not any(weights):
        raise ValueError(f"reward_weights={weights}: an objective of no reward; one at least must not be 0")
    if not isinstance(rule, rules.VectorRule):
        rule = rule.weighted(weights)
        if reason := rule.why_not(n, k):
            raise ValueError(reason)
    setting = RowSetting(
        n=n,
        k=k,
        target=target,
        rewards="graded" if rewards == "auto" else rewards,
        equivariant=True,
        allow_scale=asked["allow_scale"],
        reward_weights=weights,
        lengths=rule.takes_lengths,
    )
    if (size := setting.objective.size) > n:
        raise ValueError(
            f"target={target!r} looks at {size} rollouts, the group has n={n}: audit at n >= {size}, or "
            f"another target"
        )
    for claim in claims:
        named = get_estimator(claim.removeprefix(EQUALS)) if claim.startswith(EQUALS) else None
        if named is not None and (reason := named.why_not(n, k)):
            raise ValueError(f"claim {claim}: {reason}")
    return rule, setting


def some_numbers(setting: RowSetting) -> Int:
    """Numbers of rows (B, n) of some groups."""
    level = groups_of(setting.n, len(setting.table))
    found: Int = level[np.unique(np.linspace(0, len(level) - 1, _OBSERVED).astype(int))]
    return found


def some_batches(setting: RowSetting) -> Int:
    """Numbers of rows (B, P, n) of some batches."""
    values = np.arange(float(len(setting.table)))
    found: Int = drawn(values, setting.n, _PROMPTS, _BATCHES).astype(np.intp)
    return found


def _settings(setting: RowSetting, rewards: str) -> Iterator[RowSetting]:
    """Kinds of rows, the richest first; what a rule refuses leaves it the next."""
    kinds = ("graded", "binary") if rewards == "auto" else (rewards,)
    for kind in kinds:
        yield replace(setting, rewards=kind)
    yield replace(setting, rewards=kinds[-1], exclusive=True)


def _settled(
    called: RowRule, setting: RowSetting, rewards: str
) -> tuple[RowSetting, bool, Misbehaviour | None]:
    """The richest rows that a rule answers to, whether its groups meet, and what it does wrong there."""
    first: tuple[RowSetting, bool, Misbehaviour] | None = None
    for each in _settings(setting, rewards):
        coupled, seen = _seen(called, each)
        if not isinstance(seen, Misbehaviour):
            return replace(each, equivariant=seen.equivariant), coupled, None
        first = first or (each, coupled, seen)
        if seen.kind not in ("raises", "not finite"):
            break
    if first is None:
        raise AssertionError
    return first


def _seen(called: RowRule, setting: RowSetting) -> tuple[bool, rules.Behaviour | Misbehaviour]:
    """Whether the groups of a rule meet, and how it behaves."""
    by_number, rule = ByNumbers(called, setting.table), called.own
    if isinstance(rule, VectorBatchEstimator):
        return True, _behaviour_in_batches(by_number, setting)
    numbers = some_numbers(setting)
    seen = observe(by_number, numbers.astype(np.float64), setting.k)
    if not isinstance(seen, Misbehaviour) and isinstance(rule, rules.VectorRule):
        seen = in_a_large_batch(by_number, numbers[:_FEW].astype(np.float64), setting.k) or seen
    kind = seen.kind if isinstance(seen, Misbehaviour) else None
    if kind == "coupled rows" or (kind == "raises" and _refuses_one_alone(by_number, setting)):
        return True, _behaviour_in_batches(by_number, setting)
    return False, seen


def _behaviour_in_batches(by_number: ByNumbers, setting: RowSetting) -> rules.Behaviour | Misbehaviour:
    """Whether a rule of batches treats rollouts and prompts alike, and answers the same each time."""
    values = np.arange(float(len(setting.table)))
    batch_rule = rules.batch_rule(by_number)
    try:
        rules.admit_batch(batch_rule, setting.n, setting.k, prompts=_PROMPTS, values=values)
    except FAILURES as error:
        return misbehaviour(error)
    return rules.Behaviour(counterexample=None)


def _refuses_one_alone(by_number: ByNumbers, setting: RowSetting) -> bool:
    """Whether a rule answers to several groups, and raises for one."""
    numbers: Float = some_batches(setting)[0].astype(np.float64)
    try:
        rules.evaluate(by_number, numbers, setting.k)
    except FAILURES:
        return False
    try:
        rules.evaluate(by_number, numbers[:1], setting.k)
    except RaisedError:
        return True
    return False
