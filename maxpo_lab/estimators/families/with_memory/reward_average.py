"""Baselines from a prompt's earlier rewards: a running average."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ....core.arrays import Array, Int, Namespace, on_host, widest
from ....core.numerals import numeral
from ...claims import Claims, Laws
from ...memory import MemoryEstimator, State, of_prompts


@dataclass(frozen=True, kw_only=True, eq=False)
class RunningAverage(MemoryEstimator):
    """The distance from a running average of the prompt's rewards.

    ``A_i = R_i - b``, then ``b <- decay b + (1 - decay) mean``, with b = 0 before the first step.
    """

    decay: float

    def _fresh(self, prompts: int) -> dict[str, npt.NDArray[Any]]:
        return {"baseline": np.zeros(prompts)}

    def _step(
        self, xp: Namespace, rewards: Array, k: int, state: State, prompts: Int
    ) -> tuple[Array, dict[str, npt.NDArray[Any]]]:
        baseline = np.array(state["baseline"], dtype=np.float64)
        wide = xp.astype(rewards, widest(xp), copy=False)
        before = of_prompts(xp, wide, baseline[prompts])
        mean = on_host(xp.mean(wide, axis=-1))
        baseline[prompts] = self.decay * baseline[prompts] + (1 - self.decay) * mean
        return xp.astype(wide - before, rewards.dtype, copy=False), {"baseline": baseline}


def rae(decay: float = 0.95) -> RunningAverage:
    """A running average of the prompt's (or role's) rewards as baseline. ValueError: no decay in [0, 1)."""
    if not 0 <= decay < 1:
        raise ValueError(f"rae:decay={decay}: must be at least 0 and less than 1, e.g. decay=0.95")
    return replace(_RAE, name="rae" if decay == _RAE.decay else f"rae:decay={numeral(decay)}", decay=decay)


_RAE = RunningAverage(
    name="rae",
    title="Running average of the reward",
    equation="A_i = R_i - b, then b <- decay b + (1 - decay) mean, by prompt",
    citation="arXiv 2506.24119 (SPIRAL, role-conditioned advantage estimation); prime-rl",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=True, centered=False),
    laws=Laws(shift_invariant=False),
    degenerate="a flat group gives its distance from the average",
    decay=0.95,
    dead_groups="both",
)

RULES = (_RAE,)
MAKERS = {"rae": rae}
