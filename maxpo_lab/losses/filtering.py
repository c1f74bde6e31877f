r"""Which groups and rollouts a step is made of: dead groups, over-long rollouts and duplicates.

What is left out is masked: its tokens leave every mean over tokens, and the aggregation's ``empty`` says
whether its rollouts still count. What is drawn again changes the distribution of the groups, and with it E g:
redrawing a prompt until its group is alive conditions on that, replacing it by another prompt changes which
prompts the step is about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..core.arguments import finite_number, whole_number
from ..core.arrays import Array, Bool, Float, Int
from ..core.rewards import as_rewards
from .tokens import as_tokens


def alive(rewards: Any) -> Array:
    """Groups whose rewards differ, (..., n) to (...): a group of equal rewards is dead.

    Raises TypeError and ValueError for rewards that are not finite real numbers.
    """
    xp, rewards = as_rewards(rewards)
    return xp.max(rewards, axis=-1) > xp.min(rewards, axis=-1)


def drop_dead(rewards: Any, mask: Any) -> Array:
    """The mask without the tokens of dead groups: rewards (..., n), mask (..., n, T) to (..., n, T).

    Raises as ``Loss.weights``.
    """
    tokens = as_tokens(rewards, mask, values="rewards")
    return tokens.mask & alive(rewards)[..., None, None]


def replace_dead(rewards: Any, *, groups: int) -> Int:
    """The first ``groups`` live ones of the prompts drawn, (P, n): their places, (groups,).

    DAPO's dynamic sampling as verl has it: more prompts are drawn than a step needs, dead groups go, and what
    exceeds the batch does.

    Raises
    ------
    ValueError
        Fewer live groups than a step needs: draw more prompts.
    """
    wanted = whole_number(groups, "groups")
    live = np.flatnonzero(np.asarray(alive(rewards)))
    if len(live) < wanted:
        raise ValueError(
            f"groups={wanted}: {len(live)} of the {len(rewards)} groups drawn are alive; draw more prompts, "
            f"or take groups={len(live)}"
        )
    return live[:wanted].astype(np.intp)


def redraw_dead(draw: Callable[[Int], Any], *, prompts: int, limit: int = 100) -> tuple[Float, Int]:
    """Rewards of every prompt's first live group, and how many were drawn: (prompts, n) and (prompts,).

    Parameters
    ----------
    draw
        ``draw(which)``: rewards of fresh groups of the prompts of these numbers, (len(which), n).
    prompts
        How many prompts there are.
    limit
        Groups drawn of one prompt at most.

    Raises
    ------
    ValueError
        A prompt whose group was dead ``limit`` times.
    """
    waiting = np.arange(whole_number(prompts, "prompts"))
    tries = np.zeros(len(waiting), dtype=np.intp)
    found: Float | None = None
    for _ in range(whole_number(limit, "limit")):
        fresh = np.asarray(draw(waiting), dtype=np.float64)
        found = np.empty((len(tries), fresh.shape[-1])) if found is None else found
        found[waiting], tries[waiting] = fresh, tries[waiting] + 1
        waiting = waiting[~np.asarray(alive(fresh))]
        if not len(waiting):
            return found, tries
    raise ValueError(
        f"limit={limit}: prompt {waiting[0]} and {len(waiting) - 1} others had no live group in as many "
        f"draws; raise limit, or leave them out"
    )


def mask_overlong(mask: Any, truncated: Any) -> Array:
    """The mask without the rollouts that were cut off: mask (..., n, T), truncated (..., n) to (..., n, T).

    TRL's ``mask_truncated_completions``, DAPO's over-long filtering (arXiv 2503.14476 section 3.4).
    """
    tokens = as_tokens(truncated, mask, values="truncated")
    return tokens.mask & (tokens.values == 0)


def overlong_penalty(lengths: Any, *, longest: int, buffer: int) -> Array:
    r"""DAPO's soft punishment, to be added to the reward: lengths (...) to (...), in [-1, 0].

    .. math:: 0 \text{ up to } L - B, \qquad (L - B - |o|)/B \text{ up to } L, \qquad -1 \text{ beyond,}

    L the longest response and B the buffer, in tokens. Source: arXiv 2503.14476 eq. 13.

    Raises ValueError where not 0 < buffer <= longest.
    """
    if not 0 < finite_number(buffer, "buffer") <= finite_number(longest, "longest"):
        raise ValueError(f"buffer={buffer}, longest={longest}: must have 0 < buffer <= longest")
    xp, lengths = as_rewards(lengths)
    penalty = (longest - buffer - lengths) / buffer
    return xp.where(penalty > 0, 0.0, xp.where(penalty < -1, -1.0, penalty))


def first_of_duplicates(answers: Any) -> Bool:
    """Which rollouts are not a copy of an earlier one of their group: answers (..., n) to (..., n).

    ``answers`` are ids of completions: numbers or texts that are equal where the completions are.
    """
    given = np.asarray(answers)
    if given.ndim == 0:
        raise ValueError("answers are a scalar: they must have shape (..., n), one a rollout of the group")
    same = given[..., :, None] == given[..., None, :]
    copies: Bool = np.tril(same, k=-1).any(axis=-1)
    return ~copies


@dataclass(frozen=True, kw_only=True)
class Filtering:
    """A way to choose what a step is made of.

    Attributes
    ----------
    name, title, citation
        As of a ``Loss``.
    unit
        What it leaves out: ``"group"`` or ``"rollout"``.
    draws
        What it draws again: ``"nothing"``, ``"other prompts"``, or ``"the same prompt"``.
    function
        What does it.
    """

    name: str
    title: str
    citation: str
    unit: Literal["group", "rollout"]
    draws: Literal["nothing", "other prompts", "the same prompt"]
    function: Callable[..., Any]


FILTERINGS: Mapping[str, Filtering] = {
    each.name: each
    for each in (
        Filtering(
            name="drop-dead",
            title="Groups of equal rewards are masked",
            citation="DAPO (arXiv 2503.14476) section 3.2; SkyRL zero_variance_filter",
            unit="group",
            draws="nothing",
            function=drop_dead,
        ),
        Filtering(
            name="replace-dead",
            title="Groups of equal rewards make way for other prompts'",
            citation="DAPO (arXiv 2503.14476) eq. 11; verl 0.9.1 filter_groups",
            unit="group",
            draws="other prompts",
            function=replace_dead,
        ),
        Filtering(
            name="redraw-dead",
            title="A prompt is drawn again until its rewards differ",
            citation="DAPO (arXiv 2503.14476) eq. 11, read prompt by prompt",
            unit="group",
            draws="the same prompt",
            function=redraw_dead,
        ),
        Filtering(
            name="mask-overlong",
            title="Rollouts that were cut off are masked",
            citation="DAPO (arXiv 2503.14476) section 3.4; TRL 1.16 mask_truncated_completions",
            unit="rollout",
            draws="nothing",
            function=mask_overlong,
        ),
        Filtering(
            name="drop-duplicates",
            title="A copy of an earlier rollout of the group is masked",
            citation="this library",
            unit="rollout",
            draws="nothing",
            function=first_of_duplicates,
        ),
    )
}
