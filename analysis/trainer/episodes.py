"""Groups of episodes of a stack of tabular policies, drawn by inversion step by step, and their gradient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch

from envs.tabular.unrolling import Layer
from maxpo_lab.core.arrays import Float, Int

from .protocol import Uniforms

#: Episodes that go on together.
BLOCK = 1 << 14


@dataclass(frozen=True, eq=False)
class Moves:
    """One step of the graph as it is sampled.

    A *place* is an end, or, after all ends, a node of the step: an end is a node where every action leads
    back to itself, so that episodes that are over walk with the others. The pair of a place and an action is
    ``place * actions + action``.

    Attributes
    ----------
    observation
        What is seen at each place, (places,).
    decision
        Index of each pair's logit in the policy's table, its size for pairs of ends, (places actions,).
    arrival
        The place of the next step that each edge leads to, edges sorted by pair.
    chances
        Cumulative probabilities of the edges of each pair, as ``cumulative``; None where each has one edge.
    """

    observation: Int
    decision: Int
    arrival: Int
    chances: Float | None

    @classmethod
    def of(cls, layer: Layer, ends: int, table: tuple[int, int]) -> Moves:
        """The moves of a layer whose targets count the ends first; ``table`` is (observations, actions)."""
        actions = table[1]
        over = np.arange(ends)
        places = ends + len(layer.observation)
        observation = np.concatenate([np.zeros_like(over), layer.observation])
        decision = observation[:, None] * actions + np.arange(actions)
        decision[:ends] = table[0] * actions
        own = np.arange(ends * actions)
        pair = np.concatenate([own, (ends + layer.source) * actions + layer.decision % actions])
        order = np.argsort(pair, kind="stable")
        arrival = np.concatenate([own // actions, layer.target])[order]
        probability = np.concatenate([np.ones(len(own)), layer.probability])[order]
        single = len(pair) == places * actions
        chances = None if single else cumulative(probability, pair[order])
        return cls(observation, decision.ravel(), arrival, chances)


def draw(
    moves: Sequence[Moves], policy: torch.Tensor, start: Int, ends: int, uniforms: Uniforms
) -> tuple[Int, Int]:
    """Ends and decisions of episodes of every policy: (arms, seeds, episodes) and (T, the same).

    ``policy`` (arms, seeds, O, A) are probabilities, ``start`` (seeds, episodes) the nodes of the first step.
    A number for every episode and choice is drawn, for the world's where it has one, over or not, until the
    episodes of all arms are over; every arm has the same. Some arms go on together, so few that what they
    read and write stays in the cache.
    """
    arms, seeds, observations, actions = policy.shape
    width = 1 << (actions - 1).bit_length()
    # Rows lie end to end, row o from o to o + 1, so that all rows of a policy are one ascending array.
    rows = policy.cumsum(dim=-1)[..., :-1] + torch.arange(observations, dtype=policy.dtype)[:, None]
    edges = torch.nn.functional.pad(rows, (0, width - actions + 1), value=float("inf")).numpy()
    numbers: list[tuple[Float, torch.Tensor | None]] = []
    places, taken = np.empty((arms, *start.shape), np.int64), []
    size = max(1, BLOCK // start.size)
    for block in (slice(first, min(first + size, arms)) for first in range(0, arms, size)):
        mine, place = edges[block], np.broadcast_to(start + ends, places[block].shape)
        own = np.arange(len(mine) * seeds).reshape(-1, seeds, 1) * (observations * width)
        for time, move in enumerate(moves):
            if time == len(numbers):
                chosen = uniforms(start.shape[-1]).numpy()
                numbers.append((chosen, None if move.chances is None else uniforms(start.shape[-1])))
            of_action, of_world = numbers[time]
            row = move.observation.take(place)
            pair = place * actions + bisected(mine.ravel(), row, own, of_action, width)
            taken.append((time, block, move.decision.take(pair)))
            if move.chances is not None and of_world is not None:
                pair = inverted(move.chances, pair, of_world)
            place = move.arrival.take(pair)
            if place.max() < ends:
                break
        places[block] = place
    decisions = np.full((len(numbers), *places.shape), observations * actions)
    for time, block, made in taken:
        decisions[time, block] = made
    return places, decisions


def bisected(edges: Float, row: Int, own: Int, uniform: Float, width: int) -> Int:
    """The actions of episodes that see these rows, by bisection in each, all episodes together.

    A search per episode, in all rows, costs several times as much. A policy that has diverged has NaN for
    edges, and its first action.
    """
    key, at = row + uniform, row * width + own
    beyond, passed = np.empty_like(key), np.empty(key.shape, np.bool_)
    for half in reversed(range(width.bit_length() - 1)):
        edges.take(at + ((1 << half) - 1), out=beyond, mode="clip")
        np.less_equal(beyond, key, out=passed)
        at += np.left_shift(passed, half, dtype=np.int64)
    return np.asarray(at & (width - 1))


def cumulative(chance: Float, row: Int) -> Float:
    """Cumulative chances of runs of equal row, row i from i to i + 1 in all: one ascending array."""
    begin = np.searchsorted(row, np.arange(row[-1] + 1))
    total = np.cumsum(chance)
    before = np.concatenate([[0.0], total])[begin]
    within = total - before[row]
    last = np.append(begin[1:], len(row)) - 1
    within[last] = 1.0
    return np.asarray(np.minimum(within, 1.0) + row)


def inverted(rows: Float, row: Int, uniform: torch.Tensor) -> Int:
    """One entry of each of these rows, drawn by inversion."""
    # Just below 1 the sum row + u may round to the next row.
    key = np.minimum(row + uniform.numpy(), np.nextafter(row + 1.0, row))
    return np.asarray(np.searchsorted(rows, key, side="right"))


@dataclass(frozen=True, eq=False)
class Episodes:
    """Groups of episodes of every policy.

    ``prompts`` (seeds, groups) are numbers of the world's, with an axis of arms where these differ;
    ``decisions`` are indices into the policy's table (O A after the end), (T, arms, seeds, groups n);
    ``policy`` is (arms, seeds, O, A).
    """

    rewards: torch.Tensor
    prompts: torch.Tensor
    decisions: torch.Tensor
    policy: torch.Tensor

    def replaced(self, others: Self, arms: Sequence[int], where: torch.Tensor) -> Self:
        """With the groups of these arms that are so marked, (arms, seeds, groups), those of the others."""
        rewards, decisions = self.rewards.clone(), self.decisions.clone()
        prompts = self.prompts.expand(rewards.shape[:-1]).clone()
        rewards[arms] = torch.where(where[..., None], others.rewards, rewards[arms])
        prompts[arms] = torch.where(where, others.prompts, prompts[arms])
        each = where.repeat_interleave(rewards.shape[-1], dim=-1)
        decisions[:, arms] = torch.where(each, others.decisions, decisions[:, arms])
        return replace(self, rewards=rewards, prompts=prompts, decisions=decisions)

    def gradient(self, advantages: torch.Tensor) -> torch.Tensor:
        """Advantages are added up at the decisions of their episodes, less their expectation there."""
        weights = advantages.flatten(2) / advantages[0, 0].numel()
        return scores_of(self.policy, ((decision, weights) for decision in self.decisions))

    @property
    def mask(self) -> torch.Tensor:
        """Which decisions there are, (arms, seeds, groups, n, T)."""
        over = self.policy.shape[-2] * self.policy.shape[-1]
        return self._by_group(self.decisions < over)

    def tokens(self, theta: torch.Tensor) -> EpisodesAt:
        """The same decisions under logits theta (arms, seeds, d)."""
        logs = torch.log_softmax(theta.reshape(self.policy.shape), dim=-1).flatten(2)
        padded = torch.nn.functional.pad(logs, (0, 1))  # 0 at the decisions of ends
        each = torch.stack([padded.gather(2, decision) for decision in self.decisions])
        return EpisodesAt(self._by_group(each), self.decisions, logs.exp().reshape(self.policy.shape))

    def _by_group(self, each: torch.Tensor) -> torch.Tensor:
        """(T, arms, seeds, groups n) as (arms, seeds, groups, n, T)."""
        return each.movedim(0, -1).reshape(*self.rewards.shape, len(each))


@dataclass(frozen=True, eq=False)
class EpisodesAt:
    """Decisions (T, arms, seeds, groups n) under policies (arms, seeds, O, A), and their ``logs``."""

    logs: torch.Tensor
    decisions: torch.Tensor
    policy: torch.Tensor

    def gradient(self, weights: torch.Tensor) -> torch.Tensor:
        """Weights are added up at their decisions, less their expectation there."""
        each = weights.flatten(2, 3).movedim(-1, 0)
        return scores_of(self.policy, zip(self.decisions, each, strict=True))


def scores_of(policy: torch.Tensor, weighted: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """Weighted sums of the scores of decisions, step by step (arms, seeds, rollouts): (arms, seeds, d)."""
    arms, seeds, observations, actions = policy.shape
    d = observations * actions
    sums = policy.new_zeros(arms, seeds, d + 1)
    for decision, weights in weighted:
        sums.scatter_add_(2, decision, weights)
    made = sums[..., :d].reshape(policy.shape)
    gradient = made - made.sum(dim=-1, keepdim=True) * policy
    return gradient.reshape(arms, seeds, d)
