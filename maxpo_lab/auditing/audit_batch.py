"""The audit of a rule of a batch: how prompts meet, the bias that makes at each P, and the claims."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import rules
from ..core.arrays import Float
from ..estimators import BatchEstimator
from ..moments import batch_moments
from .batches.claims import LEVELS, balance, scale_at, verdict
from .batches.companies import drawn
from .batches.coupling import met
from .batches.found import Coupling
from .batches.nearest import nearest_batch_rule
from .batches.sizes import SIZES, of_statistic, over_sizes
from .decide.claims import EQUALS, Setting, Verdict, groups_of
from .decide.nearest import nearest
from .decide.policies import reference_policy
from .decide.verdicts import undecided
from .guard import FAILURES, Guard, Misbehaviour, misbehaviour, mutation
from .preparation import Prepared
from .report.audit_report import AuditReport
from .report.failing_test import failing_test
from .worker import RaisedError

#: Prompts in a batch, and batches, that a rule is asked twice.
_TWICE = (5, 4)
#: Prompts in the largest batches that are compared with the catalogue's rules of a batch.
_COMPARED = 8
#: Prompts in the batches of which a constant scale is told.
_ENDS = (2, 32)


def couples_groups(prepared: Prepared) -> bool:
    """Whether what was prepared is a rule of batches: it says so, or is seen to be one."""
    if rules.couples(prepared.function):
        return not isinstance(prepared.guard, Misbehaviour)
    kind = prepared.misbehaviours[0].kind if prepared.misbehaviours else None
    if kind != "raises" or isinstance(prepared.guard, Misbehaviour):
        return kind == "coupled rows"
    return _refuses_one_group_alone(prepared)


def measured_batch(prepared: Prepared) -> AuditReport:
    """The report of a rule whose groups are coupled."""
    guard = prepared.guard
    try:
        setting, rule = _setting(prepared), _called(guard)
        first = _asked_first(rule, setting)
        found = _own_word(rule, setting)
        values = np.array(LEVELS[setting.rewards])
        seen = met(rule, values, n=setting.n, k=setting.k)
        extra = seen.size if seen is not None and seen.size > max(SIZES) else None
        coupling = Coupling(
            met=seen,
            over_sizes=over_sizes(rule, n=setting.n, k=setting.k, target=setting.objective, extra=extra),
            balance=balance(rule, setting),
            scales=tuple((size, scale_at(rule, setting, size)) for size in _ENDS),
        )
        claimed = (claim.removeprefix(EQUALS) for claim in prepared.claims if claim.startswith(EQUALS))
        own = (guard.name,) if isinstance(guard.rule, BatchEstimator) else ()
        near = (
            nearest(guard, groups_of(setting.rewards, setting.n), setting.k)
            if seen is None or seen.size > _COMPARED
            else nearest_batch_rule(rule, values, n=setting.n, k=setting.k, prefer=(*claimed, *own))
        )
        verdicts = tuple(verdict(rule, claim, setting, extra=extra) for claim in prepared.claims)
        _asked_last(rule, first, setting)
    except FAILURES as error:
        found, verdicts = _lost(prepared, error)
        return AuditReport.without_moments(
            **prepared.facts, rewards=prepared.rewards, misbehaviours=found, claims=verdicts
        )
    found += filter(None, [mutation(guard)])
    blank = AuditReport.without_moments(
        **prepared.facts, rewards=setting.rewards, misbehaviours=found, claims=verdicts
    )
    return replace(
        blank,
        levels=tuple(values.tolist()),
        precision=guard.precision.name,
        coupling=coupling,
        nearest=near,
        failing_test=failing_test(guard.rule, verdicts, setting),
    )


def decided_batch(prepared: Prepared) -> tuple[list[Misbehaviour], tuple[Verdict, ...]]:
    """What the rule does that no rule may do, and the verdicts, alone."""
    try:
        setting, rule = _setting(prepared), _called(prepared.guard)
        first = _asked_first(rule, setting)
        found = _own_word(rule, setting)
        verdicts = tuple(verdict(rule, claim, setting) for claim in prepared.claims)
        _asked_last(rule, first, setting)
    except FAILURES as error:
        return _lost(prepared, error)
    return [*found, *filter(None, [mutation(prepared.guard)])], verdicts


def _refuses_one_group_alone(prepared: Prepared) -> bool:
    """Whether a rule answers to several groups, and raises for one."""
    groups = drawn(np.array([0.0, 1.0]), prepared.facts["n"], _TWICE[0], 1)[0]
    try:
        rules.evaluate(prepared.guard, groups, prepared.facts["k"])
    except FAILURES:
        return False
    try:
        rules.evaluate(prepared.guard, groups[:1], prepared.facts["k"])
    except RaisedError:
        return True
    return False


def _called(guard: Guard) -> rules.Rule:
    """The rule as it is measured: of the catalogue by itself, any other behind its guard."""
    return guard.rule if isinstance(guard.rule, BatchEstimator) else guard


def _setting(prepared: Prepared) -> Setting:
    """The kind of rewards that the rule takes. Raises what it raises where it takes none."""
    facts, asked = prepared.facts, prepared.rewards
    if asked == "continuous":
        raise ValueError(
            "rewards='continuous': the claims of a rule of batches are decided on binary or graded rewards"
        )
    kinds = ("graded", "binary") if asked == "auto" else (asked,)
    rule = _called(prepared.guard)
    for kind in kinds:
        try:
            rules.of_batches(rule, drawn(np.array(LEVELS[kind]), facts["n"], *_TWICE), facts["k"])
        except (RaisedError, ValueError, TypeError):
            if kind == kinds[-1]:
                raise
            continue
        break
    return Setting(
        n=facts["n"],
        k=facts["k"],
        target=facts["target"],
        rewards=kind,
        equivariant=True,
        allow_scale=prepared.allow_scale,
    )


def _asked_first(rule: rules.Rule, setting: Setting) -> tuple[Float, Float]:
    """Some batches and what they get. Raises the errors of ``rules.admit_batch``."""
    values = np.array(LEVELS[setting.rewards])
    rules.admit_batch(of_statistic(rule, None), setting.n, setting.k, prompts=_TWICE[0], values=values)
    batches = drawn(values, setting.n, *_TWICE)
    return batches, rules.of_batches(rule, batches, setting.k)


def _asked_last(rule: rules.Rule, first: tuple[Float, Float], setting: Setting) -> None:
    """Raise RandomRuleError where the same batches get something else by now."""
    if not np.array_equal(rules.of_batches(rule, first[0], setting.k), first[1]):
        raise rules.RandomRuleError(
            f"{rules.describe(rule)} gave two answers for the same batches, at the beginning and at the end: "
            f"exact moments need a deterministic rule"
        )


def _own_word(rule: rules.Rule, setting: Setting) -> list[Misbehaviour]:
    """Whether a user's rule meets as it says."""
    said = rule.rule if isinstance(rule, Guard) else rule
    if not isinstance(said, rules.BatchRule) or said.statistic is None:
        return []
    alike = (reference_policy(0.3, "one", np.array([0.0, 1.0])),)
    try:
        batch_moments(
            of_statistic(rule, said.statistic),
            alike,
            n=setting.n,
            k=setting.k,
            batch=_TWICE[0],
            target=setting.objective,
        )
    except rules.CoupledRowsError as error:
        return [Misbehaviour("other coupling", str(error))]
    return []


def _lost(prepared: Prepared, error: BaseException) -> tuple[list[Misbehaviour], tuple[Verdict, ...]]:
    """What ends the audit, and verdicts that are left open."""
    found = [misbehaviour(error), *filter(None, [mutation(prepared.guard)])]
    if found[0].kind != "coupled rows":
        return found, undecided(prepared.claims, found)
    why = "not decided: what a group gets depends on its place in the batch"
    return found, tuple(Verdict(claim, None, why) for claim in prepared.claims)
