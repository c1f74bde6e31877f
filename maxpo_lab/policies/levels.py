"""``RewardLevels``: all that a reward-only rule's exact moments need to know of a policy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np

from ..core.arrays import Float
from .checks import CovarianceForm, check_covariances, check_levels, real
from .from_outcomes import of_outcomes, of_softmax, of_sums


@dataclass(frozen=True, eq=False)
class RewardLevels:
    r"""A policy on one prompt, summarised per distinct reward.

    With s the score of a rollout (gradient of its log-probability, in R^d) and l its reward level:

    Attributes
    ----------
    values
        Distinct rewards, ascending, shape (L,).
    probabilities
        ``p_l > 0``, summing to 1, shape (L,).
    mean_scores
        ``G_l = E[s | l]``, shape (L, d). ``sum_l p_l G_l = 0``, and the gradient of p_l is ``p_l G_l``.
    score_second_moments
        ``S_l = E[|s|^2 | l]``, shape (L,), at least ``|G_l|^2``.
    score_covariances
        ``Cov(s | l)``, shape (L, d, d), or None. Needed for ``exact_moments(covariance=True)``.
    projected_covariances
        ``G Cov(s | l) G^T``, shape (L, L, L), or None: the covariance seen from the span of the
        mean scores, where every gradient lies. Needed for the variance along the gradient; taken
        from ``score_covariances`` where those are given.

    Raises
    ------
    TypeError, ValueError
        Wrong shapes, values that are not finite, not ascending, or not consistent with each other.
        Nothing is sorted, merged or renormalised in silence.
    """

    values: Float
    probabilities: Float
    mean_scores: Float
    score_second_moments: Float
    score_covariances: Float | None = None
    projected_covariances: Float | None = None

    def __post_init__(self) -> None:
        put = partial(object.__setattr__, self)
        put("values", real("values", self.values, ndim=1))
        size = len(self.values)
        put("probabilities", real("probabilities", self.probabilities, shape=(size,)))
        put("mean_scores", real("mean_scores", self.mean_scores, ndim=2, length=size))
        second = real("score_second_moments", self.score_second_moments, shape=(size,))
        put("score_second_moments", second)
        check_levels(self.values, self.probabilities, self.mean_scores, second)
        if (given := self.score_covariances) is not None:
            d = self.mean_scores.shape[1]
            full = real("score_covariances", given, shape=(size, d, d))
            check_covariances(full, self.probabilities, second, self.mean_scores)
            put("score_covariances", full)
            if self.projected_covariances is None:
                put("projected_covariances", self.mean_scores @ full @ self.mean_scores.T)
        if (given := self.projected_covariances) is not None:
            shape = (size, size, size)
            put("projected_covariances", real("projected_covariances", given, shape=shape))

    @property
    def score_variances(self) -> Float:
        """Spread of the scores inside a level, ``E[|s - G_l|^2 | l]``, shape (L,)."""
        spread = self.score_second_moments - np.sum(self.mean_scores**2, axis=1)
        return np.asarray(np.maximum(spread, 0.0))

    def span(self) -> tuple[Float, Float]:
        """Orthonormal basis (d, r) of the mean scores' span, r <= L, and their coordinates (L, r) in it."""
        basis, triangle = np.linalg.qr(self.mean_scores.T)
        return basis, triangle.T

    @classmethod
    def from_outcomes(
        cls,
        probabilities: Any,
        scores: Any,
        rewards: Any,
        *,
        covariances: CovarianceForm = "projected",
    ) -> Self:
        """Levels of a policy over M outcomes.

        Parameters
        ----------
        probabilities, scores, rewards
            Shapes (M,), (M, d), (M,). Outcomes of probability 0 never occur and are left out.
        covariances
            ``"projected"`` for the covariances in the span of the mean scores, ``"full"`` for the
            (L, d, d) matrices as well, None for neither.

        Notes
        -----
        Cost O(M d L); ``"full"`` takes O(M d^2) time and O(L d^2) memory.
        """
        return cls(*of_outcomes(probabilities, scores, rewards, covariances))

    @classmethod
    def from_sums(
        cls,
        values: Any,
        probabilities: Any,
        scores: Any,
        squared_norms: Any,
        *,
        second_moments: Any = None,
        projected: Any = None,
    ) -> Self:
        r"""Levels from sums over outcomes, as an oracle that never lists the outcomes accumulates them.

        Parameters
        ----------
        values
            Rewards, strictly ascending, shape (L,).
        probabilities
            ``p_l``, shape (L,). Levels of probability 0 cannot occur and are left out.
        scores
            ``E[s; l] = p_l G_l``, shape (L, d). Rounding is taken from the likeliest level: its mean score
            follows from the others', as ``sum_l p_l G_l = 0``.
        squared_norms
            ``E[|s|^2; l] = p_l S_l``, shape (L,).
        second_moments
            ``E[s s^T; l]``, shape (L, d, d), or None.
        projected
            ``E[x x^T; l]`` for ``x_m = <G_m, s>``, shape (L, L, L), or None.

        Raises TypeError or ValueError as the constructor, and where the scores do not average to 0: to
        1e-12 of their root mean square, the rounding of some thousand steps of a recursion.
        """
        return cls(
            *of_sums(
                values,
                probabilities,
                scores,
                squared_norms=squared_norms,
                second_moments=second_moments,
                projected=projected,
            )
        )

    @classmethod
    def from_softmax(cls, logits: Any, rewards: Any, *, covariances: CovarianceForm = "projected") -> Self:
        r"""Levels of a softmax policy over M outcomes, with the logits as its parameters (d = M).

        The score of outcome a is ``e_a - pi``, so with ``w`` the policy conditioned on a level:
        ``G_l = w - pi``, ``Cov(s | l) = diag(w) - w w^T`` and ``S_l = |G_l|^2 + 1 - |w|^2``.

        Parameters
        ----------
        logits, rewards
            Shape (M,) each. Outcomes whose probability underflows to 0 are left out of their level.
        covariances
            As in ``from_outcomes``.

        Notes
        -----
        Cost O(M L) time and memory, with no (M, M) matrix unless ``covariances="full"``.
        """
        return cls(*of_softmax(logits, rewards, covariances))
