"""Sampled against exact moments: every rule, every specimen; and the CPU against other devices."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from maxpo_lab import Moments, get_estimator
from maxpo_lab.core.arrays import Float

from ...measure import specimens
from ...run.presets import Preset
from .bounds import binomial_score, distance_score
from .rows import Row
from .sampling import Setting, read, seed

if TYPE_CHECKING:
    from maxpo_lab.monte_carlo import RuleMoments

#: Exact value, sampled value, standard error and z-score.
Compared = tuple[float, float, float, float]

#: Quantities that are compared as they are.
FIGURES = (
    "scale",
    "trace_covariance",
    "along_gradient_variance",
    "snr",
    "advantage_rms",
    "advantage_sum_rms",
)
SMOKE = ("bandit, many correct", "bandit, graded")
#: Scores of a network take a backward pass per group and rule: fewer rules, fewer groups.
NETWORKS = ("transformer", "gru, credit")
FEW_RULES = ("rloo", "grpo", "pkpo-s", "pkpo-loo1", "maxpo", "leader")
#: Groups that an interval takes to be honest: of those that are not dead in general; of the dead ones too for
#: the advantages of a rule that divides by the spread of its group, as nothing else varies between groups.
ENOUGH = 50
#: A quantity below this share of the root mean square advantage is 0, of a sum that cancels.
ZERO = 1e-12


@dataclass(frozen=True, slots=True)
class Agreement:
    """All rules on one sample of one specimen."""

    at: Setting
    groups: int

    def rows(self) -> list[Row]:
        """Every quantity of every rule."""
        rules = self.at.usable()
        if self.at.specimen in NETWORKS:
            rules = [name for name in rules if name in FEW_RULES]
        gradient = self.at.exact(rules[0]).gradient
        found = self.at.sample(rules, groups=self.groups, seed=seed(self), gradient=gradient)
        return [
            Row(
                part="agreement",
                **asdict(self.at),
                estimator=name,
                figure=figure,
                groups=self.groups,
                repetitions=1,
                exact=exact,
                sampled=sampled,
                standard_error=error,
                z=z,
            )
            for name in rules
            for figure, (exact, sampled, error, z) in self._of(name, found[name]).items()
        ]

    def _of(self, estimator: str, found: RuleMoments) -> dict[str, Compared]:
        truth = self.at.exact(estimator)
        measured = {figure: _compared(found, truth, figure) for figure in FIGURES}
        matrix = self.at.covariance(estimator)
        if matrix is not None:
            measured |= _mean(found.mean, truth, matrix, self.groups)
        chance = truth.dead_group_probability
        if self.groups * (1 - chance) < ENOUGH:
            measured = {figure: _unjudged(numbers) for figure, numbers in measured.items()}
        elif get_estimator(estimator).laws.scale != "linear" and 0 < self.groups * chance < ENOUGH:
            measured["advantage_rms"] = _unjudged(measured["advantage_rms"])
        dead = read(found, "dead_group_probability")
        z = binomial_score(round(dead.value * self.groups), self.groups, chance)
        return measured | {"dead_group_probability": (chance, dead.value, dead.standard_error, z)}


@dataclass(frozen=True, slots=True)
class Devices:
    """A sample of a device less one of the CPU, from other streams."""

    at: Setting
    groups: int
    device: str

    def rows(self) -> list[Row]:
        """Differences of the quantities of a few rules."""
        gradient = self.at.exact(FEW_RULES[0]).gradient
        here, there = (
            self.at.sample(
                FEW_RULES, groups=self.groups, seed=seed(self, stream), gradient=gradient, device=device
            )
            for stream, device in enumerate(("cpu", self.device))
        )
        rows = []
        for name, figure in product(FEW_RULES, ("scale", "trace_covariance")):
            one, other = (read(moments[name], figure) for moments in (here, there))
            difference = other.value - one.value
            error = math.hypot(one.standard_error, other.standard_error)
            rows.append(
                Row(
                    part="devices",
                    **asdict(self.at),
                    estimator=name,
                    figure=figure,
                    groups=self.groups,
                    repetitions=1,
                    device=self.device,
                    exact=0.0,
                    sampled=difference,
                    standard_error=error,
                    z=difference / error,
                )
            )
        return rows


def _unjudged(numbers: Compared) -> Compared:
    return (*numbers[:3], math.nan)


def _compared(found: RuleMoments, truth: Moments, figure: str) -> Compared:
    estimate, exact = read(found, figure), float(getattr(truth, figure))
    value, error = estimate.value, estimate.standard_error
    zero = ZERO * truth.advantage_rms
    return exact, value, error, z_score(value, error, exact, positive=estimate.positive, zero=zero)


def _mean(mean: Float, truth: Moments, covariance: Float, groups: int) -> dict[str, Compared]:
    """The mean's component along the exact one, and its distance from it, with exact standard errors."""
    length = float(np.linalg.norm(truth.mean))
    direction = truth.mean / length
    along, off = float(mean @ direction), mean - truth.mean
    error = math.sqrt(float(direction @ covariance @ direction) / groups)
    distance, spread = float(np.linalg.norm(off)), math.sqrt(truth.trace_covariance / groups)
    return {
        "mean_along_itself": (length, along, error, z_score(along, error, length)),
        "mean_distance": (0.0, distance, spread, distance_score(off, covariance, groups)),
    }


def z_score(value: float, error: float, exact: float, *, positive: bool = False, zero: float = 0.0) -> float:
    """Standard errors between a sampled and an exact value, in the logarithm where both are ``positive``.

    0 where both are 0, to ``zero``, or the same constant, to rounding, as the sum of the advantages of a rule
    with one in every group; infinite where they differ without a standard error, or one is NaN.
    """
    if abs(value) <= zero and abs(exact) <= zero:
        return 0.0
    if max(error, abs(value - exact)) <= ZERO * abs(exact):
        return 0.0
    if not error > 0 or math.isnan(value) or math.isnan(exact):
        return math.inf
    if positive and min(value, exact) > 0:
        return value * math.log(value / exact) / error
    return (value - exact) / error


def cells(preset: Preset) -> list[Agreement | Devices]:
    """One sample of every specimen, slow ones first; beyond smoke, of some on every GPU of this machine."""
    groups = {"smoke": 1024, "standard": 4096, "paper": 65536}[preset]
    few = {"smoke": 0, "standard": 128, "paper": 1024}[preset]
    accelerators = [] if preset == "smoke" else _accelerators()
    names = SMOKE if preset == "smoke" else tuple(specimens.SUBJECTS)
    return [
        *(Agreement(Setting(name), few if name in NETWORKS else groups) for name in reversed(names)),
        *(Devices(Setting(name), groups, device) for device in accelerators for name in (*SMOKE, "lock")),
    ]


def _accelerators() -> list[str]:
    from maxpo_lab.core import devices  # noqa: PLC0415 - torch is heavy to import

    return [name for name in devices.present() if name != "cpu"]
