"""Numbers that a Gaussian policy plays, with scores and ratios in closed form: for updates by Monte Carlo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maxpo_lab.core.arrays import Float
from maxpo_lab.policies.rollouts import RolloutTokens


@dataclass(frozen=True, eq=False)
class GaussianRollouts:
    """A Gaussian policy as a ``RolloutPolicy``: what is drawn are numbers, (B,), of one token each.

    Means of the policies that are updated, that draw, clip and penalise; all have the standard deviation
    ``sigma``. ``reference`` None: there is none.
    """

    mean: float
    sigma: float
    behaviour: float
    proximal: float
    reference: float | None = None

    @property
    def parameters(self) -> int:
        """The mean alone."""
        return 1

    def draw(self, rng: np.random.Generator, size: int) -> Float:
        """Numbers of the policy that draws."""
        return self.behaviour + self.sigma * rng.standard_normal(size)

    def rewards(self, drawn: Float) -> Float:
        """What they are paid."""
        return paid(drawn)

    def tokens(self, drawn: Float) -> RolloutTokens:
        """One token each."""
        logs = {
            "log_ratios": self._log_ratio(drawn, self.mean, self.proximal),
            "behaviour_log_ratios": self._log_ratio(drawn, self.proximal, self.behaviour),
        }
        if self.reference is not None:
            logs["reference_log_ratios"] = self._log_ratio(drawn, self.mean, self.reference)
        one = np.ones(len(drawn), dtype=np.intp)
        return RolloutTokens(one[:, None] > 0, one, logs, 1)

    def weighted_scores(self, drawn: Float, weights: Float, each: int) -> Float:
        """The score is ``(x - mean) / sigma^2``."""
        scores = (drawn - self.mean) / self.sigma**2
        return np.asarray((weights[:, 0] * scores).reshape(-1, each).sum(axis=1, keepdims=True))

    def _log_ratio(self, drawn: Float, above: float, below: float) -> Float:
        """``((x - below)^2 - (x - above)^2) / (2 sigma^2)``, with no difference of squares."""
        middle = (above + below) / 2
        return np.asarray((above - below) * (drawn - middle) / self.sigma**2)[:, None]


def paid(x: Float) -> Float:
    """Reward of each number: its square on [0, 1], 0 elsewhere."""
    return np.where((x >= 0) & (x <= 1), x**2, 0.0)
