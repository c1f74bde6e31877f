"""What a tool prints for a set of prompts: a value rule, and what becomes of the prompts that do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal

import numpy as np

from ...core.arguments import as_k
from ...core.arrays import Float
from ..base import ValueRule
from .sizes import Weights

#: What becomes of a rollout without a verdict; ``"ends"``: its prompt counts for the k before it alone.
Missing = Literal["left out", "ends", "failure", "poisons", "refused"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """A number that an evaluation tool prints under the name of pass@k, best@k or the like.

    Calling it, ``report(groups, k)``, gives the number for the rewards of some prompts, None where the tool
    prints nothing; ValueError where it refuses.

    Attributes
    ----------
    name
        ``"tool:what it prints"``.
    package, version
        Whose it is, and the release that was read and run.
    function
        Where it is computed.
    words
        What the number means, in one sentence.
    rule
        Its value for one prompt.
    weights
        Which prompts it is over, by their numbers of rollouts.
    missing
        What becomes of a rollout without a verdict: left out of its prompt, or out of it and the prompt out
        of every k from that place on, a failure, NaN for all, an error.
    binary
        Whether there are no other rewards than 0 and 1: refused, or verdicts that the tool itself makes.
    frozen
        Whether all prompts get the number of rollouts of the first: more are cut, fewer filled with failures.
    interval
        What it prints as the error or the interval; empty where nothing.
    """

    name: str
    package: str
    version: str
    function: str
    words: str
    rule: ValueRule
    weights: Weights
    missing: Missing
    binary: bool = False
    frozen: bool = False
    interval: str = ""

    def sizes(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """Rollouts of each prompt, as the tool counts them."""
        return (sizes[0],) * len(sizes) if self.frozen else tuple(sizes)

    def fitted(self, rewards: Float, size: int) -> Float:
        """Rewards (..., n) as the tool takes them: ``size`` of them where it is frozen."""
        if not self.frozen:
            return rewards
        short = size - rewards.shape[-1]
        lost = np.zeros((*rewards.shape[:-1], max(0, short)))
        return np.concatenate([rewards[..., :size], lost], axis=-1)

    def __call__(self, groups: Sequence[Sequence[float | None]], k: int) -> float | None:
        """The number for prompts with these rewards, None or NaN for one without a verdict.

        Raises
        ------
        TypeError, ValueError
            No prompt, or one without a rollout; what the tool refuses.
        """
        k = as_k(k)
        given = [np.array([nan if each is None else each for each in group], float) for group in groups]
        kept = [self._scored(group) for group in given]
        if not kept or not all(len(group) for group in kept):
            raise ValueError("groups needs one prompt at least, and each prompt one scored rollout at least")
        if any(np.isnan(group).any() for group in kept):
            return nan
        sizes = self.sizes([len(group) for group in kept])
        weights = self._weights(given, sizes, k)
        if weights is None:
            return None
        return float(
            sum(
                weight * float(self.rule(self.fitted(group, size), k))
                for weight, group, size in zip(weights, kept, sizes, strict=True)
                if weight
            )
        )

    def _weights(self, given: Sequence[Float], sizes: tuple[int, ...], k: int) -> Float | None:
        if self.missing != "ends":
            return self.weights(sizes, k)
        weights = self.weights(tuple(map(len, given)), k)  # by what was planned
        whole = np.array([not np.isnan(group[:k]).any() for group in given])
        if weights is None or not whole.any():
            return None
        return np.asarray(weights * whole / (weights @ whole))

    def _scored(self, rewards: Float) -> Float:
        lost = np.isnan(rewards)
        if self.binary and not np.isin(rewards[~lost], (0, 1)).all():
            raise ValueError(f"rewards other than 0 and 1: {self.name} refuses them; threshold them first")
        if self.missing == "refused" and lost.any():
            raise ValueError(f"{int(lost.sum())} rollouts without a verdict: {self.name} refuses them")
        if self.missing in ("left out", "ends"):
            return np.asarray(rewards[~lost])
        return np.where(lost, 0.0, rewards) if self.missing == "failure" else rewards
