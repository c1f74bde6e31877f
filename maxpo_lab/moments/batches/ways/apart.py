"""Prompts that do not meet: each group's advantages are its own, though not the same rule at each place."""

from __future__ import annotations

from itertools import product

import numpy as np

from ....core.arrays import Float
from ....rules import BatchCalls
from ..coupled import PromptSums, prompt_sums
from ..meeting import Meeting, Place

#: Batches of each two kinds whose groups are looked for elsewhere, and how many groups of each.
_TRIED, _PLACES = 2, 8
#: Kinds of batches: of any states, as they come, all at the least reward, and all at the greatest.
KINDS = ("any", "likely", "least", "greatest")


def meets(calls: BatchCalls, meeting: Meeting) -> bool:
    """Whether a group gets other advantages beside other groups, on batches of each two kinds."""
    rng = np.random.default_rng(0)
    size = len(meeting.places)
    for one, two in product(KINDS, KINDS):
        for _ in range(_TRIED):
            ours, others = batch_of(meeting, one, rng), batch_of(meeting, two, rng)
            looked = rng.permutation(size)[:_PLACES]
            batches = np.repeat(others[None], len(looked) + 1, axis=0)
            batches[0] = ours
            batches[np.arange(len(looked)) + 1, looked] = ours[looked]
            given = calls(batches)
            if any(not calls.same(given[0, j], given[row + 1, j]) for row, j in enumerate(looked)):
                return True
    return False


def batch_of(meeting: Meeting, kind: str, rng: np.random.Generator) -> Float:
    """Rewards (P, n) of a batch of a kind."""

    def state(place: Place) -> int:
        if kind == "likely":
            return int(place.drawn(rng, 1)[0])
        sums = place.rewards.sum(axis=1)
        ends = {"least": int(sums.argmin()), "greatest": int(sums.argmax())}
        return ends[kind] if kind in ends else int(rng.integers(len(place.chance)))

    return np.stack([place.rewards[state(place)] for place in meeting.places])


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
