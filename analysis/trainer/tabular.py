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

from .episodes import Episodes, Moves, cumulative, draw, inverted
from .protocol import Spread, Uniforms


@dataclass(frozen=True, eq=False)
class Step:
    """One step of the graph: edges sorted by node and action, and the same for sampling, ``moves``.

    ``target`` counts the ends first, one per prompt and reward, then the nodes of the next step.
    """

    source: torch.Tensor
    decision: torch.Tensor
    probability: torch.Tensor
    target: torch.Tensor
    targets: int
    moves: Moves


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
        The same as ``cumulative`` rows, one per prompt; None where every prompt begins in one node.
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
    begins: Float | None
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
            begins=None if len(prompt) == len(sizes) else cumulative(beginning, prompt),
            steps=tuple(_merged(unrolled, values, (mdp.observations, mdp.actions))),
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

    def measured(self, theta: torch.Tensor) -> tuple[torch.Tensor, Spread]:
        """The masses, and how the trajectories spread. Cost O(edges) per policy."""
        mass, surprise = self._walk(theta, entropy=True)
        best, own = mass[:, self.best], surprise[:, self.best]
        spread = -surprise.sum(dim=-1) / self.prompts
        # No correct outcome has any probability left: 0/0, a NaN.
        among = (best.log() - own / best).exp().mean(dim=-1)
        masses = mass.reshape(*theta.shape[:2], self.prompts, len(self.values))
        return masses, Spread(spread.reshape(theta.shape[:2]), among.reshape(theta.shape[:2]))

    def rollouts(self, theta: torch.Tensor, groups: int, n: int, uniforms: Uniforms) -> Episodes:
        """Groups of episodes: a number for the prompt of each group, then one per rollout and choice."""
        policy = torch.softmax(theta.reshape(*theta.shape[:2], self.observations, self.actions), dim=-1)
        prompts = (uniforms(groups) * self.prompts).long()
        node = prompts.repeat_interleave(n, dim=1).numpy()
        if self.begins is not None:
            node = inverted(self.begins, node, uniforms(groups * n))
        moves = [step.moves for step in self.steps]
        place, decisions = draw(moves, policy, node, len(self.best) * len(self.values), uniforms)
        rewards = self.values[torch.from_numpy(place % len(self.values))]
        rewards = rewards.reshape(*rewards.shape[:2], groups, n)
        return Episodes(rewards, prompts, torch.from_numpy(decisions), policy)

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
            log = logs.index_select(1, step.decision) + step.probability.log()
            chance = log.exp()
            flow = chance * m.index_select(1, step.source)
            moved = _summed(flow, step)
            mass, m = mass + moved[:, :ends], moved[:, ends:]
            if entropy:
                carried = _summed(chance * v.index_select(1, step.source) + flow * log, step)
                surprise, v = surprise + carried[:, :ends], carried[:, ends:]
        return mass, surprise if entropy else mass


def _merged(unrolled: list[Unrolled], values: Float, table: tuple[int, int]) -> Iterator[Step]:
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
        layer = Layer(
            observation=np.concatenate([layer.observation for _, _, layer in layers]),
            source=source,
            decision=decision,
            probability=probability,
            target=target,
            targets=there,
        )
        order = np.lexsort((decision, source))
        yield Step(
            source=torch.tensor(source[order]),
            decision=torch.tensor(decision[order]),
            probability=torch.tensor(probability[order]),
            target=torch.tensor(target[order]),
            targets=there,
            moves=Moves.of(layer, len(unrolled) * levels, table),
        )


def _summed(flow: torch.Tensor, step: Step) -> torch.Tensor:
    """Sums over edges of equal target: (policies, E) to (policies, targets)."""
    index = step.target.expand(flow.shape)
    return flow.new_zeros(len(flow), step.targets).scatter_add(1, index, flow)
