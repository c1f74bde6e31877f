"""Exact moments of the update that a training loop makes, against the exact gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, cast, get_args

import numpy as np

from ... import rules
from ...core.arguments import as_group_size, as_k, check_choice, real_number
from ...core.arrays import Float, Int
from ...losses import Loss, get_loss
from ...objectives import Objective, as_objective, looks_at_k
from ...policies.objective import gradient_coefficients
from ...policies.outcomes import Outcomes
from ..against_gradient import ROUNDING, against_gradient
from ..exact import MAX_STATES
from .batch import Prompt, Update, of_coupled, of_independent
from .contributions import ByLevel, along, by_level
from .decisions import Decisions, split
from .draws import DeadGroupPolicy, draws
from .of_loss import contributions
from .ratio_classes import RatioClasses
from .result import UpdateMoments

#: What is known of a prompt's policy: rollout by rollout, or decision by decision.
Policy = Outcomes | Decisions


def update_moments(
    estimator: str | rules.Rule | rules.RatioRule,
    loss: str | Loss,
    policy: Policy | Sequence[Policy],
    *,
    n: int,
    k: int,
    behaviour: Any = None,
    target: str | Objective = "max@k",
    dead_groups: DeadGroupPolicy = "keep",
    duplicates: float = 0.0,
    max_states: int = MAX_STATES,
) -> UpdateMoments:
    r"""Mean and covariance of the update that a rule and a loss make, exactly, against ``grad J``.

    .. math:: u = \frac1N \sum_i \sum_t w_{it} s_{it}

    over N rollouts, n of each prompt, drawn by the behaviour policy; s are scores of the current policy, w
    what the loss makes of the rule's advantages: clipped, lagged, weighted by length, penalised. An outcome
    adds ``A^+ U^+ + A^- U^- + W`` times a function of the tokens in its group or batch, and nothing else of
    it matters, so groups are enumerated by counts of reward levels whatever the number of outcomes; a mean
    over the tokens of a group or a batch is exact at roots of unity, for lengths of any kind.

    Parameters
    ----------
    estimator
        A rule of a group: a name, an ``Estimator``, or any callable ``(rewards (B, n), k) -> (B, n)``; or one
        of rewards and ratios, ``ratio_rule(off_policy_advantages)``: what it tells apart is a level then.
    loss
        A name such as ``"trl:dapo"`` (see ``list_losses``), or a ``Loss``.
    policy
        The outcomes of a prompt, or of each prompt of a batch. Where rollouts cannot be listed, what tells
        the policy decision by decision instead, ``specimen.decisions(theta)`` of a tabular specimen: the same
        moments, of losses at the level of tokens.
    n, k
        Group size and K.
    behaviour
        Probabilities of the policy that draws, in place of the outcomes' own; for one prompt.
    target
        The objective whose gradient, at the current policy, the mean is compared with.
    dead_groups
        ``"keep"`` groups of equal rewards; ``"drop"`` them, tokens and all; ``"redraw"`` the prompt until its
        group lives; ``"replace"`` them by groups of the listed prompts, uniformly, until as many live as
        there are prompts.
    duplicates
        Chance that a rollout but the first of its group is a copy of the first.
    max_states
        Refuse beyond this many groups.

    Returns
    -------
    UpdateMoments

    Raises
    ------
    TypeError, ValueError
        Bad arguments; a rule that is undefined at (n, k), or not admitted (see ``exact_moments``); a loss
        that needs what the policy lacks; no group that lives where dead ones are drawn again. Where only
        sampling is left the message says so: ``monte_carlo_updates`` takes the same arguments.

    Notes
    -----
    Cost O(states J L^2 + J L S d) a prompt, with J points: 1, or tokens in a group or batch at most, less the
    least, plus 1. Source: derived here, by enumeration of all groups.
    """
    (found,) = updates_of(
        [estimator],
        loss,
        policy,
        n=n,
        k=k,
        behaviour=behaviour,
        target=target,
        dead_groups=dead_groups,
        duplicates=duplicates,
        max_states=max_states,
    )
    return found


def updates_of(
    estimators: Sequence[str | rules.Rule | rules.RatioRule],
    loss: str | Loss,
    policy: Policy | Sequence[Policy],
    *,
    n: int,
    k: int,
    behaviour: Any = None,
    target: str | Objective = "max@k",
    dead_groups: DeadGroupPolicy = "keep",
    duplicates: float = 0.0,
    max_states: int = MAX_STATES,
) -> tuple[UpdateMoments, ...]:
    """Moments of the updates of several rules: what a loss makes of the outcomes is taken once for all.

    To the bit as ``update_moments`` of each, and raises as it does.
    """
    n = as_group_size(n)
    k = as_k(k)
    for estimator in estimators if looks_at_k(target) else ():
        as_k(k, n=rules.k_at_most(estimator, n))
    check_choice("dead_groups", dead_groups, get_args(DeadGroupPolicy))
    if not 0 <= real_number(duplicates, "duplicates") < 1:
        raise ValueError(f"duplicates={duplicates!r}: must be in [0, 1)")
    given = get_loss(loss) if isinstance(loss, str) else loss
    if not isinstance(given, Loss):
        raise TypeError(f"loss={loss!r} is a {type(loss).__name__}: pass a name or a Loss")
    policies = _policies(policy, behaviour)
    objective = as_objective(target, n, k, argument="target")
    resolved = [
        each if isinstance(each, rules.RatioRule) else rules.resolve(each, n, k) for each in estimators
    ]
    distinct = {id(each): each for each in policies}
    gradients = {place: _gradient(each, objective) for place, each in distinct.items()}
    gradient = np.mean([gradients[id(each)] for each in policies], axis=0)
    size = float(np.linalg.norm(gradient))
    direction = gradient / size if size else np.full(len(gradient), np.nan)
    coupled = given.aggregation.kind == "token-mean" and len(policies) > 1

    @cache
    def split(place: int, *, by_ratio: bool) -> _Split:
        return _split(given, distinct[place], direction, n, alone=not coupled, by_ratio=by_ratio)

    drawn = partial(
        draws, n=n, k=k, dead_groups=dead_groups, duplicates=float(duplicates), max_states=max_states
    )
    results = []
    for estimator, rule in zip(estimators, resolved, strict=True):
        made = {}
        for place in distinct:
            found = split(place, by_ratio=isinstance(rule, rules.RatioRule))
            values = found.parts.values
            if isinstance(rule, rules.RatioRule) and found.classes is not None:
                own, rewards = found.classes.looked_up(rule), found.classes.rewards[values.astype(np.intp)]
            else:
                own, rewards = cast("rules.Rule", rule), None
            groups = drawn(own, values, found.parts.probabilities, rewards=rewards)
            made[place] = Prompt(found.parts, found.seen, found.normaliser, list(groups))
        prompts = [made[id(each)] for each in policies]
        update = (of_coupled if coupled else of_independent)(prompts, direction, n=n, dead_groups=dead_groups)
        if given.aggregation.kind == "token-sum":
            update = update.times(len(policies))
        results.append(
            UpdateMoments(
                n=n,
                k=k,
                prompts=len(policies),
                rule=rules.describe(estimator),
                loss=given.name,
                objective=objective,
                gradient=gradient,
                alive=float(np.mean([prompt.alive for prompt in prompts])),
                **_against(update, gradient, direction),
            )
        )
    return tuple(results)


def _against(update: Update, gradient: Float, direction: Float) -> dict[str, Any]:
    """What is said of an update next to the gradient, and of its spread."""
    mean, (second, along_second) = update.mean, update.second.tolist()
    rms, size = float(np.sqrt(second)), float(np.linalg.norm(gradient))
    against = against_gradient(mean, gradient, rounding=ROUNDING * max(rms, size), vanishing=ROUNDING * rms)
    return {
        "mean": mean,
        "bias": against.bias,
        "relative_bias": against.relative(against.bias),
        "bias_resolution": against.resolution,
        "scale": against.scale,
        "direction_error": against.angle,
        "trace_covariance": max(0.0, second - float(mean @ mean)),
        "along_gradient_variance": max(0.0, along_second - float(mean @ direction) ** 2) if size else np.nan,
    }


def _policies(policy: Policy | Sequence[Policy], behaviour: Any) -> list[Policy]:
    if not isinstance(policy, Policy | Sequence):
        raise TypeError(
            f"policy is a {type(policy).__name__}: it must be an Outcomes, or a sequence of them; of a "
            f"specimen: "
            f"specimen.outcomes(theta)"
        )
    given = [policy] if isinstance(policy, Policy) else list(policy)
    if not given:
        raise ValueError("policy is empty: pass the Outcomes of one prompt at least")
    for each in given:
        if not isinstance(each, Policy):
            raise TypeError(
                f"policy holds a {type(each).__name__}: it must be an Outcomes, or a sequence of them"
            )
    parameters = {_parameters(each) for each in given}
    if len(parameters) > 1:
        raise ValueError(
            f"policies have {' and '.join(map(str, sorted(parameters)))} parameters: prompts of a "
            f"batch share them"
        )
    if behaviour is None:
        return given
    if len(given) > 1:
        raise ValueError(
            "behaviour with several prompts: give each Outcomes its own, Outcomes(behaviour=...)"
        )
    if not isinstance(given[0], Outcomes):
        raise TypeError(
            "behaviour goes with Outcomes: give a policy by decisions its own, "
            "specimen.decisions(theta, behaviour=...)"
        )
    return [replace(given[0], behaviour=behaviour)]


def _parameters(policy: Policy) -> int:
    return int(policy.scores.shape[-1]) if isinstance(policy, Outcomes) else policy.parameters


def _gradient(policy: Policy, objective: Objective) -> Float:
    levels = policy.levels(covariances=None)
    return np.asarray(gradient_coefficients(levels, objective) @ levels.mean_scores)


@dataclass(frozen=True, eq=False)
class _Split:
    """Contributions by level, the same along the direction, and the normaliser; by class or by reward."""

    parts: ByLevel
    seen: ByLevel
    normaliser: Callable[[Int], Float]
    classes: RatioClasses | None


def _split(loss: Loss, policy: Policy, direction: Float, n: int, *, alone: bool, by_ratio: bool) -> _Split:
    if not isinstance(policy, Outcomes):
        if by_ratio:
            raise ValueError(
                "a rule of rewards and ratios looks at the ratio of a whole rollout, which decisions alone "
                "do not tell: pass Outcomes, or sample with monte_carlo_updates"
            )
        return _Split(*split(loss, policy, direction, n, alone=alone), None)
    classes = RatioClasses.of(policy) if by_ratio else None
    label = policy.rewards if classes is None else classes.number.astype(np.float64)
    made = contributions(loss, policy, n)
    parts, seen = (
        by_level(each, policy.drawn, label, alone=alone) for each in (made, along(made, direction))
    )
    return _Split(parts, seen, made.normaliser, classes)
