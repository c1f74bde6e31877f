"""Exact probabilities of a language model's completions: of given ones, and of success."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import transformers

from maxpo_lab.core.arrays import Float

from ..worlds.chain_sum import ChainSum
from .questions import Questions

#: Rows of a forward pass.
_ROWS = 8192


def success(model: transformers.PreTrainedModel, questions: Questions) -> Float:
    """Exact pass@1 of each prompt, (prompts,), at temperature 1.

    With the verifier ``"chain"`` one completion is right: its probability. With ``"answer"`` the sum over
    all base^digits chains, each with the right answer after it.

    The forward pass has the model's precision, the rest is float64. Raises ValueError for a task with credit
    for right steps, whose rewards are not 0 or 1. Cost: a row of ``digits + length`` tokens per prompt, or
    base^digits rows of one token and as many keys and values.
    """
    task = questions.task
    if task.credit:
        raise ValueError(f"credit={task.credit}: pass@1 needs rewards of 0 and 1, credit=0")
    prompts, right = torch.tensor(questions.prompt_tokens), torch.tensor(questions.right)
    with torch.no_grad(), _evaluating(model):
        if task.verifier == "chain":
            return np.asarray(log_probability(model, torch.cat([prompts, right], dim=1), task).exp())
        size = max(1, _ROWS // task.base**task.digits)
        parts = [slice(first, first + size) for first in range(0, len(prompts), size)]
        return np.concatenate([_over_chains(model, prompts[part], right[part, -1], task) for part in parts])


@contextmanager
def _evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode for a while: in training a model that recomputes activations keeps no cache."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _over_chains(
    model: transformers.PreTrainedModel, prompts: torch.Tensor, answers: torch.Tensor, task: ChainSum
) -> Float:
    """Probability (B,) of each prompt's answer: the tree of all chains, one level per pass."""
    cache = transformers.DynamicCache(config=model.config)
    read, logs = prompts, torch.zeros(len(prompts), dtype=torch.float64)
    digits = torch.arange(task.base)
    for step in range(task.length):
        logits = model(input_ids=read, past_key_values=cache, use_cache=True).logits[:, -1]
        after = torch.log_softmax(logits.double(), dim=-1)
        if step == task.digits:
            chains = len(logs) // len(answers)
            last = after.gather(1, answers.repeat_interleave(chains)[:, None])[:, 0]
            return np.asarray((logs + last).exp().reshape(-1, chains).sum(dim=1))
        logs = (logs[:, None] + after).reshape(-1)
        cache.batch_repeat_interleave(task.base)
        read = digits.repeat(len(logs) // task.base)[:, None]
    raise AssertionError("a task has at least one digit")


def log_probability(
    model: transformers.PreTrainedModel, tokens: torch.Tensor, task: ChainSum
) -> torch.Tensor:
    """``log pi(completion | prompt)`` of prompts with completions, (B, digits + length) to float64 (B,)."""
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits[:, task.digits - 1 :]
    steps = torch.log_softmax(logits.double(), dim=-1)
    return steps.gather(2, tokens[:, task.digits :, None]).sum(dim=(1, 2))
