"""Batches of prompts: moments of the batch gradient when each has a policy of its own difficulty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np

from ... import rules
from ...core.arguments import as_group_size, as_k, whole_number
from ...estimators import get_estimator
from ...objectives import Objective, VectorObjective, as_objective, looks_at_k
from ...policies.levels import RewardLevels
from ...policies.vector_levels import VectorLevels
from ...rules import RuleError, couples, has_memory
from ..against_gradient import against_gradient, gradient_rounding, mean_rounding
from ..exact import MAX_STATES, moments_under
from ..from_sums import from_sums
from ..result import Moments
from .choice import Sampling, coupled_sums
from .meeting import drawn, each_once
from .memory import memory_sums, remembered
from .prompts import check_prompts, of_rows
from .result import BatchMoments, Method, StandardErrors
from .uncertainty import standard_errors


def batch_moments(
    estimator: str | rules.Rule | rules.OfBatches | rules.WithMemory | rules.OfVectors,
    prompts: Iterable[RewardLevels] | Iterable[VectorLevels],
    *,
    n: int,
    k: int,
    batch: int | None,
    target: str | Objective | VectorObjective = "max@k",
    method: Method | None = None,
    max_states: int = MAX_STATES,
    draws: int = 512,
    seed: int = 0,
    state: Any = None,
    history: Sequence[Any] = (),
) -> BatchMoments:
    r"""Moments of a rule's gradient over a batch of prompts, exact wherever that can be.

    Each prompt of the batch gets one group of n rollouts; the objective is the mean over prompts of max@K.
    With ``batch=None`` the batch is the prompts as listed; with ``batch=m`` it is m of them, drawn uniformly
    with replacement, those next to a prompt too. Of m drawn prompts and a rule of groups, x a random prompt,

    .. math:: \mathrm{tr\,Cov}(G) = \frac1m \big( E_x \mathrm{tr\,Cov}(g \mid x)
              + \mathrm{tr\,Cov}_x(E[g \mid x]) \big);

    a rule that couples the prompts adds a covariance across them, and a bias where its own rollouts come back
    to a group through the batch.

    Parameters
    ----------
    estimator
        A name, an ``Estimator``, any callable ``(rewards (B, n), k) -> (B, n)``, a rule of batches (a
        ``BatchEstimator`` or what ``batch_rule`` makes of a callable), or one with memory (a
        ``MemoryEstimator`` or what ``memory_rule`` makes), whose batch is the listed prompts. Under
        ``VectorLevels`` a rule of rows, of a group or of a batch.
    n, k, target
        As in ``exact_moments``.
    prompts
        The policy on each prompt, with scores in one shared parameter space R^d (``side_by_side`` makes that
        of a tabular policy).
    batch
        m, prompts in a batch, or None for the listed prompts, each once.
    method
        None for the first that is possible; or ``"shared sum"`` (needs ``statistic="reward_sum"`` and two
        reward levels), ``"quadrature"`` (``statistic="advantage_rms"``), ``"product"``, ``"conditional"``. Of
        a rule of batches alone: one of groups is always ``"independent"``.
    max_states
        States at most, of each prompt for a rule of groups, of the whole batch for a product that is asked
        for.
    draws, seed
        Of the conditional method: draws of the other prompts, at least 2, and the seed of their stream.
    state, history
        Of a rule with memory: where it begins (None: ``rule.init(P)``), and the steps that it has seen since,
        each the rewards (P, n) of all prompts, or the ``RewardLevels`` of all of them, over whose groups the
        moments are then averaged: the prompts themselves for a fair history, those of earlier policies for a
        stale one.

    Returns
    -------
    BatchMoments
        ``method`` says how it was found; ``standard_errors`` is None where all is exact.

    Raises
    ------
    TypeError, ValueError
        As ``exact_moments``, with the prompt it is about; no prompts, prompts of different d, ``batch < 1``,
        fewer prompts than the rule needs; a method that is not possible; options of rules of batches for one
        of groups.
    CoupledRowsError
        A callable that couples prompts and does not say so (``batch_rule``), or in another way than it says.

    Notes
    -----
    Cost of a rule of groups: the rule on the groups of all prompts that have their reward levels in common,
    once, and sums over these groups for each prompt. Of the others see the methods: P = 128 prompts of 16
    rollouts take seconds by a shared sum or a quadrature, a product as many calls as the batch has states.
    """
    given = tuple(prompts)
    if any(isinstance(levels, VectorLevels) for levels in given):
        rows = of_rows(given)
        estimator, prompts, target = rules.by_number(estimator, rows, n=n, k=k, target=target)
    else:
        prompts = cast("tuple[RewardLevels, ...]", given)
    check_prompts(prompts)
    _check_sizes(prompts)
    size = _batch_size(prompts, batch)
    n = as_group_size(n)
    k = as_k(k, n=rules.k_at_most(estimator, n) if looks_at_k(target) else None)
    objective = (
        target if isinstance(target, VectorObjective) else as_objective(target, n, k, argument="target")
    )
    rule = get_estimator(estimator) if isinstance(estimator, str) else estimator
    sampling = Sampling(whole_number(draws, "draws"), whole_number(seed, "seed"))
    if not has_memory(rule) and (state is not None or len(history)):
        raise ValueError(f"state and history are of rules with memory: {rules.describe(rule)} is none")
    if has_memory(rule):
        if batch is not None:
            raise ValueError(
                f"batch={batch} with {rules.describe(rule)}, a rule with memory: what it remembers is of the "
                f"listed prompts; pass batch=None"
            )
        remembering = remembered(rule, prompts, n=n, k=k, state=state, history=history)
        meeting = remembering.meeting
        found = memory_sums(remembering, method=method, max_states=max_states, sampling=sampling)
    elif couples(rule):
        values = np.concatenate([levels.values for levels in prompts])
        calls = rules.admit_batch(rule, n, k, prompts=size, values=values)
        meeting = each_once(prompts, n) if batch is None else drawn(prompts, n, size)
        found = coupled_sums(calls, meeting, method=method, max_states=max_states, sampling=sampling)
    else:
        if method is not None:
            raise ValueError(
                f"method={method!r} with {rules.describe(rule)}, a rule of groups: their moments are "
                f"independent; leave it out"
            )
        own = _of_groups(
            prompts, rules.resolve(rule, n, k), n=n, k=k, target=objective, max_states=max_states
        )
        dead = np.array([moments.dead_group_probability for moments in own])
        return _moments(
            prompts,
            own,
            objective,
            size=size,
            drawn=batch is not None,
            dead=float(np.mean(dead) ** size if batch is not None else np.prod(dead)),
        )
    own = tuple(
        from_sums(sums, levels, n=n, k=k, objective=objective, covariance=False)
        for sums, levels in zip(found.sums, prompts, strict=True)
    )
    errors = standard_errors(found.errors, meeting, objective) if found.errors else None
    return _moments(
        prompts,
        own,
        objective,
        size=size,
        drawn=batch is not None,
        dead=found.dead,
        across=found.across,
        method=found.method,
        errors=errors,
    )


def _check_sizes(prompts: tuple[RewardLevels, ...]) -> None:
    if not prompts:
        raise ValueError("prompts are empty: at least one is needed")
    sizes = {levels.mean_scores.shape[1] for levels in prompts}
    if len(sizes) > 1:
        raise ValueError(
            f"prompts have scores of {sorted(sizes)} parameters: they must share one parameter space; "
            f"side_by_side puts separate ones next to each other"
        )


def _batch_size(prompts: tuple[RewardLevels, ...], batch: int | None) -> int:
    if batch is None:
        return len(prompts)
    if (size := whole_number(batch, "batch")) < 1:
        raise ValueError(f"batch={size}: a batch needs at least one prompt")
    return size


def _moments(
    prompts: tuple[RewardLevels, ...],
    own: tuple[Moments, ...],
    objective: Objective | VectorObjective,
    *,
    size: int,
    drawn: bool,
    dead: float,
    across: float = 0.0,
    method: Method = "independent",
    errors: StandardErrors | None = None,
) -> BatchMoments:
    """The batch's moments from those of its prompts and what goes across them."""
    means = np.stack([moments.mean for moments in own])
    gradient = np.mean([moments.gradient for moments in own], axis=0)
    mean = means.mean(axis=0)
    rms_of = [moments.advantage_rms for moments in own]
    n, length = own[0].n, float(np.linalg.norm(gradient))
    against = against_gradient(
        mean,
        gradient,
        # By the length last, and not by the direction: the last bit of stored numbers depends on it.
        along=float(mean @ gradient) / (length or float("nan")),
        rounding=float(np.mean([gradient_rounding(x, objective) for x in prompts])),
        vanishing=float(np.mean([mean_rounding(x, rms) for x, rms in zip(prompts, rms_of, strict=True)])),
    )
    unresolved = 4 * errors.mean / (length or float("nan")) if errors else 0.0
    return BatchMoments(
        mean=mean,
        gradient=gradient,
        relative_bias=against.relative(against.bias),
        bias_resolution=max(against.resolution, unresolved),
        scale=against.scale,
        direction_error=against.angle,
        within_prompt_trace=float(np.mean([moments.trace_covariance for moments in own])) / size,
        between_prompt_trace=float(np.mean(np.sum((means - mean) ** 2, axis=1))) / size if drawn else 0.0,
        across_prompt_trace=across / (n * size) ** 2,
        dead_batch_probability=dead,
        prompts=own,
        method=method,
        standard_errors=errors,
    )


