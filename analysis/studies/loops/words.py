"""A policy that writes words: three tokens, one of them the end, logits of their own after every prefix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from scipy.optimize import brentq

import maxpo_lab as ml
from maxpo_lab.core.arrays import Float, Int

END, TOKENS = 0, 3
#: How right answers are spread over lengths: a share of the words of each length is right.
Lengths = str
RIGHT: dict[Lengths, Callable[[Float], Float]] = {
    "right as long as wrong": lambda length: np.full(len(length), 0.25),
    "right short": lambda length: np.where(length <= (length.max() + 1) / 2, 0.5, 0.05),
    "right long": lambda length: np.where(length > (length.max() + 1) / 2, 0.5, 0.05),
}


@dataclass(frozen=True, eq=False)
class Words:
    """All words of at most ``longest`` tokens, the end one of them, and which are right.

    Attributes
    ----------
    prefix, token
        Row of the table of logits that each token is drawn from, and the token, (M, T).
    lengths, rewards
        (M,).
    prefixes
        Rows of the table.
    """

    prefix: Int
    token: Int
    lengths: Int
    rewards: Float
    prefixes: int

    def outcomes(self, theta: Float, *, behaviour: Float | None = None) -> ml.Outcomes:
        """The policy with logits (prefixes, 3), drawn by the one at ``behaviour``, its reference too."""
        policy = _softmax(theta)
        d = theta.size
        own = self.prefix * TOKENS + self.token
        scores = np.zeros((*self.prefix.shape, d))
        rows = np.arange(TOKENS) + self.prefix[..., None] * TOKENS
        np.put_along_axis(scores, rows, -policy[self.prefix], axis=-1)
        words, places = np.indices(own.shape)
        scores[words, places, own] += 1.0
        there = np.arange(own.shape[1]) < self.lengths[:, None]

        def chances(table: Float) -> Float:
            return np.asarray(np.where(there, table.ravel()[own], 1.0))

        old = None if behaviour is None else chances(_softmax(behaviour))
        return ml.Outcomes(
            chances(policy),
            scores * there[..., None],
            self.rewards,
            lengths=self.lengths,
            behaviour=old,
            reference=chances(policy) if old is None else old,
        )

    def start(self, success: float) -> Float:
        """Logits on the way of steepest ascent of the success rate from 0 where it is this."""
        zero = np.zeros((self.prefixes, TOKENS))
        levels = self.outcomes(zero).levels(covariances=None)
        way = ml.max_at_k_gradient(levels, 1).reshape(zero.shape)

        def off(step: float) -> float:
            chances = self.outcomes(step * way).levels(covariances=None)
            return ml.max_at_k(chances, 1) - success

        return np.asarray(brentq(off, -200.0, 200.0, xtol=1e-12) * way)

    def lagged(self, success: float, divergence: float, k: int) -> ml.Outcomes:
        """After a step along the gradient of max@K, with KL(old || new) as asked; the old policy draws."""
        old = self.start(success)
        if not divergence:
            return self.outcomes(old, behaviour=old)
        way = ml.max_at_k_gradient(self.outcomes(old).levels(covariances=None), k).reshape(old.shape)

        def moved(step: float) -> ml.Outcomes:
            return self.outcomes(old + step * way, behaviour=old)

        far = 1.0
        while moved(far).divergence < divergence:
            far *= 2
        return moved(brentq(lambda step: moved(step).divergence - divergence, 0.0, far, xtol=1e-12))


@lru_cache(16)
def words(longest: int, lengths: Lengths) -> Words:
    """The words of this many tokens at most; which are right is drawn once, with a fixed seed."""
    every: list[tuple[int, ...]] = []
    for size in range(longest):
        every += [(*letters, END) for letters in product((1, 2), repeat=size)]
    every += list(product((1, 2), repeat=longest))
    place = {prefix: i for i, prefix in enumerate(sorted({w[:t] for w in every for t in range(len(w))}))}
    prefix, token = np.zeros((len(every), longest), dtype=np.intp), np.zeros((len(every), longest), np.intp)
    for i, word in enumerate(every):
        for t, each in enumerate(word):
            prefix[i, t], token[i, t] = place[word[:t]], each
    sizes = np.array([len(word) for word in every])
    share, rewards = RIGHT[lengths](sizes.astype(np.float64)), np.zeros(len(every))
    rng = np.random.default_rng(longest)
    for size in range(2, longest + 1):  # one right word of a length at least, but for the empty one
        (of_size,) = np.nonzero(sizes == size)
        right = max(1, round(share[of_size[0]] * len(of_size)))
        rewards[rng.permutation(of_size)[:right]] = 1.0
    return Words(prefix, token, sizes, rewards, len(place))


def _softmax(theta: Float) -> Float:
    weights = np.exp(theta - theta.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
