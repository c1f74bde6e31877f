"""A next-token network as a world: the probabilities of all V^T outputs of every policy, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch

from envs.networks.next_token import NextToken
from envs.networks.sequence import SequencePolicy
from maxpo_lab.core.arrays import Float

from .protocol import Spread, Uniforms


@dataclass(frozen=True, eq=False)
class NetworkWorld:
    """A ``World`` of a ``SequencePolicy``. Rollouts are drawn from the enumerated outputs, by inversion.

    Attributes
    ----------
    values, optimum, start
        As in ``World``.
    policy
        The network.
    contexts, prefixes
        What it reads of every prompt and first T-1 tokens, (prompts V^(T-1), C) and (.., T-1).
    level
        Place in ``values`` of every prompt and output's reward, (prompts, V^T).
    """

    values: torch.Tensor
    optimum: float
    start: torch.Tensor
    policy: NextToken
    contexts: torch.Tensor
    prefixes: torch.Tensor
    level: torch.Tensor

    @classmethod
    def of(cls, specimen: SequencePolicy, start: Float) -> Self:
        """The world of a network and its task."""
        rewards = np.stack([specimen.rewards(prompt) for prompt in range(specimen.prompts)])
        values, level = np.unique(rewards, return_inverse=True)
        prefixes = torch.tensor(specimen.outputs()[:: specimen.task.vocabulary, :-1])
        contexts = specimen.policy.contexts.cpu()
        return cls(
            values=torch.tensor(values),
            optimum=float(rewards.max(axis=1).mean()),
            start=torch.tensor(start.ravel()),
            policy=specimen.policy,
            contexts=contexts.repeat_interleave(len(prefixes), dim=0),
            prefixes=prefixes.repeat(len(contexts), 1),
            level=torch.tensor(level.reshape(rewards.shape)),
        )

    def masses(self, theta: torch.Tensor) -> torch.Tensor:
        """Probabilities of the rewards, (arms, seeds, prompts, L). Cost: a pass over all prefixes each."""
        return self._by_reward(self._logs(theta).exp(), theta)

    def measured(self, theta: torch.Tensor) -> tuple[torch.Tensor, Spread]:
        """The masses, and how the outputs spread. Cost: as ``masses``."""
        logs = self._logs(theta)
        chance = logs.exp()
        correct = chance * (self.level == self.level.amax(dim=1, keepdim=True))
        mass = correct.sum(dim=-1)
        # No correct output has any probability left: 0/0, a NaN.
        among = (mass.log() - (correct * logs).sum(dim=-1) / mass).exp().mean(dim=-1)
        entropy = -(chance * logs).sum(dim=-1).mean(dim=-1)
        spread = Spread(entropy.reshape(theta.shape[:2]), among.reshape(theta.shape[:2]))
        return self._by_reward(chance, theta), spread

    def rollouts(self, theta: torch.Tensor, groups: int, n: int, uniforms: Uniforms) -> Outputs:
        """Groups of outputs: a number for the prompt of each group, then one per rollout."""
        arms, seeds = theta.shape[:2]
        leaf = theta.detach().requires_grad_()
        logs = self._logs(leaf)
        prompts = len(self.level)

        def common(numbers: torch.Tensor) -> torch.Tensor:
            return numbers.expand(arms, *numbers.shape).flatten(0, 1)

        drawn = (uniforms(groups) * prompts).long()
        prompt = common(drawn)
        edges = logs.detach().exp().cumsum(dim=-1)
        own = edges.gather(1, prompt[..., None].expand(*prompt.shape, edges.shape[-1]))[..., :-1].contiguous()
        output = torch.searchsorted(own, common(uniforms(groups, n)), right=True)
        place = prompt[..., None] * edges.shape[-1] + output
        rewards = self.values[self.level.flatten()[place]].reshape(arms, seeds, groups, n)
        return Outputs(rewards, drawn, place.flatten(1), leaf, logs, self)

    def token_logs(self, theta: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the tokens of all outputs, (policies, prompts V^T, T)."""
        contexts, prefixes = self.contexts, self.prefixes
        size = self.policy.vocabulary
        outputs = torch.cat(
            [
                prefixes.repeat_interleave(size, dim=0),
                torch.arange(size).repeat(len(prefixes))[:, None],
            ],
            dim=1,
        )
        read = contexts.repeat_interleave(size, dim=0)
        each = torch.func.vmap(lambda one: self.policy.token_log_probabilities(one, read, outputs))
        logs: torch.Tensor = each(theta.reshape(-1, theta.shape[-1]))
        return logs

    def _by_reward(self, chance: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
        """Probabilities (policies, prompts, V^T) of theta's outputs added up by reward, as ``masses``."""
        masses = chance.new_zeros(*chance.shape[:2], len(self.values))
        masses = masses.scatter_add(2, self.level.expand(chance.shape), chance)
        return masses.reshape(*theta.shape[:2], *masses.shape[1:])

    def _logs(self, theta: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of all outputs of every prompt, (policies, prompts, V^T)."""
        stack = theta.reshape(-1, theta.shape[-1])
        each = torch.func.vmap(lambda one: self.policy.continuations(one, self.contexts, self.prefixes))
        logs: torch.Tensor = each(stack)
        return logs.reshape(len(stack), *self.level.shape)


@dataclass(frozen=True, eq=False)
class Outputs:
    """Groups of outputs of every policy.

    ``prompts`` (seeds, groups) are numbers of the world's, with an axis of arms where these differ;
    ``place`` (policies, groups n) those of prompt and output in ``logs``.
    """

    rewards: torch.Tensor
    prompts: torch.Tensor
    place: torch.Tensor
    theta: torch.Tensor
    logs: torch.Tensor
    world: NetworkWorld

    def replaced(self, others: Self, arms: Sequence[int], where: torch.Tensor) -> Self:
        """With the groups of these arms that are so marked, (arms, seeds, groups), those of the others."""
        rewards, place = self.rewards.clone(), self.place.reshape(self.rewards.shape).clone()
        prompts = self.prompts.expand(rewards.shape[:-1]).clone()
        rewards[arms] = torch.where(where[..., None], others.rewards, rewards[arms])
        prompts[arms] = torch.where(where, others.prompts, prompts[arms])
        place[arms] = torch.where(where[..., None], others.place.reshape(others.rewards.shape), place[arms])
        return replace(self, rewards=rewards, prompts=prompts, place=place.reshape(self.place.shape))

    def gradient(self, advantages: torch.Tensor) -> torch.Tensor:
        """One backward pass, from the advantages added up by prompt and output. Once per batch."""
        weights = advantages.reshape(len(self.place), -1) / advantages[0, 0].numel()
        pull = torch.zeros_like(self.logs).flatten(1).scatter_add_(1, self.place, weights)
        return torch.autograd.grad(self.logs, self.theta, pull.reshape(self.logs.shape))[0]

    @property
    def mask(self) -> torch.Tensor:
        """All tokens of an output are there, (arms, seeds, groups, n, T)."""
        return torch.ones(*self.rewards.shape, self.world.policy.length, dtype=torch.bool)

    def tokens(self, theta: torch.Tensor) -> OutputsAt:
        """The same outputs under parameters theta (arms, seeds, d). Cost: a pass over all outputs each."""
        leaf = theta.detach().requires_grad_()
        table = self.world.token_logs(leaf)
        rows = self.place[..., None].expand(*self.place.shape, table.shape[-1])
        logs = table.detach().gather(1, rows).reshape(*self.rewards.shape, -1)
        return OutputsAt(logs, rows, leaf, table)


@dataclass(frozen=True, eq=False)
class OutputsAt:
    """Outputs under a stack of networks: ``rows`` (policies, groups n, T) of the ``table`` of all tokens."""

    logs: torch.Tensor
    rows: torch.Tensor
    theta: torch.Tensor
    table: torch.Tensor

    def gradient(self, weights: torch.Tensor) -> torch.Tensor:
        """One backward pass, from the weights added up by output and token. Once per batch."""
        pull = torch.zeros_like(self.table).scatter_add_(1, self.rows, weights.reshape(self.rows.shape))
        return torch.autograd.grad(self.table, self.theta, pull)[0]
