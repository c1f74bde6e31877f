"""A framework's default loss on its rule: where the expected update points, and how far it goes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from maxpo_lab.estimators import Estimator, get_estimator
from maxpo_lab.integrations.frameworks import get_framework, list_frameworks
from maxpo_lab.moments.updates import updates_of

from ..loops.words import words
from .subjects import Subject

#: Prompts of a batch, all alike; the longest word; how right answers are spread; the success rate.
PROMPTS, LONGEST, SHAPE, SUCCESS = 8, 5, "right short", 0.2
#: KL(old || new) of an update that is one step behind.
LAG = 0.01


@dataclass(frozen=True, slots=True)
class Judged:
    """The expected update of a rule under a loss, against the gradient of what the rule is meant for.

    Angle in radians and scale for rollouts of the policy itself, and of one that ``LAG`` nats lie behind.
    """

    name: str
    angle: float
    scale: float
    angle_lagged: float
    scale_lagged: float


def judged(subject: Subject, *, n: int, k: int) -> Judged | None:
    """None where the framework's loss has no name here, or the rule is of a batch, not of one group."""
    if subject.framework not in list_frameworks():
        return None
    framework = get_framework(subject.framework)
    loss, ships = framework.loss, {rule.name for rule in framework.rules}
    if loss is None or subject.name not in ships or not isinstance(get_estimator(subject.rule), Estimator):
        return None
    return _judged(loss, subject.rule, subject.target, n, k)


@cache
def _judged(loss: str, rule: str, target: str, n: int, k: int) -> Judged:
    found: list[float] = []
    for lag in (0.0, LAG):
        batch = [words(LONGEST, SHAPE).lagged(SUCCESS, lag, k)] * PROMPTS
        (update,) = updates_of([rule], loss, batch, n=n, k=k, target=target)
        length = float(update.gradient @ update.gradient)
        scale = float(update.mean @ update.gradient) / length
        across = float(np.linalg.norm(update.mean - scale * update.gradient)) / np.sqrt(length)
        found += [float(np.arctan2(across, scale)), scale]
    return Judged(loss, *found)
