"""A next-token network as a policy over whole outputs: what it writes, and with which probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch

from maxpo_lab.core.devices import as_device

from .autograd_scores import BLOCK, AutogradScores, saved_bytes
from .sequence_task import SequenceTask, read_first
from .torch_policy import FlatModule, draw


@dataclass(frozen=True, eq=False)
class NextToken:
    """A policy that writes token after token with the probabilities of a network's softmax.

    The network reads the prompt, or the start token V where the prompt is empty, and then the tokens that
    have been written, 0..V-1. From tokens (B, S) it gives logits (B, S, V); position t looks at no later
    token.

    Attributes
    ----------
    function
        The network.
    contexts
        What it reads first, int64, shape (prompts, C).
    vocabulary, length
        V and T.
    """

    function: FlatModule
    contexts: torch.Tensor
    vocabulary: int
    length: int

    @classmethod
    def of(cls, network: torch.nn.Module, task: SequenceTask, device: torch.device | str = "cpu") -> Self:
        """The policy of a network on a task; ValueError where they do not fit each other."""
        device = as_device(device)
        contexts = torch.tensor(read_first(task), device=device)
        policy = cls(FlatModule.of(network, device), contexts, int(task.vocabulary), int(task.length))
        policy._check_network()
        return policy

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.contexts.device

    def rows(self, theta: torch.Tensor) -> int:
        """Rollouts in one pass of at most ``BLOCK`` bytes."""
        one = torch.zeros(1, self.length, dtype=torch.int64, device=self.device)
        return max(
            1, BLOCK[self.device.type] // saved_bytes(self.log_probability, theta, self.contexts[:1], one)
        )

    def log_probability(
        self, theta: torch.Tensor, contexts: torch.Tensor, tokens: torch.Tensor
    ) -> torch.Tensor:
        """``log pi(output | prompt)``: contexts (B, C) and tokens (B, T) to (B,)."""
        steps = self._steps(theta, contexts, tokens[:, :-1])
        return steps.gather(2, tokens[..., None]).sum(dim=(1, 2))

    def token_log_probabilities(
        self, theta: torch.Tensor, contexts: torch.Tensor, tokens: torch.Tensor
    ) -> torch.Tensor:
        """``log pi(o_t | prompt, o_<t)``: contexts (B, C) and tokens (B, T) to (B, T)."""
        steps = self._steps(theta, contexts, tokens[:, :-1])
        return steps.gather(2, tokens[..., None]).squeeze(2)

    def continuations(
        self, theta: torch.Tensor, contexts: torch.Tensor, prefixes: torch.Tensor
    ) -> torch.Tensor:
        """``log pi`` of all outputs with given first T-1 tokens: prefixes (B, T-1) to (B, V).

        Outputs that differ in their last token alone share one pass of the network.
        """
        steps = self._steps(theta, contexts, prefixes)
        written = steps[:, :-1].gather(2, prefixes[..., None]).sum(dim=(1, 2))
        return written[:, None] + steps[:, -1]

    def write(
        self, theta: torch.Tensor, contexts: torch.Tensor, *, generator: torch.Generator
    ) -> torch.Tensor:
        """One output for each context, (B, C) to tokens (B, T), by inversion, a uniform number per token."""
        shape = (len(contexts), self.length)
        uniform = torch.rand(shape, dtype=torch.float64, device=self.device, generator=generator)
        rows = self.rows(theta)
        with torch.no_grad():
            parts = [
                self._invert(theta, contexts[i : i + rows], uniform[i : i + rows])
                for i in range(0, len(contexts), rows)
            ]
        return torch.cat(parts)

    def scores(self, theta: torch.Tensor, contexts: torch.Tensor, tokens: torch.Tensor) -> AutogradScores:
        """Scores of rollouts: contexts (groups, n, C), tokens (groups, n, T)."""
        return AutogradScores(self.log_probability, theta, (contexts, tokens))

    def _invert(self, theta: torch.Tensor, contexts: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        read = contexts
        for step in range(self.length):
            token = draw(self.function(theta, read)[:, -1], uniform[:, step])
            read = torch.cat([read, token[:, None]], dim=1)
        return read[:, contexts.shape[1] :]

    def _steps(self, theta: torch.Tensor, contexts: torch.Tensor, written: torch.Tensor) -> torch.Tensor:
        """Log-probabilities (B, S + 1, V) of the first token and of the one after each of S written ones."""
        logits = self.function(theta, torch.cat([contexts, written], dim=1))
        return torch.log_softmax(logits[:, contexts.shape[1] - 1 :], dim=-1)

    def _check_network(self) -> None:
        """Refuse logits of another shape, and a network where changing a token changes earlier logits."""
        theta, size = self.function.theta(), self.contexts.shape[1] + self.length - 1
        # Row t differs from the last row in token t alone.
        tokens = torch.zeros(size + 1, size, dtype=torch.int64, device=self.device)
        tokens.diagonal().fill_(1)
        with torch.no_grad():
            logits = self.function(theta, tokens)
        name = type(self.function.module).__name__
        expected = (*tokens.shape, self.vocabulary)
        if tuple(logits.shape) != expected:
            raise ValueError(
                f"{name} gives logits of shape {tuple(logits.shape)} for tokens of shape "
                f"{tuple(tokens.shape)}: expected {expected}, the logits of the token after each position"
            )
        if not torch.isfinite(logits).all():
            raise ValueError(f"{name} gives logits that are not finite")
        moved = (logits[:-1] - logits[-1]).abs().amax(dim=-1).tril(-1).max()
        # The same sums in another row of the batch: equal to rounding.
        if moved > 1e-10 * logits.abs().max():
            raise ValueError(
                f"{name} is not causal: changing a token moves the logits of earlier positions by "
                f"{moved:.3g}; mask what comes later"
            )
