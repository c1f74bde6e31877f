"""Outputs of a next-token network that are drawn, not listed: for updates by Monte Carlo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from maxpo_lab.core.arrays import Float, Int64
from maxpo_lab.policies.rollouts import RolloutTokens

from .next_token import NextToken
from .sequence_task import SequenceTask, verified


@dataclass(frozen=True, eq=False)
class TokenRollouts:
    """A network on one prompt as a ``RolloutPolicy``: what is drawn are tokens, (B, T).

    Attributes
    ----------
    policy, task, prompt
        The network, the task, and the number of the prompt.
    theta
        Parameters of the policy that is updated, (d,).
    behaviour, proximal, reference
        Of the policies that draw, clip and penalise, (d,); None as in ``Outcomes``.
    """

    policy: NextToken
    task: SequenceTask
    prompt: int
    theta: torch.Tensor
    behaviour: torch.Tensor | None = None
    proximal: torch.Tensor | None = None
    reference: torch.Tensor | None = None

    @property
    def parameters(self) -> int:
        """How many numbers a score has, d."""
        return len(self.theta)

    def draw(self, rng: np.random.Generator, size: int) -> Int64:
        """Outputs of the policy that draws, from a torch generator that is seeded from ``rng``."""
        generator = torch.Generator(self.policy.device).manual_seed(int(rng.integers(2**62)))
        found = self.policy.write(self._drawing, self._contexts(size), generator=generator)
        return np.asarray(found.cpu().numpy())

    def rewards(self, drawn: Int64) -> Float:
        """The verifier's."""
        return verified(self.task, self.prompt, drawn)

    def tokens(self, drawn: Int64) -> RolloutTokens:
        """All T tokens of each."""
        proximal = self._drawing if self.proximal is None else self.proximal
        pairs = {"log_ratios": (self.theta, proximal), "behaviour_log_ratios": (proximal, self._drawing)}
        if self.reference is not None:
            pairs["reference_log_ratios"] = (self.theta, self.reference)
        every = {id(each): each for pair in pairs.values() for each in pair}
        logs = {place: self._log_probabilities(each, drawn) for place, each in every.items()}
        ratios = {name: logs[id(above)] - logs[id(below)] for name, (above, below) in pairs.items()}
        return RolloutTokens(
            np.ones(drawn.shape, dtype=bool), np.full(len(drawn), drawn.shape[1]), ratios, drawn.shape[1]
        )

    def weighted_scores(self, drawn: Int64, weights: Float, each: int) -> Float:
        """A backward pass for every sum, some of them vectorised: no score of a token is formed."""
        device = self.policy.device
        contexts = self._contexts(each)

        def total(theta: torch.Tensor, tokens: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
            return torch.sum(self.policy.token_log_probabilities(theta, contexts, tokens) * weights)

        sums = torch.func.vmap(torch.func.grad(total), in_dims=(None, 0, 0))
        shape = (len(drawn) // each, each, drawn.shape[1])
        tokens = torch.tensor(drawn, device=device).reshape(shape)
        given = torch.tensor(weights, device=device).reshape(shape)
        rows = max(1, self.policy.rows(self.theta) // each)
        parts = [
            sums(self.theta, tokens[start : start + rows], given[start : start + rows]).cpu()
            for start in range(0, shape[0], rows)
        ]
        return np.asarray(torch.cat(parts).numpy())

    @property
    def _drawing(self) -> torch.Tensor:
        return self.theta if self.behaviour is None else self.behaviour

    def _contexts(self, size: int) -> torch.Tensor:
        return self.policy.contexts[self.prompt].expand(size, -1)

    def _log_probabilities(self, theta: torch.Tensor, drawn: Int64) -> Float:
        tokens = torch.tensor(drawn, device=self.policy.device)
        with torch.no_grad():
            blocks = [
                self.policy.token_log_probabilities(theta, self._contexts(len(block)), block).cpu()
                for block in torch.split(tokens, self.policy.rows(theta))
            ]
        return np.asarray(torch.cat(blocks).numpy())
