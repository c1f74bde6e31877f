"""ChainSum: digits to be added up step by step, a reasoning task small enough to be known exactly."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from maxpo_lab.core.arguments import real_number, whole_number
from maxpo_lab.core.arrays import Bool, Float, Int64

from ..tabular.mdp import TabularMDP
from ..tabular.stepping import TabularEnv
from .words import as_words, draw_words

#: Rewards that are equal in real numbers, of an answer and of right steps, must be equal in floats.
_DECIMALS = 12
#: Prompts that are used at most where all are asked for.
MAX_PROMPTS = 100_000


class ChainSum(TabularEnv):
    """A prompt of digits, a chain of their running sums, an answer, and a verifier.

    ## Description
    The prompt has ``digits`` digits in base ``base``. A rollout writes after each digit the sum so far modulo
    base, then the answer, the sum of all: ``digits + 1`` tokens. The right chain of prompt 3 4 2 in base 5
    is 3 2 4 with answer 4. It is also a sequence task: ``vocabulary``, ``length`` (tokens written),
    ``prompt_tokens`` and ``verify`` give it to a network.

    ## Action Space
    ``Discrete(base)``: the token written.

    ## Observation Space
    ``Discrete(2 base + (digits - 1) base^2)``: the step, the digit that is to be added, and the token
    written before it. At the first step there is no token before: 0 to base - 1, the digit. At steps t = 1 to
    digits - 1 digit d after token w is ``base + ((t - 1) base + d) base + w``. At the answer there is no
    digit: the last base ones, in the order of w. ``seen`` (observations, 3) lists step, digit and token, -1
    for none. After the answer the observation stays as it was. Prompts share parameters.

    ## Rewards
    At the end, ``(1 - credit) verdict + credit right / digits``, to 12 decimals, in [0, 1]. The verdict is 1
    for the right answer (``verifier="answer"``), or for the right answer after a chain that is right in every
    step (``"chain"``), else 0; ``right`` counts the steps of the chain that equal the prompt's running sums.

    ## Episode End
    After ``digits + 1`` steps.

    ## Exact Oracle
    A softmax policy over tokens with logits ``theta`` (observations, base), zeros at the start: a verdict
    of 1 then has probability ``1 / base`` (``"answer"``) or ``base**-(digits + 1)`` (``"chain"``).
    ``levels(theta, prompt)`` is exact for each prompt; ``max_at_k`` and its gradient average over them.

    ## Arguments
    ``gymnasium.make("maxpo/ChainSum-v0", base=5, digits=3, prompts=None, credit=0.0, verifier="answer",
    seed=None)``

    ``prompts``: how many distinct ones are drawn (``seed``, 0 unless given, draws them); None for all
    base^digits, up to 100,000. They are in lexicographic order.

    ## References
    Wei et al., Chain-of-Thought Prompting Elicits Reasoning in Large Language Models, arXiv 2201.11903.
    Lightman et al., Let's Verify Step by Step, arXiv 2305.20050.

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        base: int = 5,
        digits: int = 3,
        prompts: int | None = None,
        credit: float = 0.0,
        verifier: Literal["answer", "chain"] = "answer",
        seed: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.vocabulary, self.digits = whole_number(base, "base"), whole_number(digits, "digits")
        if self.vocabulary < 2 or self.digits < 1:
            raise ValueError(f"base={base}, digits={digits}: need a base of at least 2 and 1 digit")
        if verifier not in ("answer", "chain"):
            raise ValueError(f"verifier={verifier!r}: must be 'answer' or 'chain'")
        if not 0 <= real_number(credit, "credit") < 1:
            raise ValueError(
                f"credit={credit}: the share of the reward for right steps must be at least 0 and below 1"
            )
        self.base, self.credit, self.verifier = self.vocabulary, float(credit), verifier
        self.length = self.digits + 1
        self.prompt_tokens = chosen_prompts(prompts, self.digits, self.base, seed)
        self.prompt_tokens.setflags(write=False)
        #: The right chain of each prompt, (prompts, digits); the answer is its last step.
        self.sums: Int64 = np.cumsum(self.prompt_tokens, axis=1) % self.base
        self.sums.setflags(write=False)
        self.seen = observations(self.base, self.digits)
        self.seen.setflags(write=False)
        #: Reward of each number of right steps, without and with a verdict of 1: (digits + 1, 2).
        share = np.arange(self.digits + 1)[:, None] / self.digits
        self._worth = np.round((1 - self.credit) * np.arange(2) + self.credit * share, _DECIMALS)
        super().__init__(self._process(), np.zeros((len(self.seen), self.base)), render_mode)

    def verify(self, prompt: int, tokens: npt.ArrayLike) -> Float:
        """Rewards (N,) of the chains and answers ``tokens`` (N, length) to a prompt."""
        sums = self.sums[self._one_prompt(prompt)]
        written = as_words(tokens, self.length, self.base, "tokens")
        right = (written[:, :-1] == sums).sum(axis=1)
        verdict = written[:, -1] == sums[-1]
        if self.verifier == "chain":
            verdict &= right == self.digits
        return np.asarray(self._worth[right, verdict.astype(np.intp)])

    def _process(self) -> TabularMDP:
        """States are a prompt at its first step, or with a later step, the token before and what was right.

        What was right is kept no further than the reward needs: how many steps, whether all, or nothing.
        """
        base, digits, prompts = self.base, self.digits, len(self.prompt_tokens)
        flag = self.verifier == "chain" and not self.credit
        kept = digits + 1 if self.credit else 1 + flag
        own = 1 + digits * base * kept  # states of a prompt

        def state(prompt: Int64, step: Int64 | int, token: Int64, right: Int64) -> Int64:
            return np.asarray(prompt * own + 1 + ((step - 1) * base + token) * kept + right)

        def after(right: Int64, correct: Bool) -> Int64:
            if self.credit:
                return np.asarray(right + correct)
            return np.asarray(right * correct if flag else right)

        # The first step has no token before it, and so far all (1 of 0, 1) or none (0) is right.
        prompt, action = (index.ravel() for index in np.indices((prompts, base)))
        before = np.full(len(prompt), int(flag))
        first = after(before, action == self.sums[prompt, 0])
        parts = [(prompt * own, action, state(prompt, 1, action, first), np.zeros(len(prompt)))]
        for step in range(1, digits + 1):
            # What a chain of `step` steps can have got right, and no more.
            some = min(step + 1, kept)
            prompt, token, right, action = (
                index.ravel() for index in np.indices((prompts, base, some, base))
            )
            source = state(prompt, step, token, right)
            correct = action == self.sums[prompt, min(step, digits - 1)]
            if step < digits:
                target = state(prompt, step + 1, action, after(right, correct))
                parts.append((source, action, target, np.zeros(len(source))))
                continue
            if self.verifier == "chain":
                correct &= right == kept - 1
            reward = self._worth[right if self.credit else 0, correct.astype(np.intp)]
            parts.append((source, action, source, reward))
        source, action, target, reward = (np.concatenate(part) for part in zip(*parts, strict=True))
        return TabularMDP(
            source=source,
            action=action,
            target=target,
            probability=np.ones(len(source)),
            reward=reward,
            terminated=source == target,
            observation=self._seen_in_states(kept),
            starts=tuple({prompt * own: 1.0} for prompt in range(prompts)),
            horizon=digits + 1,
            observations=len(self.seen),
            actions=base,
        )

    def _seen_in_states(self, kept: int) -> Int64:
        """The observation of each state, (states,), in the order of ``_process``."""
        base, digits = self.base, self.digits
        prompt, step, token, _ = np.indices((len(self.prompt_tokens), digits, base, kept))
        step += 1
        digit = self.prompt_tokens[prompt, np.minimum(step, digits - 1)]
        index = base + ((step - 1) * base + np.where(step < digits, digit, 0)) * base + token
        first = self.prompt_tokens[:, :1]
        return np.asarray(np.column_stack([first, index.reshape(len(first), -1)]).ravel())


