"""``Outcomes``: all that an update's exact moments need to know of a policy, one row an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np

from ..core.arrays import Bool, Float, Int
from .checks import TOLERANCE, CovarianceForm, check_distribution, real
from .levels import RewardLevels

#: Policies beside the current one, and whose place they take where they are left out.
_OTHERS = ("behaviour", "proximal", "reference")


@dataclass(frozen=True, eq=False)
class Outcomes:
    r"""A policy on one prompt, outcome by outcome: what it draws, at what chance, and which way each pulls.

    An outcome is a rollout: one choice, or a sequence of T tokens at most. Where ``probabilities`` have a
    token axis they are ``pi(o_t | o_<t)`` and their product is the outcome's chance; ``lengths`` say which
    tokens there are, and what lies beyond is not read. Without that axis a rollout is one choice, and its
    length a label that normalisers count.

    Attributes
    ----------
    probabilities
        Of the current policy, the one that is updated, (M,) or (M, T).
    scores
        Gradients of their logarithms by the parameters, (M, d) or (M, T, d).
    rewards
        (M,).
    lengths
        Tokens of each outcome, (M,), 0 to T where there is a token axis; None: 1 each, or T.
    behaviour
        Probabilities under the policy that draws the rollouts, shaped as ``probabilities``; None: the current
        one.
    proximal
        Under the policy that a clipped ratio is taken against, pi_old; None: the behaviour policy.
    reference
        Under the policy that a KL penalty is taken against; None: there is none.
    world
        Chance of what no policy chooses on the way, a start or a transition, (M,); None: nothing is left to
        it.

    Raises
    ------
    TypeError, ValueError
        Wrong shapes; probabilities that are not those of a distribution; scores whose mean is not 0; a token
        that a policy draws and another gives probability 0, where a ratio has no value.
    """

    probabilities: Float
    scores: Float
    rewards: Float
    lengths: Int | None = None
    behaviour: Float | None = None
    proximal: Float | None = None
    reference: Float | None = None
    world: Float | None = None

    def __post_init__(self) -> None:
        put = partial(object.__setattr__, self)
        put("rewards", real("rewards", self.rewards, ndim=1))
        size = len(self.rewards)
        given = np.ndim(self.probabilities)
        if given not in (1, 2):
            raise ValueError(
                f"probabilities have {given} dimensions: expected (M,), one an outcome, or (M, T), one "
                f"a token"
            )
        put("probabilities", real("probabilities", self.probabilities, ndim=given, length=size))
        shape = self.probabilities.shape
        put("scores", real("scores", self.scores, ndim=given + 1, length=size))
        if self.scores.shape[:-1] != shape:
            raise ValueError(f"scores have shape {self.scores.shape}: expected {shape} and the parameters")
        put("lengths", self._lengths(shape))
        for name in _OTHERS:
            if (policy := getattr(self, name)) is not None:
                put(name, real(name, policy, shape=shape))
        if self.world is not None:
            put("world", real("world", self.world, shape=(size,)))
        self._check()

    def _lengths(self, shape: tuple[int, ...]) -> Int:
        if self.lengths is None:
            return np.full(shape[0], shape[1] if len(shape) == 2 else 1)
        lengths = real("lengths", self.lengths, shape=shape[:1])
        least, most = (0, shape[1]) if len(shape) == 2 else (1, np.inf)
        bad = (lengths != np.floor(lengths)) | (lengths < least) | (lengths > most)
        if bad.any():
            where = int(bad.argmax())
            upto = f" and <= T = {shape[1]}" if len(shape) == 2 else ": a choice has a token"
            raise ValueError(
                f"lengths[{where}] is {lengths[where]:g}: must be a whole number >= {least}{upto}"
            )
        whole = lengths.astype(np.intp)
        whole.setflags(write=False)
        return whole

    def _check(self) -> None:
        current = self._chances(self.probabilities)
        for name in ("probabilities", *_OTHERS):
            if (policy := getattr(self, name)) is not None:
                try:
                    check_distribution(self._chances(policy), allow_zero=True)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None
        total = current @ self.total_scores
        size = float(current @ np.linalg.norm(self.total_scores, axis=1))
        if (off := float(np.linalg.norm(total))) > TOLERANCE * max(size, 1.0) * 1e2:
            raise ValueError(
                f"scores do not average to 0: off by {off:.3g} where they average {size:.3g} in norm; "
                f"a score, "
                f"the gradient of a log-probability, has mean 0 under its policy"
            )
        drawn = self.drawn > 0
        for name in ("probabilities", "proximal", "reference"):
            policy = getattr(self, name)
            if policy is None:
                continue
            lacking = drawn & (self._chances(policy) <= 0)
            if lacking.any():
                where = int(lacking.argmax())
                raise ValueError(
                    f"{name}[{where}] is 0 where the behaviour policy draws that outcome with chance "
                    f"{self.drawn[where]:.3g}: the logarithm of a ratio has no value there; leave the "
                    f"outcome "
                    f"out of all policies, or give it a positive probability"
                )

    @property
    def counts(self) -> Int:
        """Tokens of each outcome, (M,): ``lengths``, or what stands for None."""
        return np.asarray(self.lengths, dtype=np.intp)

    @property
    def mask(self) -> Bool:
        """Which tokens there are, (M, T); (M, 1) without a token axis."""
        if self.probabilities.ndim == 1:
            return np.ones((len(self.rewards), 1), dtype=bool)
        return np.asarray(np.arange(self.probabilities.shape[1]) < self.counts[:, None])

    @property
    def drawn(self) -> Float:
        """Chance of each outcome under the policy that draws, (M,)."""
        return self._chances(self.probabilities if self.behaviour is None else self.behaviour)

    @property
    def token_scores(self) -> Float:
        """Scores by token, (M, T, d), 0 beyond a rollout's length; (M, 1, d) without a token axis."""
        if self.scores.ndim == 2:
            return self.scores[:, None]
        return np.asarray(np.where(self.mask[..., None], self.scores, 0.0))

    @property
    def total_scores(self) -> Float:
        """Scores of whole rollouts, (M, d)."""
        return np.asarray(self.token_scores.sum(axis=1))

    @property
    def divergence(self) -> float:
        """KL of the current policy from the one that draws, ``E_drawn log(drawn / current)``, in nats."""
        if self.behaviour is None:
            return 0.0
        drawn, current = self.drawn, self._chances(self.probabilities)
        there = drawn > 0
        return float(drawn[there] @ np.log(drawn[there] / current[there]))

    def log_ratios(self) -> dict[str, Float]:
        """Log-ratios of tokens by the names that losses use, (M, T) each, 0 off the mask.

        ``log_ratios`` of the current policy to the proximal one, ``behaviour_log_ratios`` of that to the one
        that draws, ``reference_log_ratios`` of the current one to the reference, where there is one. Those of
        a policy to itself are exactly 0; outcomes that are never drawn have 0.
        """
        behaviour = self.probabilities if self.behaviour is None else self.behaviour
        proximal = behaviour if self.proximal is None else self.proximal
        found = {
            "log_ratios": self._log_ratio(self.probabilities, proximal),
            "behaviour_log_ratios": self._log_ratio(proximal, behaviour),
        }
        if self.reference is not None:
            found["reference_log_ratios"] = self._log_ratio(self.probabilities, self.reference)
        return found

    @property
    def rollout_log_ratios(self) -> Float:
        """``log pi - log pi_drawn`` of whole rollouts, (M,); 0 for outcomes that are never drawn."""
        if self.behaviour is None:
            return np.zeros(len(self.rewards))
        return np.asarray(self._log_ratio(self.probabilities, self.behaviour).sum(axis=1))

    def levels(self, *, covariances: CovarianceForm = "projected") -> RewardLevels:
        """Reward levels of the current policy, with its total scores; see ``RewardLevels.from_outcomes``."""
        chances = self._chances(self.probabilities)
        return RewardLevels.from_outcomes(chances, self.total_scores, self.rewards, covariances=covariances)

    def _chances(self, policy: Float) -> Float:
        own = policy if policy.ndim == 1 else np.prod(np.where(self.mask, policy, 1.0), axis=1)
        return np.asarray(own if self.world is None else own * self.world)

    def _log_ratio(self, above: Float, below: Float) -> Float:
        if above is below:
            return np.zeros(self.mask.shape)
        keep = self.mask & (self.drawn > 0)[:, None]
        pair = (np.where(keep, each.reshape(keep.shape), 1.0) for each in (above, below))
        first, second = (np.log(each) for each in pair)
        return np.asarray(first - second)

    @classmethod
    def from_softmax(
        cls,
        logits: Any,
        rewards: Any,
        *,
        lengths: Any = None,
        behaviour: Any = None,
        proximal: Any = None,
        reference: Any = None,
    ) -> Self:
        """Outcomes of a softmax policy with logits (M,) for parameters: the score of a is ``e_a - pi``.

        ``behaviour``, ``proximal`` and ``reference`` are logits (M,) of the other policies. Cost O(M^2).
        """
        rewards = real("rewards", rewards, ndim=1)
        current = _softmax(real("logits", logits, shape=rewards.shape))
        given = {"behaviour": behaviour, "proximal": proximal, "reference": reference}
        policies = {
            name: None if each is None else _softmax(real(name, each, shape=rewards.shape))
            for name, each in given.items()
        }
        return cls(current, np.eye(len(current)) - current, rewards, lengths=lengths, **policies)


def _softmax(logits: Float) -> Float:
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum())
