"""What a sequence task is: prompts in tokens, and a verifier of what is written after them."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from maxpo_lab.core.arrays import Float, Int64


class SequenceTask(Protocol):
    """A task whose rollouts are T tokens of a vocabulary of V, written after a prompt.

    ``vocabulary`` is V, ``length`` T, and ``prompt_tokens`` an integer array (prompts, T0) of tokens
    0..V-1, where T0 may be 0.
    """

    @property
    def vocabulary(self) -> int: ...  # noqa: D102
    @property
    def length(self) -> int: ...  # noqa: D102
    @property
    def prompt_tokens(self) -> Int64: ...  # noqa: D102

    def verify(self, prompt: int, tokens: Int64, /) -> Float:
        """Rewards (N,) of the outputs ``tokens`` (N, T) to a prompt."""
        ...


def read_first(task: SequenceTask) -> Int64:
    """What a network reads before it writes, (prompts, C): the prompts, checked, or the start token."""
    prompts = np.asarray(task.prompt_tokens)
    if prompts.ndim != 2 or prompts.dtype.kind not in "iu" or not len(prompts):
        raise ValueError(
            f"prompt_tokens have shape {prompts.shape} and dtype {prompts.dtype}: integers (prompts, T0) "
            f"are needed"
        )
    if prompts.size and not 0 <= prompts.min() <= prompts.max() < task.vocabulary:
        raise ValueError(f"prompt_tokens must be tokens, 0 to {task.vocabulary - 1}")
    if not prompts.shape[1]:
        prompts = np.full((len(prompts), 1), task.vocabulary)
    return prompts.astype(np.int64)


def verified(task: SequenceTask, prompt: int, tokens: Int64) -> Float:
    """The task's rewards of outputs (N, T), checked to be finite and one per output."""
    rewards = np.asarray(task.verify(prompt, tokens), dtype=np.float64)
    if rewards.shape != (len(tokens),) or not np.isfinite(rewards).all():
        raise ValueError(
            f"verify gave rewards of shape {rewards.shape} for {len(tokens)} outputs: one finite reward per "
            f"output is needed"
        )
    return rewards
