"""A black box on every state of the whole batch: the product of the places' count states."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product
from math import prod

import numpy as np

from ....core.arrays import Int
from ....rules import BatchCalls
from ..coupled import Coupled, prompt_sums
from ..meeting import Meeting

#: Rewards in a block of batches.
_ENTRIES = 1 << 17


def number_of_states(meeting: Meeting) -> int:
    """States of the whole batch."""
    return prod(len(place.chance) for place in meeting.places)


def by_product(calls: BatchCalls, meeting: Meeting) -> Coupled:
    """The sums of each prompt over all states of the batch.

    Cost: the rule on each of these states; memory some numbers of each of them and each place.
    """
    places, every = meeting.places, range(len(meeting.places))
    blocks = []
    for picks in _picks(meeting):
        given = calls(np.stack([places[j].rewards[picks[:, j]] for j in every], axis=1))
        level = np.stack([places[j].level[picks[:, j]] for j in every], axis=1)
        sums = meeting.level_sums(level, given)
        squares = meeting.level_sums(level, given**2)
        blocks.append((picks, sums, squares, np.abs(given).max(axis=2)))
    picks, sums, squares, largest = map(np.concatenate, zip(*blocks, strict=True))
    chance = np.prod([places[j].chance[picks[:, j]] for j in every], axis=0)
    owner = np.stack([places[j].owner[picks[:, j]] for j in every], axis=1)
    found = []
    for prompt, place in meeting.asked:
        here = owner[:, place] == prompt
        levels = meeting.prompts[prompt]
        size = len(levels.values)
        found.append(
            prompt_sums(
                levels,
                chance[here] / chance[here].sum(),
                sums[here, place, :size],
                squares[here, place, :size],
                largest[here, place],
            )
        )
    x = meeting.vectors(owner, sums)
    x -= np.einsum("b,bjr->jr", chance, x)
    across = float(chance @ (np.sum(x.sum(axis=1) ** 2, axis=1) - np.sum(x**2, axis=(1, 2))))
    alive = largest.max(axis=1) > 0
    return Coupled(sums=tuple(found), across=across, dead=float(chance[~alive].sum()), method="product")


def _picks(meeting: Meeting) -> Iterator[Int]:
    states = product(*(range(len(place.chance)) for place in meeting.places))
    rows = max(1, _ENTRIES // (len(meeting.places) * meeting.n))
    while block := list(islice(states, rows)):
        yield np.array(block, dtype=np.intp)
