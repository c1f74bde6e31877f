"""The audit: which objective a rule climbs, how it behaves, and whether it is what it is said to be."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import rules
from ..core.arrays import Float
from ..core.precision import FLOAT32
from ..estimators import Estimator, list_estimators
from ..estimators.registry import of_its_name
from ..integrations.conventions import Signature
from .audit_batch import couples_groups, decided_batch, measured_batch
from .audit_memory import measured_memory, with_memory
from .audit_vector import decided_vector, measured_vector, of_vectors
from .decide import claims as claims_of
from .decide.claims import EQUALS, Setting, Verdict
from .decide.climbing import climbs
from .decide.edges import edges
from .decide.lengths import lengths_matter
from .decide.nearest import nearest
from .decide.objective import Ascent
from .decide.policies import UnderPolicy, under_policies
from .decide.symmetries import symmetries
from .decide.verdicts import undecided, verdict
from .guard import FAILURES, Guard, Misbehaviour, misbehaviour, mutation
from .preparation import Prepared, prepare
from .report.audit_report import AuditReport
from .report.failing_test import failing_test
from .report.findings import Decision
from .worker import RaisedError

#: Without ties: what is added to the rewards of a group, from its first member to its last.
_APART = 1e-9


def audit(
    rule: Any,
    *,
    n: int,
    k: int,
    claims: Sequence[str] = ("unbiased",),
    target: str = "max@k",
    rewards: str = "auto",
    signature: Signature = "auto",
    settings: Mapping[str, Any] | None = None,
    allow_scale: bool = False,
    seconds: float = 10.0,
    state: Any = None,
) -> AuditReport:
    r"""Audit any advantage rule at one group size and K.

    Unbiasedness is decided, not estimated: by the complete class a rule is unbiased for an objective under
    every policy on some reward levels exactly if, in every group, raising one reward to the next level raises
    its advantage by what the objective's increments say (``pairs``). Bias and variance under reference
    policies are exact moments; the spectrum says which mixture of pass@k a rule climbs on 0/1 rewards.

    A rule whose groups are coupled, by its own word or seen to be so, is judged in batches of P = 2, 4,
    8, ...: how prompts meet, the bias of the batch's gradient at each P, how it falls with P, and what is
    left at large P. It is unbiased under every policy of every prompt exactly if it is so, as a rule of
    one group, beside every company of others. A rule with memory is judged as a rule of one group at each of
    several states: fresh, after steps of low, mixed and high rewards, and at ``state``.

    A rule of several rewards is judged on groups of rows: 2 rewards a rollout, or as many as it has weights.
    The report says too whether it sees the weighted sum of the rewards or each by itself.

    Parameters
    ----------
    rule
        A name of the catalogue, a rule of it, what ``batch_rule``, ``memory_rule`` or ``vector_rule`` makes,
        or any callable that ``signature`` describes.
    n, k
        Group size and K.
    claims
        Any of ``"unbiased"`` (for the target), ``"centered"``, ``"equivariant"`` and ``"equals:<name>"``.
    target
        The objective: ``"max@k"``, ``"max@n"``, ``"mean"`` or an L-statistic, as in ``exact_moments``; of
        several rewards that of their weighted sum, or ``"per-reward:max@k"``, the weighted sum of each's.
    rewards
        Kind of rewards on which claims are decided: ``"binary"`` (0/1), ``"graded"`` (a few levels, with
        ties) or ``"continuous"`` (no two alike). ``"auto"``: graded, or binary for a rule that refuses those.
    signature, settings
        How the rule is called, see ``auditing.adapt``.
    allow_scale
        Let a constant factor pass in ``unbiased`` and ``equals``; it is reported either way.
    seconds
        What a call with up to 256 groups may take (one with more, in proportion). One that takes longer is a
        misbehaviour; its thread is left behind.
    state
        Of a rule with memory: one more state to judge it at, as the next step of its prompt 0.

    Returns
    -------
    AuditReport
        ``passed``: every claim holds, and the rule does nothing that no rule may do: raise, hang, return
        another shape or numbers that are not finite, answer differently each time, tell the places of a batch
        apart, meet in another way than ``batch_rule`` was told, or write into its input.

    Raises
    ------
    TypeError, ValueError
        Bad arguments, among them an estimator that is undefined at (n, k), and a state of a rule without.

    Notes
    -----
    Cost: some thousand groups; of a rule of batches some thousand batches of up to 64 groups. Claims are
    decided on the levels of the rewards' kind, which the report names: a rule that treats other rewards in
    another way needs another audit. Continuous rewards are pairs of groups drawn with a fixed seed.
    """
    asked: dict[str, Any] = {
        "n": n,
        "k": k,
        "claims": claims,
        "target": target,
        "rewards": rewards,
        "signature": signature,
        "settings": settings,
        "allow_scale": allow_scale,
        "seconds": seconds,
    }
    remembering = with_memory(rule)
    if remembering is not None:
        return measured_memory(remembering, state=state, **asked)
    if state is not None:
        raise ValueError(f"state={state!r}: {rules.describe(rule)} is no rule with memory; leave it out")
    if (several := of_vectors(rule)) is not None:
        return measured_vector(several, **asked)
    prepared = prepare(rule, **asked)
    if couples_groups(prepared):
        return measured_batch(prepared)
    if prepared.setting is None or prepared.behaviour is None:
        return _ended(prepared, prepared.misbehaviours)
    return _measured(prepared, prepared.setting, prepared.behaviour)


def decide(rule: Any, *, claims: Sequence[str], **options: Any) -> Decision:
    """The verdicts of ``audit``, whose arguments these are, without the rest of its report.

    A rule that is not finite on rewards of 100000 misbehaves to ``audit``; here its verdict says so.
    """
    defaults: dict[str, Any] = {
        name: parameter.default
        for name, parameter in inspect.signature(audit).parameters.items()
        if parameter.default is not parameter.empty
    }
    asked = {**defaults, **options, "claims": claims}
    remembering = with_memory(rule)
    if remembering is not None:
        return measured_memory(remembering, **asked)
    del asked["state"]
    if (several := of_vectors(rule)) is not None:
        return decided_vector(several, **asked)
    prepared = prepare(rule, **asked)
    misbehaviours, verdicts = list(prepared.misbehaviours), undecided(prepared.claims, prepared.misbehaviours)
    if couples_groups(prepared):
        misbehaviours, verdicts = decided_batch(prepared)
    elif prepared.setting is not None:
        guard = prepared.guard
        try:
            climbed = climbs(guard, prepared.setting) if "unbiased" in prepared.claims else None
            verdicts = _verdicts(prepared, prepared.setting, climbed)
        except FAILURES as error:
            misbehaviours = [misbehaviour(error)]
            verdicts = undecided(prepared.claims, misbehaviours)
        misbehaviours += filter(None, [mutation(guard)])
    facts = prepared.facts
    return Decision(
        rule=facts["rule"], n=facts["n"], k=facts["k"], misbehaviours=tuple(misbehaviours), claims=verdicts
    )


def _measured(prepared: Prepared, setting: Setting, behaviour: rules.Behaviour) -> AuditReport:
    n, k, guard = setting.n, setting.k, prepared.guard
    groups = claims_of.groups_of(setting.rewards, n)
    flat = claims_of.with_flat(groups, setting.rewards)[len(groups) :]
    try:
        seen = symmetries(guard, groups, flat, behaviour, k)
        by_length = lengths_matter(guard, setting)
        climbed = climbs(guard, setting)
        under = _under(guard, setting)
        at_edges = edges(guard, n=n, k=k)
        claimed = (claim.removeprefix(EQUALS) for claim in prepared.claims if claim.startswith(EQUALS))
        made = isinstance(guard.rule, Estimator) and of_its_name(guard.rule)
        own = (guard.name,) if made or guard.name in list_estimators() else ()
        alike = nearest(guard, groups, k, prefer=(*claimed, *own))
        verdicts = _verdicts(prepared, setting, climbed)
    except FAILURES as error:  # what the first look did not meet
        return _ended(prepared, (misbehaviour(error), *filter(None, [mutation(guard)])))
    misbehaviours = [*filter(None, [mutation(guard)])]
    misbehaviours += [
        Misbehaviour("not finite", f"{guard.name} is not finite on finite rewards: {label}")
        for label in at_edges.overflows
    ]
    return AuditReport(
        **prepared.facts,
        rewards=setting.rewards,
        levels=tuple(setting.values.tolist()) if setting.rewards != "continuous" else (),
        precision=guard.precision.name,
        misbehaviours=tuple(misbehaviours),
        ascent=climbed,
        symmetries=seen,
        lengths=by_length,
        policies=under,
        edges=at_edges,
        nearest=alike,
        coupling=None,
        memory=None,
        vectors=None,
        claims=verdicts,
        failing_test=failing_test(guard.rule, verdicts, setting),
    )


def _verdicts(prepared: Prepared, setting: Setting, climbed: Ascent | None) -> tuple[Verdict, ...]:
    """All verdicts; RandomRuleError where the rule has changed its mind since it was first asked."""
    guard, groups = prepared.guard, claims_of.groups_of(setting.rewards, setting.n)
    found = tuple(verdict(guard, claim, setting, climbed) for claim in prepared.claims)
    first = prepared.first
    if first is not None and not np.array_equal(first, rules.evaluate(guard, groups, setting.k)):
        raise rules.RandomRuleError(
            f"{guard.name} gave two answers for the same rewards, at the beginning and at the end: exact "
            f"moments need a deterministic rule"
        )
    return found


def _under(guard: Guard, setting: Setting) -> tuple[UnderPolicy, ...] | None:
    """Under the reference policies on 0/1 rewards, and on the audited levels where there are more.

    None for a rule that is not permutation-equivariant and has too many arrangements.
    """
    if not claims_of.few_enough(setting):
        return None

    def on(rule: rules.Rule, values: Float, rewards: str) -> tuple[UnderPolicy, ...]:
        eps = guard.precision.eps
        return under_policies(
            rule, values, n=setting.n, k=setting.k, target=setting.objective, rewards=rewards, eps=eps
        )

    found: tuple[UnderPolicy, ...] = ()
    try:
        found += on(guard, np.array([0.0, 1.0]), "binary")
    except RaisedError:
        if setting.rewards == "binary":
            raise
    if setting.rewards != "binary":
        rule = _without_ties(guard) if setting.rewards == "continuous" else guard
        found += on(rule, setting.values[[0, 1, -1]], setting.rewards)
    return found


def _without_ties(rule: Guard) -> rules.Rule:
    """The rule as it is on continuous rewards near some levels: equals are told apart, by their place."""

    def apart(rewards: Any, k: int) -> Any:
        n = rewards.shape[-1]
        return rule(rewards + _APART / n * np.arange(n), k)

    apart.__name__ = rules.describe(rule)
    apart.precision = min(rule.precision, FLOAT32)  # type: ignore[attr-defined]
    return apart


def _ended(prepared: Prepared, found: Sequence[Misbehaviour]) -> AuditReport:
    """The report of a rule that has no exact moments."""
    return AuditReport.without_moments(
        **prepared.facts,
        rewards=prepared.rewards,
        misbehaviours=found,
        claims=undecided(prepared.claims, found),
    )
