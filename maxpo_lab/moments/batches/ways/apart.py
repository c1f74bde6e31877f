"""Prompts that do not meet: each group's advantages are its own, though not the same rule at each place."""

from __future__ import annotations

import numpy as np

from ....core.arrays import Float
from ....rules import BatchCalls
from ..coupled import PromptSums, prompt_sums
from ..meeting import Meeting

#: Batches whose groups are looked for elsewhere, and how many of each.
_TRIED, _PLACES = 24, 8


def meets(calls: BatchCalls, meeting: Meeting) -> bool:
    """Whether a group gets other advantages beside other groups, on batches of any states."""
    rng = np.random.default_rng(0)
    size = len(meeting.places)
    for _ in range(_TRIED):
        ours, others = _any(rng, meeting), _any(rng, meeting)
        looked = rng.permutation(size)[:_PLACES]
        batches = np.repeat(others[None], len(looked) + 1, axis=0)
        batches[0] = ours
        batches[np.arange(len(looked)) + 1, looked] = ours[looked]
        given = calls(batches)
        if any(not calls.same(given[0, j], given[row + 1, j]) for row, j in enumerate(looked)):
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
