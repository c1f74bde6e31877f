"""What is said before anything is trained: variances along the path, times, ratios, what seeds can see."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from maxpo_lab.core.arrays import Float

from ...measure.power import smallest_seen
from .design import RATIO, Cell, Regime
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

    ``shared`` is the step size that all share, ``decay`` as an ``Arm``'s; ``unit`` is by how much sizes of
    the optimiser are larger than those of plain SGD, by rule.
    """

    regime: Regime
    policy: str
    path: Path
    noises: dict[str, Noise]
    amount: float
    decay: float
    shared: float
    forecasts: dict[str, Forecast]
    unit: dict[str, float]

    def at_shared(self, rule: str) -> float:
        """Steps at the shared size."""
        found = steps_at(self.path, self.noises[rule], np.array([self.shared]), self.regime.run(self.decay))
        return float(found.steps[0])

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

    def rms(self, rule: str) -> float:
        """Root mean square of an entry of a step's gradient, along the path."""
        _, trace = self.traces(rule)
        square = self.path.slope**2 + trace / self.regime.groups
        return float(np.sqrt(self.weights() @ square / self.path.theta.shape[1]))

    def adam_steps(self, rule: str) -> float:
        """Steps of Adam to the target per inverse of its step size, where it drifts along the path.

        Entry by entry it walks ``E g_j / sqrt(v_j)``, v_j the mean so far of ``g_j^2``, whose expectation is
        the signal's square and the noise: more noise makes shorter steps.
        """
        path, noise = self.path, self.noises[rule]
        heights = np.linspace(path.objective[0], self.regime.target, 200)
        square = noise.mean**2 + np.einsum("nii->ni", noise.covariance) / self.regime.groups
        at = np.interp(heights, path.objective, np.arange(len(path.objective)))
        place = np.minimum(at.astype(int), len(path.objective) - 2)
        share = (at - place)[:, None]
        gradient, mean, square = (
            (1 - share) * each[place] + share * each[place + 1]
            for each in (path.gradient, noise.mean, square)
        )
        time, total = 0.0, np.zeros(square.shape[1])
        for i, rise in enumerate(np.diff(heights), start=1):
            size = np.sqrt(total / time) if time else np.sqrt(square[i])
            taken = rise / float(np.sum(gradient[i] * mean[i] / size))
            time, total = time + taken, total + taken * square[i]
        return time

    def ratio(self, rule: str) -> float:
        """Of the rule's rollouts to the reference's, each at its own best step size.

        Under Adam the ratio at one step size, over the ratio of the sizes that noise allows: the loss that it
        leaves is its variance at the target times the size, over the root of the variance so far.
        """
        reference = self.regime.reference
        if self.policy == "Adam":
            (bent, _), (bent_of, _) = self.traces(rule), self.traces(reference)
            so_far = float(self.weights() @ bent / (self.weights() @ bent_of))
            at_target = self._at_target(bent) / self._at_target(bent_of)
            return self.ratio_at_shared(rule) * at_target / float(np.sqrt(so_far))
        if not self.noise_costs:
            return self.ratio_at_shared(rule)
        return self.forecasts[rule].best[1] / self.forecasts[reference].best[1]

    @property
    def noise_costs(self) -> bool:
        """Whether noise lowers the gain of a step on the way, as it does where J is concave."""
        return bool(self.weights() @ self.traces(self.regime.reference)[0] > 0)

    def _at_target(self, values: Float) -> float:
        """What is along the path, where J is the target."""
        return float(np.interp(self.regime.target, self.path.objective, values))

    def ratio_at_shared(self, rule: str) -> float:
        """Of the rule's rollouts to the reference's at the step size that they share."""
        steps = self.adam_steps if self.policy == "Adam" else self.at_shared
        return steps(rule) / steps(self.regime.reference)

    def sizes(self, rule: str) -> Float:
        """Step sizes to run the rule at."""
        if not self.regime.bowl:
            return np.asarray(self.forecasts[self.regime.reference].best[0] * OPEN_SIZES)
        return np.asarray(self.forecasts[rule].best[0] * SIZES[self.policy] * self.unit[rule])

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
    reference = forecast(path, found[regime.reference], regime.run())
    size, steps, _ = reference.best
    decay = 1 / (HALF * steps * size) if cell.policy == "decaying" else 0.0
    forecasts = {rule: forecast(path, found[rule], regime.run(decay)) for rule in cell.rules}
    made = Expected(
        regime=regime,
        policy=cell.policy,
        path=path,
        noises=found,
        amount=amount,
        decay=decay,
        shared=SHARED * forecasts[regime.reference].best[0],
        forecasts=forecasts,
        unit={},
    )
    made.unit.update({rule: made.rms(rule) if cell.policy == "Adam" else 1.0 for rule in cell.rules})
    return made
