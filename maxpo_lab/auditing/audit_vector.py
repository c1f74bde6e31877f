"""The audit of a rule of several rewards: its objective, the order in which it sums, and the rule in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import rules
from ..estimators import VectorBatchEstimator, get_estimator
from ..moments.states import number_of_counts
from ..rules.numbered import by_number
from .batches.sizes import over_sizes
from .decide.claims import EQUALS, Verdict
from .decide.policies import SUCCESS
from .decide.verdicts import undecided
from .guard import FAILURES, Misbehaviour, misbehaviour, mutation
from .report.audit_report import AuditReport
from .report.failing_test import failing_test
from .report.findings import Decision
from .vectors.calls import ByNumbers, RowRule
from .vectors.claims import verdict
from .vectors.climbing import climbs
from .vectors.coupled import balance_of, batch_verdict, met_rows, of_row_batches
from .vectors.edges import row_edges
from .vectors.found import RowCoupling, Vectors
from .vectors.laws import laws_of
from .vectors.nearest import nearest_row_rule
from .vectors.policies import reference_rows, under_rows
from .vectors.steps import steps_on
from .vectors.structure import order_of, probes
from .vectors.subject import Subject, some_batches, some_numbers, subject_of
from .vectors.whitened import nearest_row_batch_rule

#: Groups of a prompt of the batches that are measured, at most.
_STATES = 1_000


def of_vectors(rule: Any) -> rules.OfVectors | None:
    """The rule of several rewards that is meant; None where it is of another kind."""
    found = get_estimator(rule) if isinstance(rule, str) else rule
    return found if rules.takes_vectors(found) else None


def measured_vector(rule: rules.OfVectors, **asked: Any) -> AuditReport:
    """The report of a rule of several rewards."""
    subject = subject_of(rule, asked)
    setting, found = subject.setting, subject.called
    if subject.misbehaviours or found is None:
        return _ended(subject, subject.misbehaviours)
    try:
        report = (_of_batches if subject.coupled else _of_groups)(subject, found)
    except FAILURES as error:  # what the first look did not meet
        return _ended(subject, [misbehaviour(error), *filter(None, [mutation(found.guard)])])
    return replace(
        report,
        precision=found.precision.name,
        misbehaviours=(*report.misbehaviours, *filter(None, [mutation(found.guard)])),
        failing_test=failing_test(subject.rule, report.claims, setting),
    )


def decided_vector(rule: rules.OfVectors, **asked: Any) -> Decision:
    """The verdicts of ``measured_vector`` alone."""
    subject = subject_of(rule, asked)
    found, misbehaviours = subject.called, [*subject.misbehaviours]
    verdicts = undecided(subject.claims, misbehaviours)
    if not misbehaviours and found is not None:
        try:
            verdicts = _verdicts(subject, found)
        except FAILURES as error:
            misbehaviours = [misbehaviour(error)]
            verdicts = undecided(subject.claims, misbehaviours)
        misbehaviours += filter(None, [mutation(found.guard)])
    return Decision(
        rule=subject.facts["rule"],
        n=subject.facts["n"],
        k=subject.facts["k"],
        misbehaviours=tuple(misbehaviours),
        claims=verdicts,
    )


def _of_groups(subject: Subject, rule: RowRule) -> AuditReport:
    setting = subject.setting
    groups = probes(rule, setting)
    order = order_of(rule, groups, setting.k)
    climbed = climbs(steps_on(ByNumbers(rule, setting.table), setting), setting)
    edges = row_edges(rule, n=setting.n, k=setting.k)
    vectors = Vectors(
        reward_weights=setting.reward_weights,
        rows=tuple(map(tuple, setting.table.tolist())),
        sees=order.sees,
        sees_weights=order.weights,
        laws=laws_of(rule, groups[0], setting.k),
        policies=under_rows(_as_vector_rule(rule), setting, rule.precision.eps),
        edges=edges,
        coupling=None,
    )
    near = nearest_row_rule(rule, groups, setting.k, order, prefer=_preferred(subject))
    overflows = tuple(
        Misbehaviour("not finite", f"{rule.name} is not finite on finite rewards: {label}")
        for label in edges.overflows
    )
    verdicts = _verdicts(subject, rule)
    blank = _blank(subject, misbehaviours=overflows, claims=verdicts)
    return replace(blank, ascent=climbed, nearest=near, vectors=vectors)


def _of_batches(subject: Subject, rule: RowRule) -> AuditReport:
    setting = subject.setting
    many = number_of_counts(setting.n, 2**rule.rewards) > _STATES
    answers = "exclusive" if setting.exclusive or many else "independent"
    policies = [
        reference_rows(success, answers, rule.rewards, lengths=setting.lengths)
        for success in SUCCESS.values()
    ]
    numbered = by_number(
        subject.rule if isinstance(subject.rule, VectorBatchEstimator) else _as_vector_rule(rule),
        policies,
        n=setting.n,
        k=setting.k,
        target=setting.target,
    )
    over = over_sizes(
        numbered.rule,
        n=setting.n,
        k=setting.k,
        target=numbered.target,
        prompts=numbered.policies,
    )
    vectors = Vectors(
        reward_weights=setting.reward_weights,
        rows=tuple(map(tuple, setting.table.tolist())),
        sees=None,
        sees_weights=None,
        laws=None,
        policies=None,
        edges=None,
        coupling=RowCoupling(met_rows(rule, setting), over, answers, balance_of(rule, setting)),
    )
    near = nearest_row_batch_rule(rule, setting, prefer=_preferred(subject))
    verdicts = _verdicts(subject, rule)
    return replace(_blank(subject, claims=verdicts), nearest=near, vectors=vectors)


def _verdicts(subject: Subject, rule: RowRule) -> tuple[Verdict, ...]:
    """All verdicts; RandomRuleError where the rule has changed its mind between the first and the last."""
    setting = subject.setting
    if subject.coupled:
        batches = setting.table[some_batches(setting)]
        first = of_row_batches(rule, batches, setting.k)
        found = tuple(batch_verdict(rule, claim, setting) for claim in subject.claims)
        last = of_row_batches(rule, batches, setting.k)
    else:
        groups = setting.table[some_numbers(setting)]
        first = rule(groups, setting.k)
        asked = "unbiased" in subject.claims
        climbed = climbs(steps_on(ByNumbers(rule, setting.table), setting), setting) if asked else None
        found = tuple(verdict(rule, claim, setting, climbed) for claim in subject.claims)
        last = rule(groups, setting.k)
    if not np.array_equal(first, last):
        raise rules.RandomRuleError(
            f"{rule.name} gave two answers for the same rewards, at the beginning and at the end: exact "
            f"moments need a deterministic rule"
        )
    return found


def _as_vector_rule(rule: RowRule) -> rules.VectorRule:
    """The guarded rule as one that moments take, at its weights."""

    def called(rewards: Any, k: int, lengths: Any = None) -> Any:
        rows = rewards if lengths is None else np.concatenate([rewards, lengths[..., None]], axis=-1)
        return rule(rows, k)

    called.__name__ = rule.name
    return rules.vector_rule(called, reward_weights=rule.weights, takes_lengths=rule.lengths)


def _preferred(subject: Subject) -> tuple[str, ...]:
    """Names that are claimed, and the rule's own."""
    claimed = [claim.removeprefix(EQUALS) for claim in subject.claims if claim.startswith(EQUALS)]
    return (*claimed, *filter(None, [subject.own_name]))


def _blank(
    subject: Subject, *, claims: Sequence[Verdict], misbehaviours: Sequence[Misbehaviour] = ()
) -> AuditReport:
    return AuditReport.without_moments(
        **subject.facts, rewards=subject.setting.rewards, misbehaviours=misbehaviours, claims=tuple(claims)
    )


def _ended(subject: Subject, found: Sequence[Misbehaviour]) -> AuditReport:
    """The report of a rule that has no exact moments."""
    return _blank(subject, misbehaviours=found, claims=undecided(subject.claims, found))
