"""Policies whose rollouts carry two rewards, or a reward and a length; softmax, every gradient exact."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from maxpo_lab import VectorLevels
from maxpo_lab.core.arrays import Float

#: Answers of one prompt, by what they are good at: two rewards, and the chance at the start.
ANSWERS: Mapping[str, tuple[float, float, float]] = {
    "specialist 1": (1.0, 0.0, 0.1),
    "specialist 2": (0.0, 1.0, 0.1),
    "generalist": (0.6, 0.6, 0.3),
    "neither": (0.0, 0.0, 0.5),
}


def answers(theta: Float | None = None) -> VectorLevels:
    """The four answers, at their first chances or at these logits (4,)."""
    rows = np.array(list(ANSWERS.values()))
    return VectorLevels.from_softmax(first_logits() if theta is None else theta, rows[:, :2])


def first_logits() -> Float:
    """Logits of the first chances, (4,)."""
    return np.log([chance for _, _, chance in ANSWERS.values()])


def independent(first: float, second: float, worth: float) -> tuple[VectorLevels, Float]:
    """Two verdicts that have nothing to do with each other, of these rates, the second worth so much.

    The levels, and the gradients (4, 2) of the two rates.
    """
    verdicts = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    chances = np.prod(np.where(verdicts == 1, [first, second], [1 - first, 1 - second]), axis=1)
    levels = VectorLevels.from_softmax(np.log(chances), verdicts * [1.0, worth])
    return levels, chances[:, None] * (verdicts - [first, second])


def long_answers(ratio: float) -> VectorLevels:
    """One answer in five right and so many times as long, one right and one in five wrong, of length 1."""
    return VectorLevels.from_softmax(np.log([0.2, 0.2, 0.6]), [1.0, 1.0, 0.0], lengths=[ratio, 1.0, 1.0])
