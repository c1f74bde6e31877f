r"""A tabular specimen as a world: all prompts unrolled into one graph, walked by a stack of policies at once.

Every node carries the probability m of being there and the first moment v of the log-probability of the way
there. An edge of probability ``c = pi(a|o) P`` adds to its target

.. math:: m' \mathrel{+}= c\,m, \qquad v' \mathrel{+}= c\,(v + m \log c) ,

so that the ends give the level probabilities, and the entropy of the trajectories, of all or of some ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from envs.tabular.specimen import TabularSpecimen
from envs.tabular.unrolling import Layer, Unrolled, unroll
from maxpo_lab.core.arrays import Float, Int

from .protocol import Spread, Uniforms


@dataclass(frozen=True, eq=False)
class Step:
    """One step of the graph: edges sorted by node and action.

    ``target`` counts the ends first, one per prompt and reward, then the nodes of the next step. ``first``
    is the first edge of each node and action, ``chances`` the cumulative probabilities of the edges of each
    node and action, row i from i to i + 1; None where every action has one edge.
    """

    source: torch.Tensor
    decision: torch.Tensor
    probability: torch.Tensor
    target: torch.Tensor
    targets: int
    observation: torch.Tensor
    first: torch.Tensor
    chances: torch.Tensor | None


@dataclass(frozen=True, eq=False)
class TabularWorld:
    """A ``World`` of a tabular specimen with softmax logits, d = observations x actions.

    Attributes
    ----------
    values, optimum, start
        As in ``World``.
    observations, actions
        Size of the table of logits.
    beginning
        Probability of each node of the first step, by prompt, (nodes,).
    begins
        The same as cumulative rows, one per prompt, as ``Step.chances``; None where every prompt begins in
        one node.
    steps
        The graph.
    best
        The end of each prompt's highest reward, (prompts,).
    """

    values: torch.Tensor
    optimum: float
    start: torch.Tensor
    observations: int
    actions: int
    beginning: torch.Tensor
    begins: torch.Tensor | None
    steps: tuple[Step, ...]
    best: torch.Tensor

    @classmethod
    def of(cls, specimen: TabularSpecimen, start: Float) -> Self:
        """The world of a specimen. Cost: the edges of all prompts."""
        mdp = specimen.mdp
        unrolled = [unroll(mdp, prompt) for prompt in range(specimen.prompts)]
        values = np.unique(np.concatenate([each.returns for each in unrolled]))
        best = np.array([each.returns[-1] for each in unrolled])
        sizes = [len(each.start) for each in unrolled]
        beginning = np.concatenate([each.start for each in unrolled])
        prompt = np.repeat(np.arange(len(sizes)), sizes)
        return cls(
            values=torch.tensor(values),
            optimum=float(best.mean()),
            start=torch.tensor(start.ravel()),
            observations=mdp.observations,
            actions=mdp.actions,
            beginning=torch.tensor(beginning),
            begins=None if len(prompt) == len(sizes) else _cumulative(beginning, prompt),
            steps=tuple(_merged(unrolled, values, mdp.actions)),
            best=torch.tensor(np.arange(len(best)) * len(values) + np.searchsorted(values, best)),
        )

    @property
    def prompts(self) -> int:
        """How many prompts there are."""
        return len(self.best)

    def masses(self, theta: torch.Tensor) -> torch.Tensor:
        """Probabilities of the rewards, (arms, seeds, prompts, L). Cost O(edges) per policy."""
        ends, _ = self._walk(theta, entropy=False)
        return ends.reshape(*theta.shape[:2], self.prompts, len(self.values))

    def spread(self, theta: torch.Tensor) -> Spread:
        """Entropy and diversity of the trajectories, (arms, seeds) each. Cost O(edges) per policy."""
        mass, surprise = self._walk(theta, entropy=True)
        best, own = mass[:, self.best], surprise[:, self.best]
        spread = -surprise.sum(dim=-1) / self.prompts
        # No correct outcome has any probability left: 0/0, a NaN.
        among = (best.log() - own / best).exp().mean(dim=-1)
        return Spread(spread.reshape(theta.shape[:2]), among.reshape(theta.shape[:2]))

    def rollouts(self, theta: torch.Tensor, groups: int, n: int, uniforms: Uniforms) -> Episodes:
        """Groups of episodes: a number for the prompt of each group, then one per rollout and choice."""
        arms, seeds = theta.shape[:2]
        policy = torch.softmax(self._table(theta), dim=-1)
        edges = policy.cumsum(dim=-1)
        edges[..., -1] = 1.0
        edges = (edges + torch.arange(self.observations, dtype=edges.dtype)[:, None]).flatten(1)

        def common(*shape: int) -> torch.Tensor:
            return uniforms(*shape).expand(arms, seeds, *shape).reshape(arms * seeds, -1)

        prompt = (common(groups) * self.prompts).long().repeat_interleave(n, dim=1)
        node = prompt if self.begins is None else _inverted(self.begins, prompt, common(groups, n))
        ends, d = len(self.best) * len(self.values), policy[0].numel()
        place = node + ends
        taken = []
        for step in self.steps:
            over, node = place < ends, (place - ends).clamp(min=0)
            row = step.observation[node]
            decision = torch.searchsorted(edges, row + common(groups, n), right=True)
            # Row + u may round up to the next row, and a policy that has diverged has NaN for edges.
            action = (decision - row * self.actions).clamp(0, self.actions - 1)
            pair = node * self.actions + action
            if step.chances is None:
                edge = step.first[pair]
            else:
                edge = _inverted(step.chances, pair, common(groups, n))
            taken.append(torch.where(over, d, row * self.actions + action))
            place = torch.where(over, place, step.target[edge])
            if bool((place < ends).all()):
                break
        rewards = self.values[place % len(self.values)].reshape(arms, seeds, groups, n)
        return Episodes(rewards, torch.stack(taken, dim=1), policy)

    def _table(self, theta: torch.Tensor) -> torch.Tensor:
        return theta.reshape(-1, self.observations, self.actions)

    def _walk(self, theta: torch.Tensor, *, entropy: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """The m and v of the ends, (policies, ends) each; v is m where the entropy is not asked for."""
        logs = torch.log_softmax(self._table(theta), dim=-1).flatten(1)
        policies, ends = len(logs), len(self.best) * len(self.values)
        m = self.beginning.expand(policies, -1)
        v = torch.xlogy(self.beginning, self.beginning).expand(policies, -1)
        mass, surprise = m.new_zeros(policies, ends), m.new_zeros(policies, ends)
        for step in self.steps:
            log = logs[:, step.decision] + step.probability.log()
            chance = log.exp()
            flow = chance * m[:, step.source]
            moved = _summed(flow, step)
            mass, m = mass + moved[:, :ends], moved[:, ends:]
            if entropy:
                carried = _summed(chance * v[:, step.source] + flow * log, step)
                surprise, v = surprise + carried[:, :ends], carried[:, ends:]
        return mass, surprise if entropy else mass


@dataclass(frozen=True, eq=False)
class Episodes:
    """Groups of episodes of every policy.

    ``decisions`` are indices into the policy's table (O A after the end), (policies, T, groups n); ``policy``
    is (policies, O, A).
    """

    rewards: torch.Tensor
    decisions: torch.Tensor
    policy: torch.Tensor

    def gradient(self, advantages: torch.Tensor) -> torch.Tensor:
        """Advantages are added up at the decisions of their episodes, less their expectation there."""
        policies, (_, observations, actions) = len(self.policy), self.policy.shape
        d = observations * actions
        weights = advantages.reshape(policies, 1, -1) / advantages[0, 0].numel()
        sums = advantages.new_zeros(policies, d + 1)
        sums.scatter_add_(1, self.decisions.flatten(1), weights.expand(self.decisions.shape).flatten(1))
        made = sums[:, :d].reshape(self.policy.shape)
        gradient = made - made.sum(dim=-1, keepdim=True) * self.policy
        return gradient.reshape(*advantages.shape[:2], d)


def _merged(unrolled: list[Unrolled], values: Float, actions: int) -> Iterator[Step]:
    """The graphs of all prompts as one, step by step."""
    levels = len(values)
    for time in range(max(len(each.layers) for each in unrolled)):
        layers = [(i, each, each.layers[time]) for i, each in enumerate(unrolled) if time < len(each.layers)]
        here, there = 0, len(unrolled) * levels
        parts: list[tuple[Int, Int, Float, Int]] = []
        for prompt, each, layer in layers:
            end = prompt * levels + np.searchsorted(values, each.returns)
            onward = np.arange(layer.targets - len(end)) + there
            target = np.concatenate([end, onward])[layer.target]
            parts.append((layer.source + here, layer.decision, layer.probability, target))
            here, there = here + len(layer.observation), there + len(onward)
        source, decision, probability, target = (np.concatenate(part) for part in zip(*parts, strict=True))
        yield _step(
            Layer(
                observation=np.concatenate([layer.observation for _, _, layer in layers]),
                source=source,
                decision=decision,
                probability=probability,
                target=target,
                targets=there,
            ),
            actions,
        )


def _step(layer: Layer, actions: int) -> Step:
    """A layer with its edges sorted by node and action."""
    order = np.lexsort((layer.decision, layer.source))
    source, decision, probability = layer.source[order], layer.decision[order], layer.probability[order]
    pair = source * actions + decision % actions
    first = np.searchsorted(pair, np.arange(len(layer.observation) * actions))
    single = len(pair) == len(first)
    return Step(
        source=torch.tensor(source),
        decision=torch.tensor(decision),
        probability=torch.tensor(probability),
        target=torch.tensor(layer.target[order]),
        targets=layer.targets,
        observation=torch.tensor(layer.observation),
        first=torch.tensor(first),
        chances=None if single else _cumulative(probability, pair),
    )


def _cumulative(chance: Float, row: Int) -> torch.Tensor:
    """Cumulative chances of runs of equal row, row i from i to i + 1 in all: one ascending array."""
    begin = np.searchsorted(row, np.arange(row[-1] + 1))
    total = np.cumsum(chance)
    before = np.concatenate([[0.0], total])[begin]
    within = total - before[row]
    last = np.append(begin[1:], len(row)) - 1
    within[last] = 1.0
    return torch.tensor(np.minimum(within, 1.0) + row)


def _inverted(rows: torch.Tensor, row: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """One entry of each of these rows, drawn by inversion."""
    # Just below 1 the sum row + u may round to the next row.
    key = torch.minimum(row + uniform, torch.nextafter(row + 1.0, row.double()))
    return torch.searchsorted(rows, key, right=True)


def _summed(flow: torch.Tensor, step: Step) -> torch.Tensor:
    """Sums over edges of equal target: (policies, E) to (policies, targets)."""
    index = step.target.expand(flow.shape)
    return flow.new_zeros(len(flow), step.targets).scatter_add(1, index, flow)
