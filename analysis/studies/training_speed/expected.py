"""What is said before anything is trained: variances along the path, times, ratios, what seeds can see."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from maxpo_lab.core.arrays import Float

from ...measure.power import smallest_seen
from .design import ELSEWHERE, RATIO, Cell, Regime
from .path import Noise, Path, exact_path, noises, planted_amount
from .predicted import Forecast, forecast, steps_at
from .worlds import Subject

#: Step sizes of a rule over the best that is expected: constant ones stop working soon above their best.
SIZES = {
    "constant": 2.0 ** np.array([-1.25, -1.0, -0.75, -0.5, -0.25, 0.0, 0.25]),
    "decaying": 2.0 ** np.array([-1.5, -1.2, -0.9, -0.6, -0.3, 0.0, 0.3]),
    "Adam": 2.0 ** np.array([-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5]),
}
#: Where the path does not lead into a bowl, noise may also help, and the best may be far from the forecast.
OPEN_SIZES = 2.0 ** np.array([-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0])
#: The step size that all share, over the reference's best.
SHARED = 0.5
#: A decaying step size is half its first after so many of the reference's best steps.
HALF = 1.0


@dataclass(frozen=True, eq=False)
class Expected:
    """The exact path, the rules' noise along it, and how long they will take under a policy of the step size.

    ``shared`` is the step size that all share, ``decay`` as an ``Arm``'s.
    """

    regime: Regime
    policy: str
    path: Path
    noises: dict[str, Noise]
    amount: float
    decay: float
    shared: float
    forecasts: dict[str, Forecast]

    @cached_property
    def at_shared(self) -> dict[str, float]:
        """Steps of every rule at the shared size."""
        size = np.array([self.shared])
        return {rule: float(self.steps(rule, size)[0]) for rule in self.forecasts}

    def steps(self, rule: str, sizes: Float) -> Float:
        """Steps at these sizes, (E,)."""
        return steps_at(self.path, self.noises[rule], sizes, self.regime.run(self.policy, self.decay)).steps

    def weights(self) -> Float:
        """Time that the reference spends around each point of the path up to the target, summing to 1."""
        path = self.path
        share = np.gradient(path.length) / path.slope
        below = path.objective <= self.regime.target
        return np.asarray(share * below / np.sum(share * below))

    def traces(self, rule: str) -> tuple[Float, Float]:
        """``tr(H Sigma)`` and ``tr Sigma`` along the path, (N,) each."""
        covariance = self.noises[rule].covariance
        return (
            np.einsum("nij,nji->n", self.path.curvature, covariance),
            np.einsum("nii->n", covariance),
        )

    def ratio(self, rule: str) -> float:
        """Of the rule's rollouts to the reference's, each at its own best step size.

        Where noise does not cost, no size is best, and the ratio is that at one step size.
        """
        if not self.noise_costs:
            return self.ratio_at_shared(rule)
        return self.forecasts[rule].best[1] / self.forecasts[self.regime.reference].best[1]

    @property
    def noise_costs(self) -> bool:
        """Whether noise lowers the gain of a step on the way, as it does where J is concave."""
        return bool(self.weights() @ self.traces(self.regime.reference)[0] > 0)

    def ratio_at_shared(self, rule: str) -> float:
        """Of the rule's rollouts to the reference's at the step size that they share."""
        return self.at_shared[rule] / self.at_shared[self.regime.reference]

    def sizes(self, rule: str) -> Float:
        """Step sizes to run the rule at."""
        if not self.regime.bowl:
            return rounded(self.forecasts[self.regime.reference].best[0] * OPEN_SIZES)
        return rounded(self.forecasts[rule].best[0] * SIZES[self.policy])

    def resolvable(self, rule: str, seeds: int) -> float:
        """The smallest ratio to the reference that so many seeds of either see, if they share nothing."""
        spreads = [self.forecasts[each].best[2] for each in (rule, self.regime.reference)]
        return math.exp(smallest_seen(math.hypot(*spreads) / math.sqrt(seeds)))


def expected(cell: Cell, regime: Regime, subject: Subject) -> Expected:
    """All of it for a cell. Cost: exact moments of every rule at every point of the path."""
    n, k = regime.n, regime.k
    path = exact_path(subject.world, k, step=regime.flow, steps=regime.flow_steps)
    own_k = regime.k_of(regime.reference)
    amount = planted_amount(subject, regime.reference, RATIO, n=n, k=own_k)
    found: dict[str, Noise] = {}
    for own in {regime.k_of(rule) for rule in cell.rules}:
        names = [rule for rule in cell.rules if regime.k_of(rule) == own]
        found |= noises(subject, path, names, n=n, k=own, amount=amount, reference=regime.reference)
    size, steps, _ = forecast(path, found[regime.reference], regime.run(cell.policy)).best
    decay = float(rounded(1 / (HALF * steps * size))) if cell.policy == "decaying" else 0.0
    run = regime.run(cell.policy, decay)
    climbing = [rule for rule in cell.rules if rule not in ELSEWHERE]
    forecasts = {rule: forecast(path, found[rule], run) for rule in climbing}
    return Expected(
        regime=regime,
        policy=cell.policy,
        path=path,
        noises=found,
        amount=amount,
        decay=decay,
        shared=float(rounded(SHARED * forecasts[regime.reference].best[0])),
        forecasts=forecasts,
    )


def rounded(values: Float | float) -> Float:
    """To three digits: runs do not hang on the last bit of a forecast, which depends on the machine."""
    return np.array([float(f"{each:.3g}") for each in np.ravel(values)]).reshape(np.shape(values))
