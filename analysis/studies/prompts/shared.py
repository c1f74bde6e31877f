r"""Prompts that share parameters, and what a step of one objective does to pass@1 of all, to first order.

Prompt x is a bandit with logits ``frozen_x + sqrt(rho) u + sqrt(1 - rho) v_x``: what it had learned before, a
part u that all prompts share, and one of its own, both 0 now. Half of the arms are right; prompts of one
*side* have the same right arms, those of the other side the other half. So gradients have

.. math:: \langle \nabla p_x, \nabla p_y \rangle = \pm \rho\, |\nabla p_x| |\nabla p_y|, \qquad x \ne y,

plus on one side, minus between sides: rho is how alike prompts are, or how opposed. An update whose
expectation is ``sum_x w_x grad p_x`` changes the mean of pass@1 by ``sum_x w_x a_x`` over P to first order,
``a_x = <grad p_x, grad J_1>``: it falls where w and a are negatively correlated enough,

.. math:: \mathrm{Cov}_x(w, a) < -\bar w\, |\nabla J_1|^2 .
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

import maxpo_lab as ml
from envs.bandits.sparse_bandit import sparse_logits
from maxpo_lab.core.arrays import Float

#: Arms of a prompt, half of them right.
ARMS = 10


def linked(rates: Sequence[float], sides: Sequence[int], rho: float) -> tuple[ml.RewardLevels, ...]:
    """Prompts of these success rates, on sides +1 or -1, that share as much as ``rho`` says, 0 to 1."""
    return tuple(
        _linked(rate, side, rho, place=place, prompts=len(rates))
        for place, (rate, side) in enumerate(zip(rates, sides, strict=True))
    )


def _linked(rate: float, side: int, rho: float, *, place: int, prompts: int) -> ml.RewardLevels:
    rewards = (np.arange(ARMS) < ARMS // 2).astype(float)
    logits = sparse_logits(ARMS, ARMS // 2, rate, "even")
    row = ml.RewardLevels.from_softmax(logits[::side], rewards[::side], covariances=None)
    scores = np.zeros((len(row.values), prompts + 1, ARMS))
    scores[:, 0] = sqrt(rho) * row.mean_scores
    scores[:, 1 + place] = sqrt(1 - rho) * row.mean_scores
    flat = scores.reshape(len(row.values), -1)
    return ml.RewardLevels(row.values, row.probabilities, flat, row.score_second_moments)


def changes_of_pass_at_1(update: Float, prompts: Sequence[ml.RewardLevels]) -> Float:
    """First-order change of each prompt's success rate over ``P |update| |grad J_1|``, (P,).

    They sum to the cosine of the update (d,) and the gradient of mean pass@1.
    """
    own = np.stack([ml.max_at_k_gradient(levels, 1) for levels in prompts])
    size = len(own) * float(np.linalg.norm(update)) * float(np.linalg.norm(own.mean(axis=0)))
    return np.asarray(own @ update / size)
