"""Prompts of a task of sums as questions to a language model: text in, text out, and a TRL reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from maxpo_lab.core.arguments import whole_number
from maxpo_lab.core.arrays import Float, Int64

from ..worlds.chain_sum import ChainSum
from .any_order import AnyOrderSum

#: What is asked: prompts of ``digits`` digits in base ``base``, answered in as many kinds of token.
Task: TypeAlias = ChainSum | AnyOrderSum


@dataclass(frozen=True, eq=False)
class Questions:
    """Some prompts of a task: a ``SequenceTask``, and what a language model reads and writes.

    Attributes
    ----------
    task
        The task.
    chosen
        Its prompts that are asked, by their place in ``task.prompt_tokens``.
    """

    task: Task
    chosen: Int64

    @classmethod
    def split(cls, task: Task, *, held_out: int, seed: int = 0) -> tuple[Self, Self]:
        """All prompts of a task in two disjoint parts, drawn by ``seed``: to train on, and ``held_out``."""
        count, every = whole_number(held_out, "held_out"), len(task.prompt_tokens)
        if not 1 <= count < every:
            raise ValueError(
                f"held_out={held_out}: the task has {every} prompts, so hold out 1 to {every - 1} of them"
            )
        order = np.random.default_rng(whole_number(seed, "seed")).permutation(every)
        return cls(task, np.sort(order[count:])), cls(task, np.sort(order[:count]))

    @property
    def vocabulary(self) -> int:
        """Digits."""
        return self.task.base

    @property
    def length(self) -> int:
        """Tokens of a completion."""
        return self.task.length

    @property
    def prompt_tokens(self) -> Int64:
        """The digits of each prompt, (prompts, digits)."""
        return np.asarray(self.task.prompt_tokens[self.chosen])

    @property
    def derivations(self) -> Int64:
        """Right outputs to each prompt, (prompts, M, length), of which a language model is taught.

        Of a ``ChainSum`` one, the right chain with its answer; of an ``AnyOrderSum`` all.
        """
        if isinstance(self.task, AnyOrderSum):
            return np.stack([self.task.right(prompt) for prompt in self.chosen.tolist()])
        sums = self.task.sums[self.chosen]
        return np.concatenate([sums, sums[:, -1:]], axis=1)[:, None]

    @property
    def texts(self) -> list[str]:
        """The prompts as text, ``"3 4 2"``."""
        return [" ".join(map(str, digits)) for digits in self.prompt_tokens.tolist()]

    def verify(self, prompt: int, tokens: npt.ArrayLike) -> Float:
        """Rewards (N,) of outputs ``tokens`` (N, length) to a prompt, 0 to ``len(chosen) - 1``."""
        return self.task.verify(int(self.chosen[prompt]), tokens)

    def reward(self, prompts: Sequence[str], completions: Sequence[str], **_columns: Any) -> list[float]:
        """A reward function of TRL: what the verifier gives to completions as text.

        A completion that is not ``length`` digits of the base scores 0. KeyError for an unknown prompt.
        """
        place = {text: index for index, text in enumerate(self.texts)}
        digits = {str(digit): digit for digit in range(self.vocabulary)}
        written: dict[int, dict[int, list[int]]] = {}  # by prompt, by place among the completions
        for at, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
            tokens = [digits.get(word, -1) for word in completion.split()]
            if len(tokens) == self.length and -1 not in tokens:
                written.setdefault(place[prompt], {})[at] = tokens
        rewards = np.zeros(len(completions))
        for asked, answers in written.items():
            rewards[[*answers]] = self.verify(asked, [*answers.values()])
        return rewards.tolist()
