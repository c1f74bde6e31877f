"""The histories that a rule with memory can have behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from ... import rules
from ...core.arrays import Float, Int
from ...estimators import MemoryEstimator
from ...policies.levels import RewardLevels
from ...rules import BatchCalls, BatchRule
from .meeting import Meeting, each_once
from .ways.apart import KINDS, batch_of

#: Prompts that are looked for in other histories.
_PLACES = 4
#: A step of the past: rewards (P, n) that were seen, or the policies of the prompts that made them.
Step = Float | tuple[RewardLevels, ...]


@dataclass(frozen=True, eq=False)
class Remembering:
    """A rule with memory on the listed prompts, from a state on, through the steps of a history."""

    rule: rules.WithMemory
    meeting: Meeting
    k: int
    scale: float
    start: Any
    history: tuple[Step, ...]

    @property
    def numbers(self) -> Int:
        """The prompts, as their numbers in the state."""
        return np.arange(len(self.meeting.prompts))

    def after(self, rewards: Sequence[Float]) -> BatchCalls:
        """The rule of a batch that it is after steps with these rewards, (P, n) each."""
        state = self.start
        for each in rewards:
            state = self._next(state, each.copy())
        update, numbers = self.rule.update, self.numbers
        step = BatchRule(
            lambda given, k: update(state, given, k, numbers)[0], None, rules.describe(self.rule)
        )
        return BatchCalls(step, self.meeting.n, self.k, self.scale)

    def _next(self, state: Any, rewards: Float) -> Any:
        if isinstance(self.rule, MemoryEstimator):
            return self.rule.remember(state, rewards, self.k, self.numbers)
        return self.rule.update(state, rewards, self.k, self.numbers)[1]


@dataclass(frozen=True, eq=False)
class Pasts:
    """The histories that policies make: a place for each step of each prompt, or rewards that were seen."""

    found: Remembering
    steps: tuple[Float | Meeting, ...]

    @classmethod
    def of(cls, found: Remembering) -> Pasts:
        """Those of a rule's history."""
        n = found.meeting.n
        return cls(
            found, tuple(each_once(step, n) if isinstance(step, tuple) else step for step in found.history)
        )

    @property
    def numbers(self) -> list[int]:
        """Histories of each prompt."""
        return [
            prod(len(step.places[prompt].chance) for step in self.steps if isinstance(step, Meeting))
            for prompt in range(len(self.found.numbers))
        ]

    def every(self) -> tuple[Float, list[Float]]:
        """Chance (H, P) of each history of each prompt, and their rewards (H, P, n), step by step.

        A prompt with fewer histories than another has its first again, without weight.
        """
        size, most = len(self.found.numbers), max(self.numbers)
        weights = np.ones((most, size))
        made = [step for step in self.steps if isinstance(step, Meeting)]
        rewards = np.empty((len(made), most, size, self.found.meeting.n))
        for prompt, number in enumerate(self.numbers):
            run = np.arange(most)
            places = [step.places[prompt] for step in made]
            picks = np.unravel_index(np.where(run < number, run, 0), [len(each.chance) for each in places])
            for index, (place, pick) in enumerate(zip(places, picks, strict=True)):
                rewards[index, :, prompt] = place.rewards[pick]
                weights[:, prompt] *= place.chance[pick]
            weights[number:, prompt] = 0.0
        each = iter(rewards)
        return weights, [
            next(each) if isinstance(step, Meeting) else np.repeat(step[None], most, axis=0)
            for step in self.steps
        ]

    def drawn(self, draws: int, seed: int) -> list[Float]:
        """Rewards (draws, P, n) of histories, step by step."""
        rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
        return [self._drawn(rng, step, draws) for step in self.steps]

    def _drawn(self, rng: np.random.Generator, step: Float | Meeting, draws: int) -> Float:
        if not isinstance(step, Meeting):
            return np.repeat(step[None], draws, axis=0)
        return np.stack([place.rewards[place.drawn(rng, draws)] for place in step.places], axis=1)

    def meet(self) -> bool:
        """Whether what a prompt gets depends on the others, now or in the past, on groups of any states."""
        rule = self.found.rule
        if isinstance(rule, MemoryEstimator):
            return rule.couples
        rng = np.random.default_rng(0)
        for one, two in product(KINDS, KINDS):
            (past, now), (other_past, other_now) = self._any(one, rng), self._any(two, rng)
            ours = self.found.after(past)
            for prompt in rng.permutation(self.found.numbers)[:_PLACES]:
                mixed_past, mixed_now = [step.copy() for step in other_past], other_now.copy()
                mixed_now[prompt] = now[prompt]
                for mixed, step in zip(mixed_past, past, strict=True):
                    mixed[prompt] = step[prompt]
                theirs = self.found.after(mixed_past)
                if not ours.same(ours(now[None])[0, prompt], theirs(mixed_now[None])[0, prompt]):
                    return True
        return False

    def _any(self, kind: str, rng: np.random.Generator) -> tuple[list[Float], Float]:
        """Rewards of all steps, and of a batch after them."""
        past = [batch_of(step, kind, rng) if isinstance(step, Meeting) else step for step in self.steps]
        return past, batch_of(self.found.meeting, kind, rng)
