"""All episodes of an unrolled process, one by one: decisions, lengths, what the world adds, the return."""

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
                f"use a shorter horizon or fewer actions"
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
