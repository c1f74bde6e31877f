"""The objective J_K of a policy, the value of any other, and their exact gradients."""

from __future__ import annotations

import numpy as np

from ..core.arguments import as_k
from ..core.arrays import Float
from ..core.binomial import binomial
from ..objectives import Objective, VectorObjective, max_at
from .levels import RewardLevels


def max_at_k(levels: RewardLevels, k: int) -> float:
    r"""``J_K``, the expected maximum of K i.i.d. rewards; pass@K where rewards are 0 or 1.

    .. math:: J_K = r_1 + \sum_{m<L} (r_{m+1} - r_m) (1 - F_m^K),

    F the cumulative level probabilities; summed from reward 0, what lies above it by the chance to exceed it,
    what lies below by the chance not to, so that a large negative level hides no other. Cost O(L), relative
    accuracy kept at success probabilities down to the smallest floats. Source: arXiv 2606.06080; arXiv
    2505.15201.
    """
    k = as_k(k)
    tail = _above(levels.probabilities)
    with np.errstate(divide="ignore"):
        exceeded = -np.expm1(k * np.log1p(-np.minimum(tail, 1.0)))
    missed = np.cumsum(levels.probabilities)[:-1] ** k
    gains, losses = np.maximum(levels.values, 0.0), np.minimum(levels.values, 0.0)
    gained = gains[0] + np.diff(gains) @ exceeded
    return float(gained + (losses[-1] - np.diff(losses) @ missed))


def objective_value(levels: RewardLevels, objective: Objective) -> float:
    r"""An objective's value under a policy; ``max_at_k`` where it is a max@K.

    .. math:: J = \sum_m (r_{m+1} - r_m) \sum_b P(\mathrm{Bin}(K, F_m) = b) \sum_{j > b} \alpha_j ,

    summed from reward 0, as ``max_at_k`` is. Cost O(L K).
    """
    if objective.maximum_of is not None:
        return max_at_k(levels, objective.maximum_of)
    below, above = np.cumsum(levels.probabilities)[:-1], _above(levels.probabilities)
    size, weights = objective.size, objective.vector()
    chance = np.reshape(
        [binomial(size, *odds) for odds in zip(below, above, strict=True)], (len(below), size + 1)
    )
    exceeding = np.append(np.cumsum(weights[::-1])[::-1], 0.0)  # of the ranks above b = 0..K
    reached = np.append(0.0, np.cumsum(weights))  # of the ranks up to b
    gains, losses = np.maximum(levels.values, 0.0), np.minimum(levels.values, 0.0)
    total = float(exceeding[0])
    gained = total * gains[0] + np.diff(gains) @ (chance @ exceeding)
    return float(gained + (total * losses[-1] - np.diff(losses) @ (chance @ reached)))


def max_at_k_gradient(levels: RewardLevels, k: int) -> Float:
    r"""``grad J_K``, shape (d,).

    .. math:: \nabla J_K = \sum_{m<L} (r_{m+1} - r_m)\, K F_m^{K-1} \sum_{l>m} p_l G_l .

    Cost O(L d).
    """
    k = as_k(k)
    gradient: Float = gradient_coefficients(levels, max_at(k)) @ levels.mean_scores
    return gradient


def gradient_coefficients(levels: RewardLevels, objective: Objective | VectorObjective) -> Float:
    r"""Gradient of an objective in terms of the mean scores: a (L,) with ``grad J = sum_l a_l G_l``.

    .. math:: \nabla J = \sum_{m<L} (r_{m+1} - r_m)\, K \sum_b P(\mathrm{Bin}(K-1, F_m) = b)\,
              \alpha_{b+1} \sum_{l>m} p_l G_l ,

    with alpha the objective's weights. As ``sum_l p_l G_l = 0``, the sum over m may start anywhere: it
    starts at reward 0, as that of ``max_at_k``, so that a large negative level hides no other. Cost O(L K).

    Of a ``VectorObjective`` the levels are numbers of rows; its terms are each of one reward, by whose value
    levels are merged, and members of a merged level share its coefficient by their probabilities.
    """
    if isinstance(objective, Objective):
        return _coefficients(levels.values, levels.probabilities, objective)
    number = levels.values.astype(np.intp)
    total = np.zeros(len(number))
    for weight, rewards in objective.terms():
        values, level = np.unique(rewards[number], return_inverse=True)
        mass = np.bincount(level.ravel(), weights=levels.probabilities).astype(np.float64)
        total += weight * (_coefficients(values, mass, objective.objective) / mass)[level.ravel()]
    return np.asarray(total * levels.probabilities)


def _coefficients(values: Float, probabilities: Float, objective: Objective) -> Float:
    """``gradient_coefficients`` of ascending rewards with these probabilities."""
    below, above = np.cumsum(probabilities)[:-1], _above(probabilities)
    size = objective.size
    chance = [binomial(size - 1, *odds) for odds in zip(below, above, strict=True)]
    raised = np.reshape(chance, (-1, size)) @ objective.vector()
    gains, losses = np.maximum(values, 0.0), np.minimum(values, 0.0)
    rises, falls = np.diff(gains) * size * raised, np.diff(losses) * size * raised
    above_zero = np.concatenate([[0.0], np.cumsum(rises)])
    below_zero = np.concatenate([np.cumsum(falls[::-1])[::-1], [0.0]])
    return np.asarray(probabilities * (above_zero - below_zero))


def _above(probabilities: Float) -> Float:
    """``P(level > m)`` for m = 1..L-1, summed from the top: exact where success is rare."""
    return np.cumsum(probabilities[::-1])[::-1][1:]
