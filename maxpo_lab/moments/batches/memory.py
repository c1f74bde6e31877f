"""Rules that remember: moments at a state, or averaged over the histories that led to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import rules
from ...core.arguments import as_k
from ...estimators import MemoryEstimator
from ...policies.levels import RewardLevels
from ...rules import StatefulRuleError
from .choice import Sampling, coupled_sums
from .coupled import Coupled, Errors, PromptSums, mixed
from .meeting import Meeting, each_once
from .pasts import Pasts, Remembering, Step
from .result import Method
from .ways.apart import meets, own_sums
from .ways.conditional import conditionally

#: Histories of a prompt up to which all are looked at.
HISTORIES = 4096
#: Batches whose rollouts change places.
_TRIED = 12


def remembered(
    rule: rules.WithMemory,
    prompts: tuple[RewardLevels, ...],
    *,
    n: int,
    k: int,
    state: Any,
    history: Sequence[Any],
) -> Remembering:
    """A rule with memory, known to be defined on the prompts and pure.

    Raises
    ------
    TypeError, ValueError
        Undefined at (n, k) or on these rewards; a history that is none; a state that the rule refuses.
    StatefulRuleError
        Two answers from one state: ``update`` changes what it is given, or remembers on its own.
    CoupledRowsError
        Advantages that depend on the order of the rollouts of a group.
    """
    values = np.unique(np.concatenate([levels.values for levels in prompts]))
    if isinstance(rule, MemoryEstimator):
        if reason := rule.why_not(n, k) or rule.why_not_rewards(values):
            raise ValueError(reason)
    else:
        as_k(k, n=n)
    meeting = each_once(prompts, n)
    start = rule.init(len(prompts)) if state is None else state
    if isinstance(rule, MemoryEstimator) and (size := rule.prompts_of(start)) != len(prompts):
        raise ValueError(f"state is of {size} prompts, {len(prompts)} are listed: each has its place in it")
    steps = tuple(_step(index, each, len(prompts)) for index, each in enumerate(history))
    scale = k * float(np.abs(values).max())
    found = Remembering(rule, meeting, k, scale, start, steps)
    rng = np.random.default_rng(0)
    before = [rng.choice(values, (len(prompts), n)) for _ in range(3)]
    first = found.after(before[:2])(before[2][None])
    found.after(before[:1])(before[1][None])
    again = found.after(before[:2])(before[2][None])
    if not found.after(before[:1]).same(first, again):
        raise StatefulRuleError(
            f"{rules.describe(rule)} gave two answers from one state: update must be deterministic, "
            f"leave the state that it is given as it is, and keep nothing elsewhere; copy the arrays that it "
            f"changes"
        )
    calls = found.after(before[:1])
    batches = np.stack([rng.choice(values, (len(prompts), n)) for _ in range(_TRIED)])
    rules.hold_order_of_rollouts(calls, batches, calls(batches))
    return found


def _step(index: int, step: Any, size: int) -> Step:
    """A step of a history, checked."""
    if isinstance(step, (list, tuple)) and step and all(isinstance(each, RewardLevels) for each in step):
        found: Step = tuple(step)
    else:
        rewards = np.asarray(step)
        if rewards.ndim != 2 or rewards.dtype.kind not in "biuf":
            raise TypeError(
                f"history[{index}] has shape {rewards.shape} and dtype {rewards.dtype}: a step is an "
                f"array of "
                f"rewards (P, n), or the RewardLevels of the {size} prompts"
            )
        found = rewards.astype(np.float64)
    if (given := len(found)) != size:
        raise ValueError(
            f"history[{index}] is of {given} prompts: {size} are listed, and each step has all of them"
        )
    return found


def memory_sums(found: Remembering, *, method: Method | None, max_states: int, sampling: Sampling) -> Coupled:
    """The sums of every prompt at the state, or averaged over the histories that its policies make.

    Where prompts do not meet, not in the state either, all is exact at a state, and over histories of which a
    prompt has 4096 at most; of more, as many as ``sampling`` says are drawn. Where they meet, see ``choice``;
    histories are drawn then.
    """
    if not any(isinstance(step, tuple) for step in found.history):
        calls = found.after([step for step in found.history if not isinstance(step, tuple)])
        rule = found.rule
        coupled = rule.couples if isinstance(rule, MemoryEstimator) else meets(calls, found.meeting)
        if method is None and not coupled:
            return _independent(own_sums(calls, found.meeting))
        return coupled_sums(calls, found.meeting, method=method, max_states=max_states, sampling=sampling)
    if method not in (None, "conditional"):
        raise ValueError(
            f"method={method!r}: histories are drawn where prompts meet, and looked at each for itself where "
            f"they do not; leave it out"
        )
    pasts = Pasts.of(found)
    if pasts.meet():
        drawn = pasts.drawn(sampling.draws, sampling.seed)
        return conditionally(
            [found.after([step[draw] for step in drawn]) for draw in range(sampling.draws)],
            found.meeting,
            draws=sampling.draws,
            seed=sampling.seed,
        )
    exact = max(pasts.numbers) <= HISTORIES
    weights, histories = pasts.every() if exact else (None, pasts.drawn(sampling.draws, sampling.seed))
    runs = [
        own_sums(found.after([step[run] for step in histories]), found.meeting)
        for run in range(len(histories[0]))
    ]
    shares = np.full((len(runs), len(found.numbers)), 1 / len(runs)) if weights is None else weights
    sums = tuple(
        mixed([run[prompt] for run in runs], shares[:, prompt]) for prompt in range(len(found.numbers))
    )
    return _independent(sums, None if exact else _errors(found.meeting, runs))


def _independent(sums: tuple[PromptSums, ...], errors: Errors | None = None) -> Coupled:
    """The sums of prompts that do not meet."""
    dead = float(np.prod([each.dead(0.0) for each in sums]))
    return Coupled(
        sums=sums, across=0.0, dead=dead, method="conditional" if errors else "independent", errors=errors
    )


def _errors(meeting: Meeting, runs: Sequence[tuple[PromptSums, ...]]) -> Errors:
    """What histories that were drawn leave uncertain."""
    means = np.array(
        [
            [
                each.by_level @ own[: len(each.by_level)]
                for each, own in zip(run, meeting.coordinates, strict=True)
            ]
            for run in runs
        ]
    )
    own = [
        sum(
            float(each.squares @ levels.score_variances + np.trace(each.comoment))
            for each, levels in zip(run, meeting.prompts, strict=True)
        )
        for run in runs
    ]
    return Errors(means=means, traces=np.array(own) + np.sum(means.sum(axis=1) ** 2, axis=1))