def observations(base: int, digits: int) -> Int64:
    """Step, digit and token before it of each observation, -1 where there is none: (observations, 3)."""
    none, token = np.full(base, -1), np.arange(base)
    step, digit, before = (index.ravel() for index in np.indices((digits - 1, base, base)))
    return np.concatenate(
        [
            np.column_stack([np.zeros(base, dtype=np.int64), token, none]),
            np.column_stack([step + 1, digit, before]),
            np.column_stack([np.full(base, digits), none, token]),
        ]
    )


def chosen_prompts(prompts: int | None, digits: int, base: int, seed: int | None) -> Int64:
    """The prompts (prompts, digits) in lexicographic order: as many as asked for, drawn, or all; checked."""
    if prompts is None:
        if seed is not None:
            raise ValueError(f"seed={seed}: nothing is drawn where all prompts are used; leave it out")
        if base**digits > MAX_PROMPTS:
            raise ValueError(
                f"base={base}, digits={digits}: there are {base}^{digits} = {base**digits:,} prompts, more "
                f"than {MAX_PROMPTS:,}: say how many to draw, e.g. prompts=100"
            )
        return np.asarray(np.indices((base,) * digits).reshape(digits, -1).T, dtype=np.int64)
    count, every = whole_number(prompts, "prompts"), base**digits
    if not 1 <= count <= every:
        raise ValueError(
            f"prompts={count}: there are {base}^{digits} = {every:,}: take 1 to {every:,} of them, or None "
            f"for all"
        )
    return draw_words(count, digits, base, seed)
