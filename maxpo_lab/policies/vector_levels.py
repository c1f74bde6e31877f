"""``VectorLevels``: a policy on one prompt whose rollouts carry several rewards, and perhaps a length."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import numpy as np

from ..core.arrays import Float
from .checks import CovarianceForm, real
from .levels import RewardLevels


@dataclass(frozen=True, eq=False)
class VectorLevels:
    r"""A policy on one prompt, summarised per distinct row of rewards (and length).

    As ``RewardLevels``, with a row of numbers where that has one: a rule of rows under this policy is a rule
    of groups on the *numbers of its levels*, looked up in the table of rows. ``by_number`` is that policy,
    and every exact engine works on it unchanged.

    Attributes
    ----------
    rewards
        Rewards of each level, (L, d); rows are distinct, and in no order of their own.
    probabilities, mean_scores, score_second_moments, score_covariances, projected_covariances
        As in ``RewardLevels``.
    lengths
        The length of each level, (L,), positive, or None where lengths are not told apart.
    by_number
        The same policy with the numbers 0..L-1 of its levels as rewards.

    Raises
    ------
    TypeError, ValueError
        As ``RewardLevels``; two levels of the same row.
    """

    rewards: Float
    probabilities: Float
    mean_scores: Float
    score_second_moments: Float
    score_covariances: Float | None = None
    projected_covariances: Float | None = None
    lengths: Float | None = None
    by_number: RewardLevels = field(init=False, repr=False)

    def __post_init__(self) -> None:
        put = partial(object.__setattr__, self)
        rewards, lengths = _checked(self.rewards, self.lengths)
        put("rewards", rewards)
        put("lengths", lengths)
        if len(np.unique(self.table, axis=0)) < len(rewards):
            raise ValueError(
                "rewards hold a row twice (its length too): merge equal levels, as "
                "VectorLevels.from_outcomes does"
            )
        levels = RewardLevels(
            np.arange(float(len(rewards))),
            self.probabilities,
            self.mean_scores,
            self.score_second_moments,
            self.score_covariances,
            self.projected_covariances,
        )
        put("by_number", levels)
        for name in _SHARED:
            put(name, getattr(levels, name))

    @property
    def table(self) -> Float:
        """The rows: rewards (L, d), and the length in one more column where there is one."""
        return self.rewards if self.lengths is None else np.column_stack([self.rewards, self.lengths])

    def of_reward(self, reward_weights: Any) -> RewardLevels:
        """The levels of ``sum_d w_d R_d`` alone, weights (d,): all that a rule of that reward sees."""
        weights = real("reward_weights", reward_weights, shape=(self.rewards.shape[1],))
        values, level = np.unique(self.rewards @ weights, return_inverse=True)
        merge = (level.ravel() == np.arange(len(values))[:, None]) * self.probabilities  # (L', L)
        mass = merge.sum(axis=1)
        sums = merge @ self.mean_scores
        full = projected = None
        if (covariances := self.score_covariances) is not None:
            outer = self.mean_scores[:, :, None] * self.mean_scores[:, None, :]
            full = np.einsum("ml,lij->mij", merge, covariances + outer)
        if (seen := self.projected_covariances) is not None:
            inner = self.mean_scores @ self.mean_scores.T
            into = merge / mass[:, None]
            second = seen + inner[:, :, None] * inner[:, None, :]
            projected = np.einsum("ml,ai,lij,bj->mab", merge, into, second, into)
        return RewardLevels.from_sums(
            values, mass, sums, merge @ self.score_second_moments, second_moments=full, projected=projected
        )

    @classmethod
    def from_outcomes(
        cls,
        probabilities: Any,
        scores: Any,
        rewards: Any,
        *,
        lengths: Any = None,
        covariances: CovarianceForm = "projected",
    ) -> Self:
        """Levels of a policy over M outcomes.

        Parameters
        ----------
        probabilities, scores
            Shapes (M,), (M, p). Outcomes of probability 0 never occur and are left out.
        rewards
            (M, d), or (M,) for one reward each.
        lengths
            (M,), positive, or None.
        covariances
            As in ``RewardLevels.from_outcomes``.
        """
        table, split, number = _numbered(rewards, lengths)
        levels = RewardLevels.from_outcomes(probabilities, scores, number, covariances=covariances)
        return cls._of(levels, table, lengths=split)

    @classmethod
    def from_softmax(
        cls, logits: Any, rewards: Any, *, lengths: Any = None, covariances: CovarianceForm = "projected"
    ) -> Self:
        """Levels of a softmax policy over M outcomes, with the logits (M,) as its parameters.

        Rewards and lengths as in ``from_outcomes``, covariances as in ``RewardLevels.from_softmax``.
        """
        table, split, number = _numbered(rewards, lengths)
        levels = RewardLevels.from_softmax(logits, number, covariances=covariances)
        return cls._of(levels, table, lengths=split)

    @classmethod
    def _of(cls, levels: RewardLevels, table: Float, *, lengths: bool) -> Self:
        rows = table[levels.values.astype(np.intp)]
        shared = {name: getattr(levels, name) for name in _SHARED}
        return cls(
            rewards=rows[:, :-1] if lengths else rows, lengths=rows[:, -1] if lengths else None, **shared
        )


#: What is that of the levels by number.
_SHARED = (
    *("probabilities", "mean_scores", "score_second_moments"),
    *("score_covariances", "projected_covariances"),
)


def _checked(rewards: Any, lengths: Any) -> tuple[Float, Float | None]:
    rewards = real("rewards", rewards)
    if rewards.ndim == 1:
        rewards = rewards[:, None]
    rewards = real("rewards", rewards, ndim=2)
    if lengths is None:
        return rewards, None
    lengths = real("lengths", lengths, shape=(len(rewards),))
    if not (lengths > 0).all():
        raise ValueError(f"lengths hold {float(lengths.min()):g}: a length is positive, e.g. in tokens")
    return rewards, lengths


def _numbered(rewards: Any, lengths: Any) -> tuple[Float, bool, Float]:
    """The distinct rows of outcomes, whether they end with a length, and the number of each outcome's."""
    rewards, lengths = _checked(rewards, lengths)
    rows = rewards if lengths is None else np.column_stack([rewards, lengths])
    table, number = np.unique(rows, axis=0, return_inverse=True)
    return table, lengths is not None, number.ravel().astype(np.float64)
