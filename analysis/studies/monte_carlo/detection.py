"""How many groups does sampling need to see a scale that is not 1, which exact moments see at once?"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy.special import expit, logit

from maxpo_lab import Moments, get_estimator

from ...run.presets import Preset
from .rows import Row
from .sampling import SUCCESS, Setting, read, seed

#: Group size where the success is varied.
N = 16
#: Standard errors from which on a sample has seen the bias.
SEEN = 3.0
SPECIMENS = ("lock", "bandit, graded", "bandit, many correct")
#: Where n is varied: 0/1 rewards have n + 1 count states only.
LARGE = "bandit, many correct"
#: Unbiased rules whose samples are asked what they could see.
CERTIFIED = ("maxpo", "pkpo-loo1")
#: Numbers of groups that are worth sampling to confirm.
AFFORDABLE = (200, 20_000)


@dataclass(frozen=True, slots=True)
class Detection:
    """Rules under one policy, each against its own objective; ``repetitions`` samples confirm it."""

    at: Setting
    repetitions: int = 0

    def rows(self) -> list[Row]:
        """Rules that are not claimed to be unbiased, and two that are, for a bias of 1 % that they lack."""
        rows = []
        for name in self.at.usable():
            rule = get_estimator(name)
            truth = self.at.exact(name, rule.objective)
            if rule.claims.unbiased:
                if name in CERTIFIED:
                    rows.append(self._row(name, "scale_one_percent", truth, groups_needed(truth, 0.01)))
                continue
            row = self._row(name, "scale", truth, groups_needed(truth, abs(truth.scale - 1)))
            confirm = self.repetitions and AFFORDABLE[0] <= row.needed <= AFFORDABLE[1]
            rows.append(self._confirmed(row, truth) if confirm else row)
        return rows

    def _confirmed(self, row: Row, truth: Moments) -> Row:
        """The scale from samples of as many groups as are needed, and how many of these saw the bias."""
        name, groups = row.estimator, math.ceil(row.needed)
        estimates = []
        for repetition in range(self.repetitions):
            stream = seed((self, name), repetition)
            found = self.at.sample([name], groups=groups, seed=stream, gradient=truth.gradient)
            estimates.append(read(found[name], "scale"))
        scales = np.array([estimate.value for estimate in estimates])
        errors = np.array([estimate.standard_error for estimate in estimates])
        one = abs(truth.scale - 1) / SEEN * math.sqrt(row.needed / groups)
        mean, error = float(scales.mean()), one / math.sqrt(self.repetitions)
        return replace(
            row,
            groups=groups,
            repetitions=self.repetitions,
            sampled=mean,
            standard_error=error,
            z=(mean - truth.scale) / error,
            error=float(np.sqrt(np.mean((scales - truth.scale) ** 2))) / truth.scale,
            error_expected=one / truth.scale,
            seen=int((np.abs(scales - 1) >= SEEN * errors).sum()),
        )

    def _row(self, name: str, figure: str, truth: Moments, needed: float) -> Row:
        return Row(
            part="detection",
            **asdict(self.at),
            estimator=name,
            figure=figure,
            groups=0,
            repetitions=0,
            exact=truth.scale,
            needed=needed,
        )


def groups_needed(truth: Moments, bias: float) -> float:
    """Groups at which a bias of the scale is 3 standard errors of a sampled one; infinite where it is 0.

    NaN where rounding alone could make the bias. The variance along the gradient over the squares of gradient
    and bias: a closed form, which may ask for less than one group.
    """
    if bias <= 1e-10:
        return math.inf
    if bias <= truth.bias_resolution:
        return math.nan
    size = float(np.linalg.norm(truth.gradient))
    return float(truth.along_gradient_variance or 0.0) * (SEEN / (bias * size)) ** 2


def cells(preset: Preset) -> list[Detection]:
    """Success from rare to frequent at n = 16, and n from 4 to 1024; the base point is sampled too."""
    points = {"smoke": 3, "standard": 13, "paper": 37}[preset]
    names = SPECIMENS[-1:] if preset == "smoke" else SPECIMENS
    grid = {float(f"{p:.6g}") for p in expit(np.linspace(logit(1e-3), logit(0.95), points))}
    sizes = [2**power for power in range(3, {"smoke": 6, "standard": 9, "paper": 11}[preset])]
    times = {"smoke": 4, "standard": 16, "paper": 64}[preset]
    base = [Detection(Setting(name, n=N), times) for name in names]
    varied = [Detection(Setting(name, p, n=N)) for name in names for p in sorted(grid - {SUCCESS})]
    return base + varied + [Detection(Setting(LARGE, n=n)) for n in sizes if n != N]
