"""Groups of outputs of a next-token policy, with the rewards of a task."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from maxpo_lab.core.devices import check_generator

from .autograd_scores import AutogradScores
from .next_token import NextToken
from .sequence_task import SequenceTask, verified


@dataclass(frozen=True, eq=False)
class SequenceSampler:
    """Groups of i.i.d. outputs of a next-token policy.

    Called as ``sampler(groups, n, generator=...)``; returns rewards, float64 (groups, n), and their
    ``AutogradScores``. The generator must live on the sampler's device.

    Attributes
    ----------
    policy, theta
        The policy and its parameters (d,).
    task
        What gives the rewards.
    prompt
        The prompt of all groups; None: each group draws one, all alike.
    """

    policy: NextToken
    theta: torch.Tensor
    task: SequenceTask
    prompt: int | None

    @property
    def device(self) -> torch.device:
        """Where rollouts are drawn."""
        return self.policy.device

    @property
    def parameters(self) -> int:
        """d, the number of parameters."""
        return len(self.theta)

    def __call__(
        self, groups: int, n: int, *, generator: torch.Generator
    ) -> tuple[torch.Tensor, AutogradScores]:
        """Draw ``groups`` groups of n outputs."""
        check_generator(generator, self.device)
        contexts = self.policy.contexts
        if self.prompt is None:
            prompts = torch.randint(len(contexts), (groups,), device=self.device, generator=generator)
        else:
            prompts = torch.full((groups,), self.prompt, device=self.device)
        read = contexts[prompts][:, None].expand(-1, n, -1)
        written = self.policy.write(self.theta, read.flatten(0, 1), generator=generator)
        tokens, drawn = written.cpu().numpy().reshape(groups, n, -1), prompts.cpu().numpy()
        rewards = np.empty((groups, n))
        for prompt in np.unique(drawn):
            own = tokens[drawn == prompt]
            rewards[drawn == prompt] = verified(
                self.task, int(prompt), own.reshape(-1, own.shape[-1])
            ).reshape(-1, n)
        scores = self.policy.scores(self.theta, read, written.reshape(groups, n, -1))
        return torch.tensor(rewards, device=self.device), scores
