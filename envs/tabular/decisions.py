"""A tabular policy as exact updates know it where its episodes cannot be listed: decision by decision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maxpo_lab import RewardLevels
from maxpo_lab.core.arrays import Float
from maxpo_lab.policies.checks import CovarianceForm

from . import oracle
from .unrolling import Unrolled


@dataclass(frozen=True, eq=False)
class TabularDecisions:
    """One prompt's unrolled process under a policy; all policies are action probabilities (O, A).

    ``policy`` is the one that is updated. ``behaviour`` draws, None: the same; ``proximal`` is what ratios
    are taken to, None: the behaviour; ``reference`` is what a penalty may be taken to.
    """

    unrolled: Unrolled
    policy: Float
    behaviour: Float | None = None
    proximal: Float | None = None
    reference: Float | None = None

    def __post_init__(self) -> None:
        drawn = self._drawing > 0
        for name in ("policy", "proximal", "reference"):
            table = getattr(self, name)
            if table is not None and not (table[drawn] > 0).all():
                raise ValueError(
                    f"{name} gives probability 0 to a decision that is drawn: its log-ratio has no value; "
                    "use logits that are closer together"
                )

    @property
    def _drawing(self) -> Float:
        return self.policy if self.behaviour is None else self.behaviour

    @property
    def parameters(self) -> int:
        """Logits."""
        return self.policy.size

    @property
    def values(self) -> Float:
        """Rewards of the levels, ascending, (L,)."""
        return self.unrolled.returns

    @property
    def divergence(self) -> float:
        """KL of the current policy from the one that draws over whole episodes, in nats."""
        if self.behaviour is None:
            return 0.0
        each = np.sum(
            self.behaviour * -self._log_ratio(self.policy, self.behaviour).reshape(self.policy.shape), 1
        )
        return float(oracle.occupancy(self.unrolled, self.behaviour) @ each)

    def log_ratios(self) -> dict[str, Float]:
        """Log-ratios of decisions by the names that losses use, (O A,) each; 0 where none is drawn."""
        proximal = self._drawing if self.proximal is None else self.proximal
        found = {
            "log_ratios": self._log_ratio(self.policy, proximal),
            "behaviour_log_ratios": self._log_ratio(proximal, self._drawing),
        }
        if self.reference is not None:
            found["reference_log_ratios"] = self._log_ratio(self.policy, self.reference)
        return found

    def levels(self, *, covariances: CovarianceForm = "projected") -> RewardLevels:
        """Reward levels of the current policy; only ``covariances=None``, for its gradient."""
        if covariances is not None:
            raise ValueError(f"covariances={covariances!r}: must be None; specimen.levels has the others")
        mass, scores, norms = oracle.first_moments(self.unrolled, self.policy)
        return RewardLevels.from_sums(self.unrolled.returns, mass, scores, norms)

    def sums(self, weights: Float, direction: Float | None = None) -> tuple[Float, Float, Float]:
        """Sums of weighted scores by level and length; see ``oracle.weighted_moments``."""
        return oracle.weighted_moments(self.unrolled, self._drawing, self.policy, weights, direction)

    def _log_ratio(self, above: Float, below: Float) -> Float:
        if above is below:
            return np.zeros(above.size)
        drawn = self._drawing > 0
        first, second = (np.log(np.where(drawn, each, 1.0)).ravel() for each in (above, below))
        return np.asarray(first - second)
