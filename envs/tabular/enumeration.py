"""Episodes of an unrolled process, all of them or some at random: decisions, lengths, the return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maxpo_lab.core.arrays import Float, Int

from .unrolling import Unrolled

#: Episodes enumerated at most.
MAX_EPISODES = 100_000


@dataclass(frozen=True, eq=False)
class Episodes:
    """Episodes: ``decisions`` (M, T), -1 after the end; ``lengths``, ``rewards`` and ``world`` (M,).

    ``world`` is the chance of all that the policy does not choose.
    """

    decisions: Int
    lengths: Int
    world: Float
    rewards: Float


def episodes(unrolled: Unrolled) -> Episodes:
    """Every way through the process. Cost O(M T); ValueError beyond ``MAX_EPISODES`` of them."""
    levels = len(unrolled.returns)
    node, chance = np.arange(len(unrolled.start)), unrolled.start
    taken = np.empty((len(node), 0), dtype=np.intp)
    done: list[tuple[Int, Float, Int]] = []
    total = 0
    for layer in unrolled.layers:
        order = np.argsort(layer.source, kind="stable")
        begin = np.searchsorted(layer.source[order], np.arange(len(layer.observation) + 1))
        counts = np.diff(begin)[node]
        parent = np.repeat(np.arange(len(node)), counts)
        within = np.arange(len(parent)) - np.repeat(np.cumsum(counts) - counts, counts)
        edge = order[begin[node][parent] + within]
        taken = np.concatenate([taken[parent], layer.decision[edge][:, None]], axis=1)
        chance, target = chance[parent] * layer.probability[edge], layer.target[edge]
        over = target < levels
        total += int(over.sum())
        done.append((taken[over], chance[over], target[over]))
        taken, chance, node = taken[~over], chance[~over], target[~over] - levels
        if total + len(node) > MAX_EPISODES:
            raise ValueError(
                f"more than {MAX_EPISODES:,} episodes after {taken.shape[1]} of {len(unrolled.layers)} "
                f"steps: "
                f"use a shorter horizon or fewer actions, or decisions(theta), which lists none"
            )
    length = max(part.shape[1] for part, *_ in done)
    decisions = np.concatenate(
        [np.pad(part, ((0, 0), (0, length - part.shape[1])), constant_values=-1) for part, *_ in done]
    )
    return Episodes(
        decisions=decisions,
        lengths=np.sum(decisions >= 0, axis=1),
        world=np.concatenate([chance for _, chance, _ in done]),
        rewards=unrolled.returns[np.concatenate([end for *_, end in done])],
    )


def drawn_episodes(unrolled: Unrolled, policy: Float, rng: np.random.Generator, size: int) -> Int:
    """Episodes at random under action probabilities (O, A): decisions, -1 after the end, and the level.

    (size, T + 1), the level last. Cost O(size T) and O(edges): an edge is found by inversion among those that
    leave its node.
    """
    levels = len(unrolled.returns)
    found = np.full((size, len(unrolled.layers) + 1), -1, dtype=np.intp)
    going = np.arange(size)
    node = _inverted(unrolled.start, np.zeros(size, dtype=np.intp), np.array([0, len(unrolled.start)]), rng)
    for step, layer in enumerate(unrolled.layers):
        order = np.argsort(layer.source, kind="stable")
        begin = np.searchsorted(layer.source[order], np.arange(len(layer.observation) + 1))
        chance = policy.ravel()[layer.decision[order]] * layer.probability[order]
        edge = order[_inverted(chance, node, begin, rng)]
        found[going, step] = layer.decision[edge]
        over = layer.target[edge] < levels
        found[going[over], -1] = layer.target[edge[over]]
        going, node = going[~over], layer.target[edge[~over]] - levels
    return found


def _inverted(chance: Float, node: Int, begin: Int, rng: np.random.Generator) -> Int:
    """Places in ``chance``, drawn in proportion among those of each node: ``begin[node]`` to the next."""
    before = np.concatenate([[0.0], np.cumsum(chance)])
    low, high = before[begin[node]], before[begin[node + 1]]
    place = np.searchsorted(before, low + (high - low) * rng.random(len(node)), side="right") - 1
    return np.asarray(np.clip(place, begin[node], begin[node + 1] - 1), dtype=np.intp)
