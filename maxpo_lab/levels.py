"""``RewardLevels``: all that a reward-only estimator's exact moments need to know of a policy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from .precision import as_real

Float = npt.NDArray[np.float64]
CovarianceForm = Literal["projected", "full"] | None

# Sums of probabilities and of mean scores are met to rounding, not to the user's good intentions:
# the exact moments are reported to 1e-10.
_TOLERANCE = 1e-12


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
        put("values", _real("values", self.values, ndim=1))
        size = len(self.values)
        put("probabilities", _real("probabilities", self.probabilities, shape=(size,)))
        put("mean_scores", _real("mean_scores", self.mean_scores, ndim=2, length=size))
        second = _real("score_second_moments", self.score_second_moments, shape=(size,))
        put("score_second_moments", second)
        _check_levels(self.values, self.probabilities, self.mean_scores, second)
        if (given := self.score_covariances) is not None:
            d = self.mean_scores.shape[1]
            full = _real("score_covariances", given, shape=(size, d, d))
            _check_covariances(full, self.probabilities, second, self.mean_scores)
            put("score_covariances", full)
            if self.projected_covariances is None:
                put("projected_covariances", self.mean_scores @ full @ self.mean_scores.T)
        if (given := self.projected_covariances) is not None:
            shape = (size, size, size)
            put("projected_covariances", _real("projected_covariances", given, shape=shape))

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
        rewards = _real("rewards", rewards, ndim=1)
        probabilities = _real("probabilities", probabilities, shape=rewards.shape)
        scores = _real("scores", scores, ndim=2, length=len(rewards))
        _check_distribution(probabilities, allow_zero=True)
        _check_form(covariances)
        values, mass, members = _split(rewards, probabilities)
        shares = [probabilities[i] / mass[level] for level, i in enumerate(members)]
        mean_scores = np.stack([w @ scores[i] for w, i in zip(shares, members, strict=True)])
        average = sum(w @ np.linalg.norm(scores[i], axis=1) for w, i in zip(shares, members, strict=True))
        _balance(mean_scores, mass, float(average))
        spread = [
            w @ np.sum((scores[i] - mean_scores[level]) ** 2, axis=1)
            for level, (w, i) in enumerate(zip(shares, members, strict=True))
        ]
        second = np.sum(mean_scores**2, axis=1) + spread

        def covariance(w: Float, i: npt.NDArray[np.intp], directions: Float | None) -> Float:
            seen = scores[i] if directions is None else scores[i] @ directions.T
            seen = seen - w @ seen
            return np.asarray((w[:, None] * seen).T @ seen)

        projected = full = None
        if covariances is not None:
            pairs = list(zip(shares, members, strict=True))
            projected = np.stack([covariance(w, i, mean_scores) for w, i in pairs])
            if covariances == "full":
                full = np.stack([covariance(w, i, None) for w, i in pairs])
        return cls(values, mass, mean_scores, second, full, projected)

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
        mass = _real("probabilities", probabilities, ndim=1)
        _check_distribution(mass, allow_zero=True)
        size = len(mass)
        values = _real("values", values, shape=(size,))
        sums = _real("scores", scores, ndim=2, length=size)
        d = sums.shape[1]
        squared_norms = _real("squared_norms", squared_norms, shape=(size,))
        if second_moments is not None:
            second_moments = _real("second_moments", second_moments, shape=(size, d, d))
        if projected is not None:
            projected = _real("projected", projected, shape=(size, size, size))
        possible = np.flatnonzero(mass > 0)
        mean_scores = sums[possible] / mass[possible, None]
        spread = float(np.sqrt(squared_norms.sum()))
        _balance(mean_scores, mass[possible], spread)
        centred = mean_scores @ mean_scores.T
        full = seen = None
        if second_moments is not None:
            outer = mean_scores[:, :, None] * mean_scores[:, None, :]
            full = second_moments[possible] / mass[possible, None, None] - outer
        if projected is not None:
            outer = centred[:, :, None] * centred[:, None, :]
            kept = projected[np.ix_(possible, possible, possible)]
            seen = kept / mass[possible, None, None] - outer
        second = squared_norms[possible] / mass[possible]
        return cls(values[possible], mass[possible], mean_scores, second, full, seen)

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
        rewards = _real("rewards", rewards, ndim=1)
        logits = _real("logits", logits, shape=rewards.shape)
        _check_form(covariances)
        pi = np.exp(logits - logits.max())
        pi /= pi.sum()
        values, mass, members = _split(rewards, pi)
        rest = np.array([np.delete(mass, level).sum() for level in range(len(mass))])
        # Away from its own members G_l is -pi, there it is pi (1 - p_l) / p_l: exact for p_l near 1.
        mean_scores = np.broadcast_to(-pi, (len(values), len(pi))).copy()
        spread = np.empty(len(values))
        projected = None if covariances is None else np.empty((len(values),) * 3)
        full = np.zeros((len(values), len(pi), len(pi))) if covariances == "full" else None
        for level, i in enumerate(members):
            share = pi[i] / mass[level]
            mean_scores[level, i] = share * rest[level]
            spread[level] = share @ (1.0 - share)
            if projected is not None:
                # <G_m, s> is the share of a times a factor of m and l alone, but for a constant.
                factor = np.where(np.arange(len(values)) == level, rest[level], -mass[level])
                projected[level] = np.outer(factor, factor) * (share @ (share - share @ share) ** 2)
            if full is not None:
                full[level][np.ix_(i, i)] = np.diag(share) - np.outer(share, share)
        second = np.sum(mean_scores**2, axis=1) + spread
        return cls(values, mass, mean_scores, second, full, projected)


def _split(rewards: Float, probabilities: Float) -> tuple[Float, Float, list[npt.NDArray[np.intp]]]:
    """Distinct rewards that can occur, ascending, their probabilities, and their outcomes."""
    possible = np.flatnonzero(probabilities > 0)
    values, level = np.unique(rewards[possible], return_inverse=True)
    members = [possible[level == index] for index in range(len(values))]
    mass = np.array([probabilities[i].sum() for i in members])
    return values, mass, members


def _balance(mean_scores: Float, mass: Float, size: float) -> None:
    """Take the mean score of the likeliest level from the others', in place.

    ``sum_l p_l G_l = 0``: where success is rare the failures' mean score is as small as the success
    probability, and their direct average is rounding. ``size``: the average norm of a score.
    """
    likeliest = int(mass.argmax())
    others = np.arange(len(mass)) != likeliest
    implied = -(mass[others] @ mean_scores[others]) / mass[likeliest]
    off = float(np.linalg.norm(mean_scores[likeliest] - implied))
    if off > _TOLERANCE * size:
        raise ValueError(
            f"scores do not average to 0: off by {off:.3g} where they average {size:.3g} in norm; a score, "
            f"the gradient of a log-probability, has mean 0 under its policy"
        )
    mean_scores[likeliest] = implied


def _real(
    name: str,
    value: Any,
    *,
    ndim: int | None = None,
    shape: tuple[int, ...] | None = None,
    length: int | None = None,
) -> Float:
    """A read-only float64 copy, checked to be real, finite and of the stated shape."""
    array = as_real(value, name)
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} have shape {array.shape}: expected {shape}")
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} have {array.ndim} dimensions (shape {array.shape}): expected {ndim}")
    if length is not None and len(array) != length:
        raise ValueError(f"{name} have {len(array)} rows: expected {length}, one a level or outcome")
    if not array.size:
        raise ValueError(f"{name} are empty: at least one level is needed")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name}{list(where)} is {array[where]}: every entry must be finite")
    array.setflags(write=False)
    return array


def _check_form(covariances: Any) -> None:
    if covariances not in ("projected", "full", None):
        raise ValueError(f'covariances={covariances!r}: must be "projected", "full" or None')


def _check_distribution(probabilities: Float, *, allow_zero: bool) -> None:
    lowest = probabilities.min()
    if lowest < 0 or (lowest == 0 and not allow_zero):
        rule = "at least 0" if allow_zero else "positive: leave out a level that cannot occur"
        where = int(probabilities.argmin())
        raise ValueError(f"probabilities[{where}] is {lowest}: every one must be {rule}")
    total = float(probabilities.sum())
    if abs(total - 1) > _TOLERANCE:
        raise ValueError(
            f"probabilities sum to {total!r}: they must sum to 1 within {_TOLERANCE:g}; compute them in "
            f"float64, or divide them by their sum if that is what is meant"
        )


def _check_levels(values: Float, probabilities: Float, mean_scores: Float, second: Float) -> None:
    if not (np.diff(values) > 0).all():
        raise ValueError(
            f"values {values.tolist()} must be strictly ascending: sort the levels and merge equal "
            f"ones (RewardLevels.from_outcomes does both)"
        )
    _check_distribution(probabilities, allow_zero=False)
    weighted = probabilities[:, None] * mean_scores
    norms = np.linalg.norm(mean_scores, axis=1)
    off, size = np.linalg.norm(weighted.sum(axis=0)), probabilities @ norms
    if off > _TOLERANCE * max(size, np.finfo(np.float64).tiny):
        raise ValueError(
            f"mean_scores do not average to 0: |sum p_l G_l| is {off:.3g} where sum p_l |G_l| is "
            f"{size:.3g}; a score, the gradient of a log-probability, has mean 0 under its policy. "
            f"RewardLevels.from_sums takes what rounding leaves of it"
        )
    short = second - norms**2
    # A recursion rounds the scores of a level at the size that scores have on the way, not at their own.
    scale = np.maximum(second, probabilities @ np.maximum(second, 0.0)) + norms**2
    if (short < -_TOLERANCE * scale).any():
        level = int(short.argmin())
        raise ValueError(
            f"score_second_moments[{level}] is {second[level]:.6g}, below |G_{level}|^2 = "
            f"{norms[level] ** 2:.6g}: E|s|^2 is at least |E s|^2"
        )


def _check_covariances(covariances: Float, probabilities: Float, second: Float, mean_scores: Float) -> None:
    traces = np.trace(covariances, axis1=1, axis2=2)
    if not np.allclose(covariances, covariances.transpose(0, 2, 1), rtol=0, atol=1e-9 * second.max()):
        raise ValueError("score_covariances must be symmetric matrices, one a level")
    expected = second - np.sum(mean_scores**2, axis=1)
    if (abs(traces - expected) > 1e-9 * np.maximum(second, probabilities @ second)).any():
        level = int(abs(traces - expected).argmax())
        raise ValueError(
            f"score_covariances[{level}] has trace {traces[level]:.6g}: the trace of Cov(s | l) must be "
            f"S_l - |G_l|^2 = {expected[level]:.6g} (pass covariances, not second moments)"
        )
