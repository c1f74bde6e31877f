"""Prompts that do not meet: each group's advantages are its own, though not the same rule at each place."""

from __future__ import annotations

import numpy as np

from ....core.arrays import Float
from ....rules import BatchCalls
from ..coupled import PromptSums, prompt_sums
from ..meeting import Meeting

#: Batches whose groups are looked for elsewhere.
_TRIED = 4


def meets(calls: BatchCalls, meeting: Meeting) -> bool:
    """Whether a group gets other advantages beside other groups, on batches of any states."""
    rng = np.random.default_rng(0)
    for _ in range(_TRIED):
        ours, others = _any(rng, meeting), _any(rng, meeting)
        for place in range(len(meeting.places)):
            mixed = others.copy()
            mixed[place] = ours[place]
            given = calls(np.stack([ours, mixed]))
            if not calls.same(given[0, place], given[1, place]):
                return True
    return False


def _any(rng: np.random.Generator, meeting: Meeting) -> Float:
    return np.stack([place.rewards[rng.integers(len(place.chance))] for place in meeting.places])


def own_sums(calls: BatchCalls, meeting: Meeting) -> tuple[PromptSums, ...]:
    """The sums of each prompt, all of whose states are looked at, those of all places at once."""
    most = max(len(place.chance) for place in meeting.places)
    batches = np.stack(
        [place.rewards[np.arange(most) % len(place.chance)] for place in meeting.places], axis=1
    )
    given = calls(batches)
    found = []
    for index, (place, levels) in enumerate(zip(meeting.places, meeting.prompts, strict=True)):
        own = given[: len(place.chance), index]
        sums, squares = (
            meeting.level_sums(place.level, each)[:, : len(levels.values)] for each in (own, own**2)
        )
        found.append(prompt_sums(levels, place.chance, sums, squares, np.abs(own).max(axis=1)))
    return tuple(found)
