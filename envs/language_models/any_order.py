"""AnyOrderSum: digits to be added up in any order, a task on which many derivations lead to one answer."""

from __future__ import annotations

from itertools import permutations
from math import factorial

import numpy as np
import numpy.typing as npt

from maxpo_lab.core.arguments import whole_number
from maxpo_lab.core.arrays import Float, Int64

from ..worlds.chain_sum import chosen_prompts
from ..worlds.words import as_words


class AnyOrderSum:
    """A prompt of digits, a chain of running sums that takes them in any order, and a verifier of each step.

    The prompt has ``digits`` digits in base ``base``. An output is the sums so far modulo base after each of
    them has been added, in whatever order: ``digits`` tokens, the last of which is the answer. The verifier
    pays 1 if every step adds a digit of the prompt that is not used up, else 0: 3 4 2 has the derivations
    3 2 4, 3 0 4, 4 2 4, 4 1 4, 2 0 4 and 2 1 4 in base 5. Two orders give one chain exactly where they swap
    equal digits, so a prompt in which digit v stands ``m_v`` times has ``digits! / prod_v m_v!`` right
    outputs of ``base**digits``. All end in one answer, and none is right by its answer alone. It is a
    ``SequenceTask``.

    Attributes
    ----------
    base, digits
        The base, and the digits of a prompt.
    vocabulary, length
        Tokens to choose from, and tokens written: ``base`` and ``digits``.
    prompt_tokens
        The prompts in lexicographic order, (prompts, digits).

    Parameters
    ----------
    derivations
        Keep the prompts with exactly this many right outputs: in base 5 with 5 digits 1, 5, 10, 20, 30, 60 or
        120. ValueError where no prompt has as many.
    """

    def __init__(self, base: int = 5, digits: int = 5, *, derivations: int = 60) -> None:
        self.base, self.digits = whole_number(base, "base"), whole_number(digits, "digits")
        if self.base < 2 or self.digits < 1:
            raise ValueError(f"base={base}, digits={digits}: need a base of at least 2 and 1 digit")
        self.derivations = whole_number(derivations, "derivations")
        self.vocabulary, self.length = self.base, self.digits
        every = chosen_prompts(None, self.digits, self.base, None)
        times = (every[..., None] == np.arange(self.base)).sum(axis=1)
        found = factorial(self.digits) // np.vectorize(factorial)(times).prod(axis=1)
        if self.derivations not in found:
            raise ValueError(
                f"derivations={derivations}: with base={base} and digits={digits} prompts have "
                f"{', '.join(map(str, np.unique(found)))}: choose one of these"
            )
        self.prompt_tokens: Int64 = every[found == self.derivations]
        self.prompt_tokens.setflags(write=False)

    def verify(self, prompt: int, tokens: npt.ArrayLike) -> Float:
        """Rewards (N,) of the outputs ``tokens`` (N, length) to a prompt."""
        written = as_words(tokens, self.length, self.base, "tokens")
        added = np.diff(written, axis=1, prepend=0) % self.base
        given = np.sort(self.prompt_tokens[prompt])
        return np.asarray((np.sort(added, axis=1) == given).all(axis=1), dtype=np.float64)

    def right(self, prompt: int) -> Int64:
        """The right outputs to a prompt in lexicographic order of what they add, (derivations, length)."""
        orders = sorted({*permutations(self.prompt_tokens[prompt].tolist())})
        return np.asarray(np.cumsum(np.array(orders, dtype=np.int64), axis=1) % self.base)
