"""RiskPO on one group: rewards between two of its quantiles, as in the code of its authors."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor

from ....core.arrays import Array, Namespace
from ....core.numerals import numeral
from ...base import Estimator
from ...claims import Claims, Laws
from ...paper import Paper
from ...rationals import Group, Signal, deviation, exact
from ..standardised import deviations, standard_deviation

#: Added to the distance of the quantiles, and to the standard deviation.
_EPS = 1e-6


def _quantile(xp: Namespace, ranked: Array, share: float) -> Array:
    """Quantile (..., 1) of sorted values (..., n), linear between neighbours, as torch.quantile has it."""
    place = share * (ranked.shape[-1] - 1)
    low = min(int(place), ranked.shape[-1] - 2)
    return ranked[..., low : low + 1] + (place - low) * (
        ranked[..., low + 1 : low + 2] - ranked[..., low : low + 1]
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class BetweenQuantiles(Estimator):
    r"""Rewards cut to the interval between two quantiles of their group, none of them above 0.

    .. math:: A_i = \frac{(R_i - q_a)^+ - (R_i - q_b)^+ + q_a - q_b}{q_b - q_a + \epsilon}
              \Big[ \cdot \frac{1}{\sigma + \epsilon} \Big], \qquad \epsilon = 10^{-6} .

    On 0/1 rewards of a group that lives, a success gets 0 and a failure -1 (over sigma), as with
    ``w-reinforce:weight=0``, but where both quantiles are 0 or both are 1 everyone gets 0: at the quantiles
    0.1 and 0.9, from n = 11 on, a group with a single success, or a single failure, teaches nothing.
    """

    low: float
    high: float
    over_std: bool

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        values = deviations(xp, rewards)
        ranked = xp.sort(values, axis=-1)
        low, high = (_quantile(xp, ranked, share) for share in (self.low, self.high))
        cut = xp.minimum(xp.maximum(values, low), high)
        advantages = (cut - high) / (high - low + _EPS)
        if self.over_std:
            advantages = advantages / (standard_deviation(xp, values, 1) + _EPS)
        return xp.astype(advantages, rewards.dtype)


def riskpo(low: float = 0.1, high: float = 0.9, std: int = 1) -> BetweenQuantiles:
    """RiskPO on a group, over its standard deviation (``std=1``) or not.

    ValueError where the quantiles are not ``0 <= low < high <= 1``, or std is neither 0 nor 1.
    """
    if not 0 <= low < high <= 1:
        raise ValueError(f"riskpo:low={low},high={high}: must be 0 <= low < high <= 1, e.g. low=0.1,high=0.9")
    if std not in (0, 1):
        raise ValueError(f"riskpo:std={std}: must be 1, over the standard deviation, or 0")
    told = {"low": (low, 0.1), "high": (high, 0.9), "std": (std, 1)}
    options = ",".join(
        f"{key}={numeral(value)}" for key, (value, default) in told.items() if value != default
    )
    a, b = f"q{numeral(low)}", f"q{numeral(high)}"
    return BetweenQuantiles(
        name=f"riskpo:{options}" if options else "riskpo",
        title="RiskPO on a group",
        equation=(
            f"A_i = ((R_i - {a})^+ - (R_i - {b})^+ + {a} - {b}) / ({b} - {a} + 1e-6)"
            f"{' / (std1 + 1e-6)' if std else ''}, quantiles of the group"
        ),
        citation=(
            "arXiv 2510.00911 (RiskPO); RTkenny/RiskPO compute_grpo_rvar_outcome_advantage; the paper itself "
            "adds up bundles of prompts and tracks their quantiles"
        ),
        objective="mean",
        uses_k=False,
        claims=Claims(unbiased=False, centered=False),
        laws=Laws(scale="none" if std else "invariant"),
        degenerate="a flat group gives 0, and so does one whose two quantiles are equal",
        smallest_group=2,
        low=low,
        high=high,
        over_std=bool(std),
    )


def _exact_quantile(group: list[Fraction], share: float) -> Fraction:
    """The value at the place ``share (n-1)`` of the sorted group, counted from 0, linear in between."""
    ranked = sorted(group)
    place = Fraction(share) * (len(ranked) - 1)
    below = floor(place)
    part = place - below
    return ranked[below] if not part else (1 - part) * ranked[below] + part * ranked[below + 1]


def _riskpo(low: float, high: float, std: int) -> Signal:
    """The part of a reward between the quantiles, less their distance, over it; over std1, to 50 digits."""

    def signal(rewards: Group, k: int) -> list[Fraction]:
        group, eps = exact(rewards), Fraction(1e-6)
        a, b = _exact_quantile(group, low), _exact_quantile(group, high)
        scale = deviation(group, 1) + eps if std else Fraction(1)
        return [(min(max(r, a), b) - b) / (b - a + eps) / scale for r in group]

    return signal


PAPERS = {
    "2510.00911": Paper(
        "Ren, Tao and Jiang, Jinyang and Yang, Hui and Tian, Wan and others",
        "RiskPO: Risk-based Policy Optimization via Verifiable Reward for LLM Post-Training",
    )
}
RULES = (riskpo(),)
MAKERS = {"riskpo": riskpo}
DEFINITIONS: dict[str, Signal] = {"riskpo": _riskpo(0.1, 0.9, 1)}
