"""Batches of groups as a loop draws them: with copies, and with dead groups kept, dropped or drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.arrays import Bool, Float, Int
from ...moments.updates.draws import DeadGroupPolicy
from ...policies.rollouts import RolloutPolicy, RolloutTokens

#: Groups of a prompt after which none that lives is ever expected.
HOPELESS = 1 << 20
#: Rollouts of a call in search of groups that live.
_TOGETHER = 1 << 16


@dataclass(frozen=True, eq=False)
class Part:
    """The groups of one policy: their places among all, (G,), rollouts (G n, ...) and rewards (G, n)."""

    policy: RolloutPolicy
    place: Int
    drawn: npt.NDArray[Any]
    rewards: Float

    @cached_property
    def tokens(self) -> RolloutTokens:
        """Tokens of its rollouts, asked for once."""
        found = self.policy.tokens(self.drawn)
        if lacking := sorted({"log_ratios", "behaviour_log_ratios"} - set(found.log_ratios)):
            raise TypeError(
                f"{type(self.policy).__name__}.tokens gave no {lacking[0]}: every policy has them, zeros "
                f"where two policies are one"
            )
        return found


@dataclass(frozen=True, eq=False)
class Batches:
    """U batches of P groups, (U P,) of them, batch after batch.

    Attributes
    ----------
    parts
        The groups, policy by policy.
    rewards
        Of all groups, (U P, n).
    kept
        Groups that are not dropped, (U P,).
    live, seen
        Of each prompt of a batch, groups that live, and groups that were looked at, (P,): of prompts that
        are one policy, each has its share.
    """

    parts: tuple[Part, ...]
    rewards: Float
    kept: Bool
    live: Float
    seen: Float

    def rollout_log_ratios(self) -> Float:
        """``log pi - log pi_drawn`` of all rollouts, (U P, n)."""
        found = np.zeros(self.rewards.shape)
        for part in self.parts:
            found[part.place] = part.tokens.rollout_log_ratios.reshape(part.rewards.shape)
        return found


def draw_batches(
    policies: Sequence[RolloutPolicy],
    rng: np.random.Generator,
    *,
    batches: int,
    n: int,
    dead_groups: DeadGroupPolicy,
    duplicates: float,
) -> Batches:
    """Batches of one group of each policy; see ``update_moments`` for the settings.

    Raises
    ------
    ValueError
        Rewards of a wrong shape, or not finite; no group that lives among ``HOPELESS``, where dead ones are
        drawn again.
    """
    source = _Source(policies, rng, n, duplicates)
    size = len(policies)
    if dead_groups == "replace":
        parts = _mixture(source, batches * size)
    else:
        parts = []
        for policy in source.distinct:
            slots = source.slots(policy)
            place = (np.arange(batches)[:, None] * size + slots).ravel()
            found = source.live(policy, len(place)) if dead_groups == "redraw" else source(policy, len(place))
            parts.append(Part(policy, place, *found))
    rewards = np.empty((batches * size, n))
    for part in parts:
        rewards[part.place] = part.rewards
    kept = alive(rewards) if dead_groups == "drop" else np.ones(len(rewards), dtype=bool)
    live, seen = (
        np.array([table[id(each)] / len(source.slots(each)) for each in policies])
        for table in (source.lived, source.seen)
    )
    return Batches(tuple(parts), rewards, kept, live, seen)


def alive(rewards: Float) -> Bool:
    """Groups (G, n) whose rewards are not all alike, (G,)."""
    return np.asarray((rewards != rewards[:, :1]).any(axis=1))


class _Source:
    """Groups of policies from one stream, counted."""

    def __init__(
        self, policies: Sequence[RolloutPolicy], rng: np.random.Generator, n: int, duplicates: float
    ) -> None:
        self.policies, self.rng, self.n, self.duplicates = policies, rng, n, duplicates
        self.distinct = list({id(each): each for each in policies}.values())
        self.lived = {id(each): 0 for each in self.distinct}
        self.seen = {id(each): 0 for each in self.distinct}

    def slots(self, policy: RolloutPolicy) -> Int:
        """Prompts of a batch that a policy stands for."""
        return np.flatnonzero([each is policy for each in self.policies])

    def __call__(self, policy: RolloutPolicy, groups: int) -> tuple[npt.NDArray[Any], Float]:
        """Rollouts (groups n, ...) and rewards (groups, n)."""
        drawn = policy.draw(self.rng, groups * self.n)
        if self.duplicates:
            place = np.arange(groups * self.n).reshape(groups, self.n)
            copies = self.rng.random((groups, self.n - 1)) < self.duplicates
            place[:, 1:] = np.where(copies, place[:, :1], place[:, 1:])
            drawn = drawn[place.ravel()]
        rewards = np.asarray(policy.rewards(drawn), dtype=np.float64)
        if rewards.shape != (groups * self.n,) or not np.isfinite(rewards).all():
            raise ValueError(
                f"{type(policy).__name__}.rewards gave shape {rewards.shape} for {groups * self.n} rollouts: "
                f"one finite number for each is needed"
            )
        rewards = rewards.reshape(groups, self.n)
        self.lived[id(policy)] += int(alive(rewards).sum())
        self.seen[id(policy)] += groups
        return drawn, rewards

    def live(self, policy: RolloutPolicy, wanted: int) -> tuple[npt.NDArray[Any], Float]:
        """As many groups that live, in the order in which they came."""
        found: list[tuple[npt.NDArray[Any], Float]] = []
        missing = wanted
        while missing > 0:
            self.hold_hope([policy])
            drawn, rewards = self(policy, self.together(missing))
            living = np.flatnonzero(alive(rewards))[:missing]
            found.append((rows(drawn, living, self.n), rewards[living]))
            missing -= len(living)
        return np.concatenate([each for each, _ in found]), np.concatenate([each for _, each in found])

    def together(self, missing: int) -> int:
        """Groups of a call where so many that live are missing."""
        return max(missing, min(HOPELESS // 4, _TOGETHER // self.n, 16 * missing))

    def hold_hope(self, policies: Sequence[RolloutPolicy]) -> None:
        """Raise ValueError where policies have been looked at for long, and no group lived."""
        seen = sum(self.seen[id(each)] for each in policies)
        if seen >= HOPELESS and not any(self.lived[id(each)] for each in policies):
            raise ValueError(
                f"dead_groups: of {seen:,} groups none had unequal rewards, so none may ever be found; use "
                f"'keep' or 'drop', or update_moments, which needs no draw"
            )


def rows(drawn: npt.NDArray[Any], groups: Int, n: int) -> npt.NDArray[Any]:
    """Rollouts of some groups."""
    return np.asarray(drawn[(groups[:, None] * n + np.arange(n)).ravel()])


def _mixture(source: _Source, wanted: int) -> list[Part]:
    """Groups that live, each of a prompt drawn uniformly from those listed."""
    n, found = source.n, 0
    parts: list[Part] = []
    while found < wanted:
        source.hold_hope(source.distinct)
        prompt = source.rng.integers(len(source.policies), size=source.together(wanted - found))
        lives, groups = np.zeros(len(prompt), dtype=bool), []
        for policy in source.distinct:
            (own,) = np.nonzero(np.isin(prompt, source.slots(policy)))
            if len(own):
                drawn, rewards = source(policy, len(own))
                lives[own] = alive(rewards)
                groups.append((policy, own, drawn, rewards))
        order = np.cumsum(lives) - 1 + found
        for policy, own, drawn, rewards in groups:
            chosen = np.flatnonzero(lives[own] & (order[own] < wanted))
            parts.append(Part(policy, order[own][chosen], rows(drawn, chosen, n), rewards[chosen]))
        found += int(lives.sum())
    return [part for part in parts if len(part.place)]
