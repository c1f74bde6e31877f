"""HA-DW: GRPO, its wins and losses scaled by how far a group is from the mean reward of recent batches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ....core.arrays import Array, Int, Namespace, on_host, widest
from ....core.numerals import numeral
from ...claims import Claims, Laws
from ...memory import MemoryEstimator, State, of_prompts
from ..standardised import deviations, standard_deviation

#: GRPO's epsilon.
_EPS = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class DifficultyAnchor(MemoryEstimator):
    r"""GRPO's y, more of it where a reward is on the far side of the anchor from its group's mean m.

    .. math:: A_i = \text{scale} \cdot e^{-\operatorname{sgn}(m - C) \operatorname{sgn}(y_i) |m - C|}\, y_i,

    with C the mean of the mean rewards of the last ``window`` batches, this one among them. The state keeps
    these.
    """

    window: int
    scale: float

    @property
    def couples(self) -> bool:
        """All prompts are in the anchor, this step's too."""
        return True

    def _shared(self) -> dict[str, npt.NDArray[Any]]:
        return {"means": np.zeros(0)}

    def _step(
        self, xp: Namespace, rewards: Array, k: int, state: State, prompts: Int
    ) -> tuple[Array, dict[str, npt.NDArray[Any]]]:
        host = on_host(rewards).astype(np.float64)
        means = np.append(np.asarray(state["means"], dtype=np.float64), host.mean())[-self.window :]
        wide = xp.astype(rewards, widest(xp), copy=False)
        centered = deviations(xp, wide)
        own = centered / (standard_deviation(xp, centered, 1) + _EPS)
        above = of_prompts(xp, wide, host.mean(axis=1) - means.mean())
        # |m - C| with the sign of m - C is m - C.
        found = self.scale * xp.exp(-above * xp.sign(centered)) * own
        return xp.astype(found, rewards.dtype, copy=False), {"means": means}


def ha_dw(window: int = 10, scale: float = 1.5) -> DifficultyAnchor:
    """HA-DW with an anchor of so many batches. ValueError: fewer than one; a scale that is not positive."""
    if window < 1:
        raise ValueError(f"ha-dw:window={window}: at least 1 batch, this one, e.g. window=10")
    if not 0 < scale < float("inf"):
        raise ValueError(f"ha-dw:scale={numeral(scale)}: must be positive and finite, e.g. scale=1.5")
    told = {"window": (window, 10), "scale": (scale, 1.5)}
    options = ",".join(f"{key}={numeral(value)}" for key, (value, usual) in told.items() if value != usual)
    return replace(
        _HA_DW,
        name=f"ha-dw:{options}" if options else "ha-dw",
        equation=_equation(window, scale),
        window=window,
        scale=float(scale),
    )


def _equation(window: int, scale: float) -> str:
    return (
        f"A_i = {numeral(scale)} exp(-sgn(y_i) (m - C)) y_i, y of grpo, m the group's mean, C that of the "
        f"last {window} batches' mean rewards, this one's among them"
    )


_HA_DW = DifficultyAnchor(
    name="ha-dw",
    title="HA-DW: history-aware difficulty weights",
    equation=_equation(10, 1.5),
    citation=(
        "arXiv 2601.08521 (HA-DW), its code at yangfengkai/HA-DW, whose anchor is a mean of 10 batches where "
        "the paper has a moving average"
    ),
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=False, centered=False),
    laws=Laws(scale="none"),
    smallest_group=2,
    window=10,
    scale=1.5,
)

RULES = (_HA_DW,)
#: By the name that takes parameters.
MAKERS = {
    "ha-dw": ha_dw,
}
