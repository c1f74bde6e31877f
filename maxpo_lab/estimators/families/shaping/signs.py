"""Rules that treat successes and failures differently: a weight on successes, or a baseline off the mean."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from statistics import mean

from ....core.arrays import Array, Namespace, widest
from ....core.numerals import numeral
from ...base import Estimator
from ...claims import Claims, Laws
from ...paper import Paper
from ...rationals import Group, Signal, exact
from ..standardised import deviations


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightedSuccess(Estimator):
    """A weight for each success and -1 for each failure, whatever the others got.

    It is ``(1 + weight) (R_i - 1/(1 + weight))``: REINFORCE at another scale, less a constant. Its mean is
    ``1 + weight`` times the gradient of the mean reward, and the baseline moves its variance alone.
    """

    weight: float

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        values = xp.astype(rewards, widest(xp))
        return xp.astype(self.weight * values - (1 - values), rewards.dtype)


def w_reinforce(weight: float = 0.1) -> WeightedSuccess:
    """W-REINFORCE; at ``weight=0`` negative sample reinforcement. ValueError: negative or not finite."""
    if not 0 <= weight < float("inf"):
        raise ValueError(f"w-reinforce:weight={weight}: must be finite and at least 0, e.g. weight=0.1")
    told = numeral(weight)
    return WeightedSuccess(
        name="w-reinforce" if weight == 0.1 else f"w-reinforce:weight={told}",
        title="W-REINFORCE",
        equation=f"A_i = {told} for a success, -1 for a failure",
        citation=(
            "arXiv 2506.01347 (PSR, NSR, W-REINFORCE); TianHongZXY/RLVR-Decomposed "
            "compute_psr_nsr_outcome_advantage"
        ),
        objective="mean",
        uses_k=False,
        claims=Claims(unbiased=weight == 0, centered=False),
        domain="binary",
        laws=Laws(shift_invariant=False, scale="none"),
        degenerate=f"no success: -1 for every member; all succeed: {told} for every member",
        dead_groups="both" if weight else "all-fail",
        weight=weight,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class ShiftedBaseline(Estimator):
    """``A_i = R_i - (mean + shift)``: below 0 a shift pays every group, dead ones too."""

    shift: float

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        return xp.astype(deviations(xp, rewards) - self.shift, rewards.dtype)


def asymre(shift: float = -0.1) -> ShiftedBaseline:
    """Asymmetric REINFORCE with its baseline ``shift`` off the mean; ValueError where it is not finite."""
    if not abs(shift) < float("inf"):
        raise ValueError(f"asymre:shift={shift}: must be finite, e.g. shift=-0.1")
    told = f"{'-' if shift > 0 else '+'} {numeral(abs(shift))}"
    return ShiftedBaseline(
        name="asymre" if shift == -0.1 else f"asymre:shift={numeral(shift)}",
        title="Asymmetric REINFORCE",
        equation=f"A_i = R_i - mean {told}",
        citation=(
            "arXiv 2506.20520 (AsymRE); agentscope-ai/Trinity-RFT 0.6.0 ASYMREGroupAdvantage, "
            "baseline_shift=-0.1"
        ),
        objective="mean",
        uses_k=False,
        claims=Claims(unbiased=False, centered=shift == 0),
        laws=Laws(scale="none" if shift else "linear"),
        degenerate=f"a flat group gives {numeral(-shift)} to every member"
        if shift
        else "a flat group gives 0",
        dead_groups="both" if shift else "none",
        smallest_group=2,
        shift=shift,
    )


def _w_reinforce(weight: float) -> Signal:
    """The weight for a success, -1 for a failure."""

    def signal(rewards: Group, k: int) -> list[Fraction]:
        return [Fraction(weight) if r else Fraction(-1) for r in exact(rewards)]

    return signal


def _asymre(shift: float) -> Signal:
    """``R_i - (mean + shift)``."""

    def signal(rewards: Group, k: int) -> list[Fraction]:
        group = exact(rewards)
        return [r - (mean(group) + Fraction(shift)) for r in group]

    return signal


PAPERS = {
    "2506.01347": Paper(
        "Zhu, Xinyu and Xia, Mengzhou and Wei, Zhepei and Chen, Wei-Lin and Chen, Danqi and Meng, Yu",
        "The Surprising Effectiveness of Negative Reinforcement in LLM Reasoning",
    ),
    "2506.20520": Paper(
        'Arnal, Charles and Narozniak, Ga{\\"e}tan and Cabannes, Vivien and Tang, Yunhao and Kempe, Julia '
        "and Munos, R{\\'e}mi",
        "Asymmetric REINFORCE for off-Policy Reinforcement Learning: Balancing positive and negative rewards",
    ),
}
RULES = (w_reinforce(), asymre())
MAKERS = {"w-reinforce": w_reinforce, "asymre": asymre}
DEFINITIONS: dict[str, Signal] = {"w-reinforce": _w_reinforce(0.1), "asymre": _asymre(-0.1)}
RATIONAL = frozenset(DEFINITIONS)
