"""Repeated samples: does the error fall as one over the root of the groups, and do 95% intervals hold 95%?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from ...run.presets import Preset
from .bounds import LEVEL
from .rows import Row
from .sampling import Setting, read, seed

if TYPE_CHECKING:
    from maxpo_lab.monte_carlo import Estimate

FIGURES = ("scale", "trace_covariance")
ERROR_RULES = ("grpo", "pkpo-s", "pkpo-loo1", "maxpo")
ERROR_SPECIMENS = ("lock", "bandit, many correct")
COVERAGE_RULES = ("reinforce", "rloo", "grpo", "maxrl", "pkpo-s", "pkpo-loo1", "maxpo", "leader")
COVERAGE_SPECIMENS = ("maze, graded", "lock", "bandit, graded", "bandit, one correct", "bandit, many correct")
GROUPS = 2000
#: Repetitions of a cell of the coverage.
BLOCK = 50


@dataclass(frozen=True, slots=True)
class Repeated:
    """Samples of one size; ``block`` tells cells apart whose samples are counted together."""

    part: str
    at: Setting
    groups: int
    repetitions: int
    block: int = 0

    def rows(self) -> list[Row]:
        """Errors and missed intervals of every rule and quantity."""
        usable = self.at.usable()
        rules = [name for name in self._rules() if name in usable]
        gradient = self.at.exact(rules[0]).gradient
        samples = []
        for repetition in range(self.repetitions):
            stream = seed(self, repetition)
            found = self.at.sample(rules, groups=self.groups, seed=stream, gradient=gradient)
            samples.append({name: found[name] for name in rules})
        return [
            self._row(name, figure, [read(sample[name], figure) for sample in samples])
            for name, figure in product(rules, FIGURES)
        ]

    def _row(self, name: str, figure: str, estimates: Sequence[Estimate]) -> Row:
        truth = self.at.exact(name)
        exact = float(getattr(truth, figure))
        ends = np.array([estimate.interval(LEVEL) for estimate in estimates])
        values = np.array([estimate.value for estimate in estimates])
        if figure == "scale":
            along = math.sqrt(float(truth.along_gradient_variance or 0.0) / self.groups)
            expected = along / float(np.linalg.norm(truth.gradient))
        else:
            # A variance of a variance has no closed form here: the samples are taken at their word.
            expected = float(np.sqrt(np.mean([estimate.standard_error**2 for estimate in estimates])))
        return Row(
            part=self.part,
            **asdict(self.at),
            estimator=name,
            figure=figure,
            groups=self.groups,
            repetitions=self.repetitions,
            exact=exact,
            sampled=float(values.mean()),
            error=float(np.sqrt(np.mean((values - exact) ** 2))) / abs(exact),
            error_expected=expected / abs(exact),
            below=int((ends[:, 1] < exact).sum()),
            above=int((ends[:, 0] > exact).sum()),
        )

    def _rules(self) -> tuple[str, ...]:
        return ERROR_RULES if self.part == "error" else COVERAGE_RULES


def cells(preset: Preset) -> list[Repeated]:
    """Samples of growing size, the largest first, then many of one size."""
    powers, times, specimens = {
        "smoke": (range(8, 12), 4, ERROR_SPECIMENS[1:]),
        "standard": (range(8, 15), 16, ERROR_SPECIMENS),
        "paper": (range(8, 17), 32, ERROR_SPECIMENS),
    }[preset]
    errors = [
        Repeated("error", Setting(name), 2**power, times) for power in reversed(powers) for name in specimens
    ]
    blocks, size, groups = {
        "smoke": (1, 8, 500),
        "standard": (2, BLOCK, GROUPS),
        "paper": (8, BLOCK, GROUPS),
    }[preset]
    return errors + [
        Repeated("coverage", Setting(name), groups, size, block)
        for name in (COVERAGE_SPECIMENS[-1:] if preset == "smoke" else COVERAGE_SPECIMENS)
        for block in range(blocks)
    ]
