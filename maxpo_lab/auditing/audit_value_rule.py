"""The audit of a value rule: whether it estimates J_K without bias, and how it behaves where it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import rules
from ..evaluation import list_value_rules
from ..integrations.conventions import Signature
from .decide.claims import EQUALS, Setting, groups_of
from .decide.verdicts import undecided
from .guard import FAILURES, Misbehaviour, misbehaviour, mutation
from .preparation import Prepared
from .values.claims import verdict
from .values.edges import value_edges
from .values.nearest import nearest_value_rule
from .values.policies import under_value_policies
from .values.preparation import prepare_value
from .values.random_state import RandomState, kept, random_state
from .values.report import ValueAuditReport
from .values.states import evaluated


def audit_value(
    rule: Any,
    *,
    n: int,
    k: int,
    claims: Sequence[str] = ("unbiased",),
    rewards: str = "auto",
    signature: Signature = "auto",
    settings: Mapping[str, Any] | None = None,
    seconds: float = 10.0,
) -> ValueAuditReport:
    r"""Audit any estimate of J_K from one group, at one group size and K.

    Unbiasedness is decided, not estimated. The counts of the reward levels are complete, so that the mean of
    the maximum over the K-subsets,

    .. math:: \rho(K) = R_{(1)} + \sum_{m<n} \text{gap}_m \Big(1 - \binom{m}{K} \Big/ \binom{n}{K}\Big),

    is the only symmetric estimate that is unbiased under every policy on some levels: a rule is unbiased
    exactly if, in every group, its mean over the orders of the group is this number.

    Parameters
    ----------
    rule
        A name (``list_value_rules``), a ``ValueRule``, or any callable that ``signature`` describes.
    n, k
        Group size and K, ``k <= n``. What the rule does for k > n is among the edges.
    claims
        Any of ``"unbiased"``; ``"order-free"``: the order of rollouts changes nothing; ``"monotone"``:
        raising a reward never lowers the value; ``"bounded"``: the value is between the lowest and the
        highest reward; and ``"equals:<name>"`` of a value rule.
    rewards
        Kind of rewards on which claims are decided: ``"binary"`` (0/1) or ``"graded"`` (a few levels).
        ``"auto"``: graded, or binary for a rule that refuses those.
    signature
        ``"batch"``: ``(rewards (B, n), k) -> (B,)``; ``"group"``: ``(rewards (n,), k) -> number``;
        ``"auto"``: the one that fits. Arguments and types are those of ``auditing.adapt``.
    settings
        Keywords that the rule takes besides.
    seconds
        What a call with up to 256 groups may take (one with more, in proportion).

    Returns
    -------
    ValueAuditReport
        ``passed``: every claim holds, and the rule does nothing that no rule may do: raise, hang, return
        another shape or numbers that are not finite, answer differently each time, mix groups of a batch, or
        write into its input.

    Raises
    ------
    TypeError, ValueError
        Bad arguments, among them a value rule that is undefined at (n, k).

    Notes
    -----
    Cost: some thousand groups. Claims are decided on the levels that the report names, from 0 to 1, and
    followed to rewards of 100000. NumPy's global random state is given back as it was.
    """
    with kept():
        prepared = prepare_value(
            rule,
            n=n,
            k=k,
            claims=claims,
            rewards=rewards,
            signature=signature,
            settings=settings,
            seconds=seconds,
        )
        state = _random_state(prepared)
        if prepared.setting is None or prepared.behaviour is None:
            return _ended(prepared, prepared.misbehaviours, state)
        try:
            return _measured(prepared, prepared.setting, prepared.behaviour, state)
        except FAILURES as error:  # what the first look did not meet
            found = (misbehaviour(error), *filter(None, [mutation(prepared.guard)]))
            return _ended(prepared, found, state)


def _measured(
    prepared: Prepared, setting: Setting, behaviour: rules.Behaviour, state: RandomState | None
) -> ValueAuditReport:
    guard, groups = prepared.guard, groups_of(setting.rewards, setting.n)
    under = under_value_policies(guard, setting)
    at_edges = value_edges(guard, n=setting.n, k=setting.k)
    claimed = (claim.removeprefix(EQUALS) for claim in prepared.claims if claim.startswith(EQUALS))
    own = (guard.name,) if guard.name in list_value_rules() else ()
    near = nearest_value_rule(guard, groups, setting.k, prefer=(*claimed, *own))
    verdicts = tuple(verdict(guard, claim, setting) for claim in prepared.claims)
    if not np.array_equal(prepared.first, evaluated(guard, groups, setting.k)):  # type: ignore[arg-type]
        raise rules.RandomRuleError(
            f"{guard.name} gave two answers for the same rewards, at the beginning and at the end: exact "
            f"moments need a deterministic rule"
        )
    return ValueAuditReport(
        **prepared.facts,
        rewards=setting.rewards,
        levels=tuple(setting.values.tolist()),
        precision=guard.precision.name,
        misbehaviours=tuple(filter(None, [mutation(guard)])),
        permuted=behaviour.counterexample,
        random_state=state,
        policies=under,
        edges=at_edges,
        nearest=near,
        claims=verdicts,
    )


def _random_state(prepared: Prepared) -> RandomState | None:
    """What calls do to NumPy's global random state; None where the rule cannot be called."""
    if isinstance(prepared.guard, Misbehaviour):
        return None
    try:
        return random_state(prepared.guard, groups_of("binary", prepared.facts["n"]), prepared.facts["k"])
    except FAILURES:
        return None


def _ended(prepared: Prepared, found: Sequence[Misbehaviour], state: RandomState | None) -> ValueAuditReport:
    """The report of a rule that has no exact moments."""
    return ValueAuditReport.without_moments(
        **prepared.facts,
        rewards=prepared.rewards,
        misbehaviours=found,
        random_state=state,
        claims=undecided(prepared.claims, found, "values"),
    )
