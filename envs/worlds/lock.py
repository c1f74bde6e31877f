"""CombinationLock: choices in a row that are right together or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from maxpo_lab.core.arguments import whole_number
from maxpo_lab.core.arrays import Float, Int64

from ..tabular.mdp import TabularMDP
from ..tabular.stepping import TabularEnv
from .words import as_words, draw_words

Node = tuple[int, ...] | float


class CombinationLock(TabularEnv):
    """A lock of ``length`` wheels with ``choices`` positions each, opened by one code or several.

    ## Description
    The least world with credit to assign over time: all choices but those on the way to a code lead to
    failure, and the policy does not see which ones it has made. It is also a sequence task: ``vocabulary``,
    ``length``, ``prompt_tokens`` and ``verify`` give its words to a network.

    ## Action Space
    ``Discrete(choices)``: the position of the wheel that is turned.

    ## Observation Space
    ``Discrete(length)``: the wheel to be turned, and at the end still the last one. There is one prompt.

    ## Rewards
    At the end, 1 for a code. For all else 0 (``credit="none"``), or j / length where the longest beginning
    shared with a code has j choices (``"prefix"``).

    ## Episode End
    After ``length`` steps.

    ## Exact Oracle
    A softmax policy over the choices at each wheel, with logits ``theta`` (length, choices), zeros at the
    start: a code is found with probability ``codes / choices**length``. States are the nodes of the codes'
    trie and, next to these, where a word has left it.

    ## Arguments
    ``gymnasium.make("maxpo/CombinationLock-v0", length=4, choices=4, codes=1, credit="none", seed=None)``

    ``codes``: how many distinct codes are drawn (``seed``, 0 unless given, draws them), or the codes
    themselves, e.g. ``[[0, 1, 2, 3], [0, 1, 3, 3]]``. The attribute ``codes`` holds them, (codes, length), in
    lexicographic order.

    ## References
    Osband et al., Deep Exploration via Randomized Value Functions, arXiv 1703.07608. Du et al., Provably
    Efficient RL with Rich Observations via Latent State Decoding, arXiv 1901.09018.

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        length: int = 4,
        choices: int = 4,
        codes: int | Sequence[Sequence[int]] | Int64 = 1,
        credit: Literal["none", "prefix"] = "none",
        seed: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        if credit not in ("none", "prefix"):
            raise ValueError(f"credit={credit!r}: must be 'none' or 'prefix'")
        self.length, self.vocabulary = whole_number(length, "length"), whole_number(choices, "choices")
        if self.length < 1 or self.vocabulary < 2:
            raise ValueError(
                f"length={length}, choices={choices}: need at least 1 wheel and 2 positions to choose from"
            )
        self.codes = accepted_codes(codes, self.length, self.vocabulary, seed)
        self.codes.setflags(write=False)
        self.credit = credit
        self.prompt_tokens: Int64 = np.zeros((1, 0), dtype=np.int64)
        #: Reward of a word that is right up to its first j choices, j = 0 to length.
        self._worth = np.zeros(self.length + 1)
        if credit == "prefix":
            self._worth = np.arange(self.length + 1) / self.length
        self._worth[-1] = 1.0
        mdp = _lock(self.codes, self.vocabulary, self._worth)
        super().__init__(mdp, np.zeros((self.length, self.vocabulary)), render_mode)

    def verify(self, prompt: int, tokens: npt.ArrayLike) -> Float:
        """Rewards (N,) of the words ``tokens`` (N, length). Cost O(N x codes x length)."""
        self._one_prompt(prompt)
        words = as_words(tokens, self.length, self.vocabulary, "tokens")
        right = np.zeros(len(words), dtype=np.intp)
        for code in self.codes:
            np.maximum(right, np.logical_and.accumulate(words == code, axis=1).sum(axis=1), out=right)
        return np.asarray(self._worth[right])


def accepted_codes(
    codes: int | Sequence[Sequence[int]] | Int64, length: int, choices: int, seed: int | None
) -> Int64:
    """The codes of a lock in lexicographic order, (codes, length): drawn, or as given; checked."""
    words = choices**length
    if isinstance(codes, (int, np.integer)):
        count = whole_number(codes, "codes")
        if not 1 <= count < words:
            raise ValueError(
                f"codes={count}, choices={choices}, length={length}: need 1 <= codes < {choices}^{length} = "
                f"{words:,}, so that a word can be right or wrong"
            )
        return draw_words(count, length, choices, seed)
    if not hasattr(codes, "__len__"):
        raise TypeError(
            f"codes={codes!r} is a {type(codes).__name__}: it must be how many to draw, e.g. codes=2, or the "
            f"codes themselves, a row each"
        )
    if seed is not None:
        raise ValueError(f"seed={seed}: nothing is drawn where the codes are given; leave it out")
    given = as_words(codes, length, choices, "codes")
    distinct = np.unique(given, axis=0)
    if len(distinct) < len(given):
        raise ValueError(f"codes {given.tolist()} repeat one another: give each of them once")
    if not 1 <= len(given) < words:
        raise ValueError(
            f"{len(given)} codes are given: need at least 1 and less than {choices}^{length} = {words:,}, so "
            f"that a word can be right or wrong"
        )
    return distinct


def _lock(codes: Int64, choices: int, worth: Float) -> TabularMDP:
    """The process of a lock; ``worth`` (length + 1,) of each number of first choices that are right.

    A state is a wheel with the beginning of a code, or with what a word that has gone wrong will be worth.
    """
    length = codes.shape[1]
    edges: list[tuple[int, int, int, float, bool]] = []
    observation = [0]
    layer: dict[Node, int] = {(): 0}
    for step in range(length):
        beginnings = {tuple(code) for code in codes[:, : step + 1].tolist()}
        following: dict[Node, int] = {}
        for node, state in layer.items():
            for choice in range(choices):
                longer: Node = (*node, choice) if isinstance(node, tuple) else node
                if isinstance(longer, tuple) and longer not in beginnings:
                    longer = float(worth[step])
                if step == length - 1:
                    edges.append((state, choice, state, 1.0 if isinstance(longer, tuple) else longer, True))
                    continue
                if longer not in following:
                    following[longer] = len(observation)
                    observation.append(step + 1)
                edges.append((state, choice, following[longer], 0.0, False))
        layer = following
    source, action, target, reward, terminated = zip(*edges, strict=True)
    return TabularMDP(
        source=np.array(source),
        action=np.array(action),
        target=np.array(target),
        probability=np.ones(len(edges)),
        reward=np.array(reward),
        terminated=np.array(terminated),
        observation=np.array(observation),
        starts=({0: 1.0},),
        horizon=length,
        observations=length,
        actions=choices,
    )
