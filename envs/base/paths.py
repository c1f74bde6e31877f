"""Policies met in training: the path of the exact gradient of the mean reward, walked to a stated success."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

import maxpo_lab as ml
from maxpo_lab import RewardLevels
from maxpo_lab.core.arguments import real_number
from maxpo_lab.core.arrays import Float

from .specimen import ExactSpecimen

#: Steps aim at this change of the success' log-odds, and move no further than this in the parameters.
STEP, FURTHEST = 0.5, 2.0
#: Steps in one direction at most, and how often one that leads back may be halved.
MOST, HALVINGS = 400, 20


@dataclass(eq=False)
class TrainingPath:
    """The policies of a specimen along the gradient of its mean reward J_1.

    What is steered is the success ``(J_1 - r_low) / (r_high - r_low)``, the mean reward as a share of its
    range: the success probability where rewards are 0 and 1. Steps aim at equal changes of its log-odds, and
    are kept once taken, so that many policies of one path cost little more than the farthest.

    Attributes
    ----------
    specimen
        What is trained.
    start
        Parameters the path goes through; the specimen's own where None.
    prompt
        The prompt that is trained on; all of them where None.
    """

    specimen: ExactSpecimen
    start: Float | None = None
    prompt: int | None = None
    _walked: dict[int, list[tuple[float, Float]]] = field(default_factory=dict, repr=False)

    def at(self, success: float) -> Float:
        """The parameters at which the success is as stated, to 1e-12 of its log-odds. Deterministic.

        Raises
        ------
        ValueError
            ``success`` is not between 0 and 1, or the path does not lead there in 400 steps.
        """
        if not 0 < real_number(success, "success") < 1:
            raise ValueError(f"success={success}: must lie strictly between 0 and 1")
        aim, first = float(logit(success)), self._first
        here = self._log_odds(first)
        way = 1 if aim >= here else -1
        walked = self._walked.setdefault(way, [(here, first)])
        while way * (walked[-1][0] - aim) < 0:
            step = self._step(*walked[-1], way) if len(walked) <= MOST else None
            if step is None:
                raise ValueError(
                    f"success={success}: {type(self.specimen).__name__} comes from {expit(here):.3g} to "
                    f"{expit(walked[-1][0]):.3g} and no further in {len(walked) - 1} steps; ask for a "
                    f"success between these, or start from other parameters"
                )
            walked.append(step)
        after = next(i for i, (odds, _) in enumerate(walked) if way * (odds - aim) >= 0)
        if after == 0:
            return first
        low, high = walked[after - 1][1], walked[after][1]
        share = brentq(lambda t: self._log_odds(low + t * (high - low)) - aim, 0.0, 1.0, xtol=1e-12)
        return np.asarray(low + share * (high - low))

    def levels(self, success: float) -> RewardLevels:
        """The reward levels, on the path's prompt, of the policy with this success."""
        return self.specimen.levels(self.at(success), self.prompt)

    @property
    def _first(self) -> Float:
        return self.specimen.theta if self.start is None else self.start

    def _step(self, odds: float, theta: Float, way: int) -> tuple[float, Float] | None:
        """The next policy, at least a little farther on the way; None where there is none."""
        low, high = self._range
        mean, gradient = self._mean(theta), self._gradient(theta)
        size = float(np.linalg.norm(gradient))
        if not size:
            return None
        length = min(STEP * (mean - low) * (high - mean) / ((high - low) * size), FURTHEST)
        for _ in range(HALVINGS):
            moved = theta + way * length / size * gradient
            reached = self._log_odds(moved)
            if way * (reached - odds) > 0:
                return reached, moved
            length /= 2
        return None

    def _log_odds(self, theta: Float) -> float:
        low, high = self._range
        mean = self._mean(theta)
        return float(np.log((mean - low) / (high - mean)))

    def _mean(self, theta: Float) -> float:
        """J_1, which needs no scores where it is that of all prompts."""
        if self.prompt is None:
            return self.specimen.max_at_k(theta, 1)
        return ml.max_at_k(self._levels(theta, self.prompt), 1)

    def _gradient(self, theta: Float) -> Float:
        if self.prompt is None:
            return self.specimen.max_at_k_gradient(theta, 1)
        return ml.max_at_k_gradient(self._levels(theta, self.prompt), 1).reshape(theta.shape)

    def _levels(self, theta: Float, prompt: int) -> RewardLevels:
        return self.specimen.levels(theta, prompt, covariances=None)

    @cached_property
    def _range(self) -> tuple[float, float]:
        prompts = range(self.specimen.prompts) if self.prompt is None else (self.prompt,)
        values = [self._levels(self._first, prompt).values for prompt in prompts]
        return min(float(v[0]) for v in values), max(float(v[-1]) for v in values)
