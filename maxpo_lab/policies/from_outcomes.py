"""Levels computed from outcomes, from sums over outcomes, or from the logits of a softmax policy."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..core.arrays import Float, Int
from .checks import TOLERANCE, CovarianceForm, check_distribution, check_form, real


class Summary(NamedTuple):
    """The fields of a ``RewardLevels``, in its order."""

    values: Float
    probabilities: Float
    mean_scores: Float
    score_second_moments: Float
    score_covariances: Float | None
    projected_covariances: Float | None


def of_outcomes(probabilities: Any, scores: Any, rewards: Any, covariances: CovarianceForm) -> Summary:
    """See ``RewardLevels.from_outcomes``."""
    rewards = real("rewards", rewards, ndim=1)
    probabilities = real("probabilities", probabilities, shape=rewards.shape)
    scores = real("scores", scores, ndim=2, length=len(rewards))
    check_distribution(probabilities, allow_zero=True)
    check_form(covariances)
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

    def covariance(w: Float, i: Int, directions: Float | None) -> Float:
        seen = scores[i] if directions is None else scores[i] @ directions.T
        seen = seen - w @ seen
        return np.asarray((w[:, None] * seen).T @ seen)

    projected = full = None
    if covariances is not None:
        pairs = list(zip(shares, members, strict=True))
        projected = np.stack([covariance(w, i, mean_scores) for w, i in pairs])
        if covariances == "full":
            full = np.stack([covariance(w, i, None) for w, i in pairs])
    return Summary(values, mass, mean_scores, second, full, projected)


def of_sums(
    values: Any,
    probabilities: Any,
    scores: Any,
    *,
    squared_norms: Any,
    second_moments: Any,
    projected: Any,
) -> Summary:
    """See ``RewardLevels.from_sums``."""
    mass = real("probabilities", probabilities, ndim=1)
    check_distribution(mass, allow_zero=True)
    size = len(mass)
    values = real("values", values, shape=(size,))
    sums = real("scores", scores, ndim=2, length=size)
    d = sums.shape[1]
    squared_norms = real("squared_norms", squared_norms, shape=(size,))
    if second_moments is not None:
        second_moments = real("second_moments", second_moments, shape=(size, d, d))
    if projected is not None:
        projected = real("projected", projected, shape=(size, size, size))
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
    return Summary(values[possible], mass[possible], mean_scores, second, full, seen)


def of_softmax(logits: Any, rewards: Any, covariances: CovarianceForm) -> Summary:
    """See ``RewardLevels.from_softmax``."""
    rewards = real("rewards", rewards, ndim=1)
    logits = real("logits", logits, shape=rewards.shape)
    check_form(covariances)
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
    return Summary(values, mass, mean_scores, second, full, projected)


def _split(rewards: Float, probabilities: Float) -> tuple[Float, Float, list[Int]]:
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
    if off > TOLERANCE * size:
        raise ValueError(
            f"scores do not average to 0: off by {off:.3g} where they average {size:.3g} in norm; a score, "
            f"the gradient of a log-probability, has mean 0 under its policy"
        )
    mean_scores[likeliest] = implied
