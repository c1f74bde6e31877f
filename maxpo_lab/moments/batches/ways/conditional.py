"""Anything else: the own counts enumerated, those of the others sampled, a Rao-Blackwell estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....core.arrays import Float, Int
from ....rules import BatchCalls
from ..coupled import Coupled, Errors, PromptSums, prompt_sums
from ..meeting import Meeting

#: Rewards in a block of batches.
_ENTRIES = 1 << 18


def conditionally(calls: Sequence[BatchCalls], meeting: Meeting, *, draws: int, seed: int) -> Coupled:
    """Estimated sums of each prompt: in each draw of the batch, place by place takes all its states.

    ``calls`` are of one rule for all draws, or of the rule that each draw has.
    Cost: the rule on draws x (states of all places) batches.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    picks = np.stack([place.drawn(rng, draws) for place in meeting.places], axis=1)
    asked = meeting.places[:1] if meeting.drawn else meeting.places
    seen = [_look(calls, meeting, picks, place) for place in range(len(asked))]
    found: dict[int, PromptSums] = {}
    for place, each in zip(asked, seen, strict=True):
        found |= {int(prompt): each.sums(meeting, int(prompt)) for prompt in np.unique(place.owner)}
    means = np.concatenate([each.means for each in seen], axis=1)
    times = len(meeting.places) // len(asked)
    met = times * np.sum([each.met for each in seen], axis=0)
    if meeting.drawn:
        pairs = times * (times - 1) * _squared_mean(means.mean(axis=1))
    else:
        pairs = _squared_mean(means.sum(axis=1)) - sum(map(_squared_mean, means.swapaxes(0, 1)))
    return Coupled(
        sums=tuple(found[prompt] for prompt in range(len(meeting.prompts))),
        across=float(met.mean()) - pairs,
        dead=float(np.mean([each.dead for each in seen])),
        method="conditional",
        errors=Errors(means=means, traces=times * np.sum([each.seconds for each in seen], axis=0) + met),
    )


def _squared_mean(x: Float) -> float:
    """``|E x|^2`` from independent draws (D, r), without bias."""
    total = x.sum(axis=0)
    return float((total @ total - np.sum(x**2)) / (len(x) * (len(x) - 1)))


@dataclass(frozen=True, eq=False)
class _Look:
    """What all states of a place get in each draw of the others.

    ``chance``, ``owner``, ``level_sums``, ``squares`` and ``largest`` are of every state in every draw. Given
    a draw, ``means`` (D, prompts, r) are ``E x`` of each prompt that may be there, ``seconds`` (D,) ``E
    |x|^2`` with the scores' spread, ``met`` (D,) ``E <x, that of the others>``.
    """

    chance: Float
    owner: Int
    level_sums: Float
    squares: Float
    largest: Float
    means: Float
    seconds: Float
    met: Float
    dead: float

    def sums(self, meeting: Meeting, prompt: int) -> PromptSums:
        """Those of a prompt that may be there."""
        own = self.owner == prompt
        levels = meeting.prompts[prompt]
        size = len(levels.values)
        chance = self.chance[own] / self.chance[own].sum()
        return prompt_sums(
            levels, chance, self.level_sums[own, :size], self.squares[own, :size], self.largest[own]
        )


def _look(calls: Sequence[BatchCalls], meeting: Meeting, picks: Int, place: int) -> _Look:
    here, draws = meeting.places[place], len(picks)
    states = np.arange(len(here.chance))
    spread = np.zeros((len(meeting.prompts), meeting.coordinates.shape[1]))
    for prompt, levels in enumerate(meeting.prompts):
        spread[prompt, : len(levels.values)] = levels.score_variances
    share = (np.unique(here.owner)[:, None] == here.owner) * here.chance
    share /= share.sum(axis=1, keepdims=True)
    entries = len(states) * len(meeting.places) * meeting.n
    rows = max(1, _ENTRIES // entries) if len(calls) == 1 else 1
    blocks = []
    for start in range(0, draws, rows):
        chosen = np.repeat(picks[start : start + rows, None], len(states), axis=1)  # (draws, S, P)
        chosen[:, :, place] = states
        shape = chosen.shape[:2]
        flat = chosen.reshape(-1, chosen.shape[2])
        rewards, level, owner = (
            np.stack([getattr(each, name)[flat[:, j]] for j, each in enumerate(meeting.places)], axis=1)
            for name in ("rewards", "level", "owner")
        )
        given = calls[start % len(calls)](rewards)
        sums = meeting.level_sums(level, given)
        x = meeting.vectors(owner, sums)
        own, others = x[:, place], x.sum(axis=1) - x[:, place]
        squares = meeting.level_sums(level[:, place], given[:, place] ** 2)
        second = np.sum(squares * spread[owner[:, place]], axis=1) + np.sum(own**2, axis=1)
        blocks.append(
            (
                sums[:, place],
                squares,
                np.abs(given[:, place]).max(axis=1),
                np.einsum("ps,dsr->dpr", share, own.reshape(*shape, -1)),
                second.reshape(shape) @ here.chance,
                np.sum(own * others, axis=1).reshape(shape) @ here.chance,
                (np.abs(given).max(axis=(1, 2)) == 0).reshape(shape) @ here.chance,
            )
        )
    sums, squares, largest, means, seconds, met, dead = map(np.concatenate, zip(*blocks, strict=True))
    return _Look(
        np.tile(here.chance, draws) / draws,
        np.tile(here.owner, draws),
        sums,
        squares,
        largest,
        means,
        seconds,
        met,
        float(dead.mean()),
    )