def _of_groups(
    prompts: tuple[RewardLevels, ...],
    rule: rules.Rule,
    *,
    n: int,
    k: int,
    target: Objective | VectorObjective,
    max_states: int,
) -> tuple[Moments, ...]:
    """Moments of each prompt, those of the same reward levels together."""
    alike: dict[bytes, list[int]] = {}
    for index, levels in enumerate(prompts):
        alike.setdefault(levels.values.tobytes(), []).append(index)
    found: dict[int, Moments] = {}
    for places in alike.values():
        policies = [prompts[index] for index in places]
        of_own = _alike(places[0], policies, rule, n=n, k=k, target=target, max_states=max_states)
        found |= zip(places, of_own, strict=True)
    return tuple(found[index] for index in range(len(prompts)))


def _alike(
    index: int,
    alike: Sequence[RewardLevels],
    rule: rules.Rule,
    *,
    n: int,
    k: int,
    target: Objective | VectorObjective,
    max_states: int,
) -> tuple[Moments, ...]:
    """Moments of prompts of the same reward levels; what is wrong is said with the place of the first."""
    try:
        return moments_under(alike, rule, n=n, k=k, target=target, max_states=max_states)
    except RuleError as error:
        raise type(error)(f"prompts[{index}]: {error}") from error
    except ValueError as error:
        raise ValueError(f"prompts[{index}]: {error}") from error
    except TypeError as error:
        raise TypeError(f"prompts[{index}]: {error}") from error
