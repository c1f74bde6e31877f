"""CurveRL: prompts weighted by the distribution of the success rates that earlier batches had."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ....core.arrays import Array, Float, Int, Namespace, on_host, widest
from ...claims import Claims, Laws
from ...memory import MemoryEstimator, State, of_prompts
from ..standardised import deviations


@dataclass(frozen=True, kw_only=True, eq=False)
class RateHistogram(MemoryEstimator):
    r"""Deviations from the group's mean m, weighted by a reversed hazard rate of m.

    .. math:: A_i = w(m) (R_i - m), \qquad w(m) = \frac{f(m)}{F(m)} \text{ for } 0 < m < 1,

    f the histogram, in n+1 bins of [0, 1], of the group means in (0, 1) of the last ``window`` batches, F its
    cumulative sum; those of the batch itself where there are none. A bin that holds none gives 0.

    The state keeps these means, and the step of each.
    """

    window: int

    @property
    def couples(self) -> bool:
        """All prompts are in one histogram."""
        return True

    def _shared(self) -> dict[str, npt.NDArray[Any]]:
        return {"rates": np.zeros(0), "steps": np.zeros(0, dtype=np.int64), "step": np.array(0)}

    def _step(
        self, xp: Namespace, rewards: Array, k: int, state: State, prompts: Int
    ) -> tuple[Array, dict[str, npt.NDArray[Any]]]:
        means = on_host(rewards).astype(np.float64).mean(axis=1)
        mixed = means[(means > 0) & (means < 1)]
        seen = np.asarray(state["rates"], dtype=np.float64)
        weight = _weights(means, seen if len(seen) else mixed, rewards.shape[1] + 1)
        wide = xp.astype(rewards, widest(xp), copy=False)
        found = deviations(xp, wide) * of_prompts(xp, wide, weight)
        step = int(state["step"]) + 1
        rates = np.concatenate([seen, mixed])
        steps = np.concatenate([np.asarray(state["steps"]), np.full(len(mixed), step)])
        kept = steps > step - self.window
        new = {"rates": rates[kept], "steps": steps[kept], "step": np.array(step)}
        return xp.astype(found, rewards.dtype, copy=False), new


def _weights(means: Float, seen: Float, bins: int) -> Float:
    """``f/F`` at the bin of each mean; 0 where all or none succeed, and where f is 0."""
    count = np.bincount(_bin(seen, bins), minlength=bins)
    share = count / np.maximum(np.cumsum(count), 1)
    return np.where((means > 0) & (means < 1), share[_bin(means, bins)], 0.0)


def _bin(means: Float, bins: int) -> Int:
    return np.minimum((means * bins).astype(np.intp), bins - 1)


def curverl(window: int = 10) -> RateHistogram:
    """CurveRL with a histogram of so many batches. ValueError: a window below 0."""
    if window < 0:
        raise ValueError(f"curverl:window={window}: at least 0 batches, with which it is the batch's own")
    name = "curverl" if window == _CURVERL.window else f"curverl:window={window}"
    return replace(_CURVERL, name=name, equation=_equation(window), window=window)


def _equation(window: int) -> str:
    batches = f"the last {window} batches" if window else "the batch"
    return (
        f"A_i = f(m)/F(m) (R_i - m), 0 < m < 1, f and F a histogram of n+1 bins of groups' m in (0, 1) of "
        f"{batches}"
    )


_CURVERL = RateHistogram(
    name="curverl",
    title="CurveRL: weights from the distribution of success rates",
    equation=_equation(10),
    citation="arXiv 2605.24331 (CurveRL) Algorithm 1, its code at zhyzmath/CurveRL",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=False, centered=True),
    laws=Laws(shift_invariant=False, scale="none"),
    domain="binary",
    degenerate="a flat group gives 0, and so does a success rate that the window has not seen",
    smallest_group=2,
    window=10,
)

RULES = (_CURVERL,)
#: By the name that takes parameters.
MAKERS = {
    "curverl": curverl,
}
