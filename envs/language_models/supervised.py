"""A supervised start of a language model: cross-entropy of the right completions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import transformers

from maxpo_lab.core.arguments import whole_number

from .completions import log_probability
from .questions import Questions


def supervise(
    model: transformers.PreTrainedModel,
    questions: Questions,
    *,
    until: Callable[[int], bool],
    batch: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> int:
    """Adam on the cross-entropy of right completions, in place; returns the number of steps taken.

    ``until(step)`` is asked before each step, and ends the training when it is true. A step has ``batch``
    prompts with a derivation each, drawn with replacement.
    """
    right = questions.derivations
    prompts = np.broadcast_to(questions.prompt_tokens[:, None], (*right.shape[:2], questions.task.digits))
    pairs = np.concatenate([prompts, right], axis=2).reshape(-1, questions.task.digits + questions.length)
    tokens = torch.tensor(pairs, device=model.device)
    generator = torch.Generator().manual_seed(whole_number(seed, "seed"))
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    step = 0
    while not until(step):
        drawn = tokens[torch.randint(len(tokens), (batch,), generator=generator).to(tokens.device)]
        optimiser.zero_grad()
        loss = -log_probability(model, drawn, questions.task).mean() / questions.length
        torch.autograd.backward(loss)
        optimiser.step()
        step += 1
    return step
