"""A process unrolled: everything reachable from the start of a prompt, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maxpo_lab.core.arrays import Float, Int, Int64

from .mdp import TabularMDP

#: Edges of an unrolling at most: some GiB of memory.
MAX_EDGES = 50_000_000


@dataclass(frozen=True, eq=False)
class Layer:
    """One step of an unrolled process: edges from the nodes of this step to those of the next, or to an end.

    A node is a state with the return so far. ``target`` counts the reward levels first, then the nodes
    of the next step.
    """

    observation: Int
    source: Int
    decision: Int
    probability: Float
    target: Int
    targets: int


@dataclass(frozen=True, eq=False)
class Unrolled:
    """All that can happen to one prompt in a finite horizon.

    ``returns`` (L,) ascending; ``start`` (N,), the probability of each node of the first layer.
    """

    returns: Float
    start: Float
    layers: tuple[Layer, ...]


def unroll(mdp: TabularMDP, prompt: int) -> Unrolled:
    """Everything reachable from the start of a prompt, step by step.

    Returns that accumulate on the way make a node of every state and return. Cost O(edges); raises
    ValueError beyond 50 million of them.
    """
    start = mdp.starts[prompt]
    state, chance = np.array(list(start), dtype=np.intp), np.array(list(start.values()), dtype=np.float64)
    gained = np.zeros(len(state), dtype=np.int64)
    steps: list[tuple[Int, Int, Int, Int, Int64]] = []
    total, begin = 0, mdp.edges[1]
    for step in range(mdp.horizon):
        total += int((begin[state + 1] - begin[state]).sum())
        if total > MAX_EDGES:
            raise ValueError(
                f"more than {MAX_EDGES:,} transitions in {step + 1} of horizon={mdp.horizon} steps: use "
                f"a shorter horizon, fewer states or fewer distinct returns"
            )
        source, edge = _leaving(mdp, state)
        after = gained[source] + mdp.units.amounts[edge]
        goes_on = ~(mdp.terminated[edge] | (step == mdp.horizon - 1))
        target = np.full(len(edge), -1)
        sums, rank = np.unique(after[goes_on], return_inverse=True)
        nodes, target[goes_on] = np.unique(mdp.target[edge[goes_on]] * len(sums) + rank, return_inverse=True)
        steps.append((state, source, edge, target, after))
        if not len(nodes):
            break
        state, gained = nodes // len(sums), sums[nodes % len(sums)]
    returns = np.unique(np.concatenate([after[target < 0] for *_, target, after in steps]))
    sizes = [len(state) for state, *_ in steps[1:]] + [0]
    layers = tuple(
        Layer(
            observation=mdp.observation[state],
            source=source,
            decision=mdp.observation[mdp.source[edge]] * mdp.actions + mdp.action[edge],
            probability=mdp.probability[edge],
            target=np.where(target < 0, np.searchsorted(returns, after), len(returns) + target),
            targets=len(returns) + size,
        )
        for (state, source, edge, target, after), size in zip(steps, sizes, strict=True)
    )
    return Unrolled(mdp.units.value(returns), chance, layers)


def _leaving(mdp: TabularMDP, state: Int) -> tuple[Int, Int]:
    """Transitions that leave these nodes: the node and the transition of each."""
    order, begin = mdp.edges
    counts = begin[state + 1] - begin[state]
    source = np.repeat(np.arange(len(state)), counts)
    within = np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts)
    return source, order[begin[state][source] + within]
