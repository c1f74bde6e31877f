"""Groups of episodes of a stack of tabular policies, drawn by inversion step by step, and their gradient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from envs.tabular.unrolling import Layer
from maxpo_lab.core.arrays import Float, Int

from .protocol import Uniforms


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

    ``policy`` (arms, seeds, O, A) are probabilities, ``start`` (1, seeds, episodes) the nodes of the first
    step. A number for every episode and choice is drawn, for the world's where it has one, over or not. Every
    action is found by bisection in its row of the policy, all episodes together: a search per episode, in
    all rows, costs several times as much. A policy that has diverged has NaN for edges, and its first action.
    """
    arms, seeds, observations, actions = policy.shape
    rounds = (actions - 1).bit_length()
    width = 1 << rounds
    # Rows lie end to end, row o from o to o + 1, so that all rows of a policy are one ascending array.
    rows = policy.cumsum(dim=-1)[..., :-1] + torch.arange(observations, dtype=policy.dtype)[:, None]
    edges = torch.nn.functional.pad(rows, (0, width - actions + 1), value=float("inf")).numpy().ravel()
    own = np.arange(arms * seeds).reshape(arms, seeds, 1) * observations * width
    place, taken = start + ends, []
    for move in moves:
        row = move.observation[place]
        key = row + uniforms(start.shape[-1]).numpy()
        at = row * width + own
        for half in reversed(range(rounds)):
            at += (edges.take(at + ((1 << half) - 1)) <= key) * (1 << half)
        pair = place * actions + (at & (width - 1))
        taken.append(move.decision.take(pair))
        edge = pair if move.chances is None else inverted(move.chances, pair, uniforms(start.shape[-1]))
        place = move.arrival.take(edge)
        if (place < ends).all():
            break
    return place, np.stack(taken)


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

    ``prompts`` (seeds, groups) are numbers of the world's; ``decisions`` are indices into the policy's table
    (O A after the end), (T, arms, seeds, groups n);
    ``policy`` is (arms, seeds, O, A).
    """

    rewards: torch.Tensor
    prompts: torch.Tensor
    decisions: torch.Tensor
    policy: torch.Tensor

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
