"""Rules of a risk-sensitive reward, the log-mean-exp of the group: RS-GRPO and OPMD."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from statistics import mean

from ....core.arrays import Array, Namespace, widest
from ....core.numerals import numeral
from ...base import Estimator
from ...claims import Claims, Laws
from ...paper import Paper
from ...rationals import Group, Signal, exact, exponential, logarithm
from ..standardised import deviations


def _less_largest(xp: Namespace, rewards: Array, factor: float) -> Array:
    """``factor R``, in float64, less the largest of the group: no exponential of it overflows."""
    values = factor * xp.astype(rewards, widest(xp))
    return values - xp.max(values, axis=-1, keepdims=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class RiskSensitive(Estimator):
    r"""The gradient of ``(1/beta) log E e^(beta R)``, with the group's mean in the place of the expectation.

    .. math:: A_i = \frac1\beta \Big( \frac{e^{\beta R_i}}{\frac1n \sum_j e^{\beta R_j}} - 1 \Big) .

    The mean of the group holds R_i itself, so it is biased. As beta falls to 0 it is ``batch-mean``.
    """

    beta: float

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        # e^x - 1 keeps the digits that small differences have.
        weights = xp.expm1(_less_largest(xp, rewards, self.beta))
        mean = 1 + xp.mean(weights, axis=-1, keepdims=True)
        return xp.astype(deviations(xp, weights) / (self.beta * mean), rewards.dtype)


def rs_grpo(beta: float = 2.0) -> RiskSensitive:
    """RS-GRPO at risk sensitivity ``beta``, below 0 averse to risk; ValueError: 0, or not finite."""
    if not 0 < abs(beta) < float("inf"):
        raise ValueError(
            f"rs-grpo:beta={beta}: must be finite and not 0, e.g. beta=2; at 0 it would be batch-mean"
        )
    return RiskSensitive(
        name="rs-grpo" if beta == 2 else f"rs-grpo:beta={numeral(beta)}",
        title="RS-GRPO",
        equation=f"A_i = (e_i / mean e - 1) / {numeral(beta)}, e_i = exp({numeral(beta)} R_i)",
        citation="arXiv 2509.24261 (RS-GRPO); Jackory/RS-GRPO compute_rs_grpo_advantage",
        objective="mean",
        uses_k=False,
        claims=Claims(unbiased=False, centered=True),
        laws=Laws(scale="none"),
        smallest_group=2,
        beta=beta,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class SoftBaseline(Estimator):
    r"""A baseline above the mean: ``A_i = R_i - tau log mean exp(R/tau)``, the rewards' soft maximum."""

    tau: float

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        values = _less_largest(xp, rewards, 1.0)
        above = xp.mean(xp.expm1(values / self.tau), axis=-1, keepdims=True)
        return xp.astype(values - self.tau * xp.log1p(above), rewards.dtype)


def opmd(tau: float = 1.0) -> SoftBaseline:
    """OPMD at temperature ``tau``; ValueError where it is not positive and finite."""
    if not 0 < tau < float("inf"):
        raise ValueError(f"opmd:tau={tau}: must be positive and finite, e.g. tau=1")
    return SoftBaseline(
        name="opmd" if tau == 1 else f"opmd:tau={numeral(tau)}",
        title="OPMD",
        equation=f"A_i = R_i - {numeral(tau)} log mean exp(R / {numeral(tau)})",
        citation=(
            "agentscope-ai/Trinity-RFT 0.6.0 OPMDGroupAdvantage, opmd_baseline=logavgexp; its default, "
            "opmd_baseline=mean, is batch-mean"
        ),
        objective="mean",
        uses_k=False,
        claims=Claims(unbiased=False, centered=False),
        laws=Laws(scale="none"),
        smallest_group=2,
        tau=tau,
    )


def _rs_grpo(beta: float) -> Signal:
    """``(1/beta) (e^(beta (R_i - soft)) - 1)``, ``soft = (1/beta) log mean e^(beta R)``, to 50 digits."""

    def signal(rewards: Group, k: int) -> list[Fraction]:
        b = Fraction(beta)
        group = exact(rewards)
        soft = logarithm(mean(exponential(b * r) for r in group)) / b
        return [(exponential(b * (r - soft)) - 1) / b for r in group]

    return signal


def _opmd(tau: float) -> Signal:
    """``R_i - tau (log sum e^(R/tau) - log n)``, to 50 digits."""

    def signal(rewards: Group, k: int) -> list[Fraction]:
        group = exact(rewards)
        total = sum((exponential(r / Fraction(tau)) for r in group), Fraction(0))
        soft = Fraction(tau) * (logarithm(total) - logarithm(Fraction(len(group))))
        return [r - soft for r in group]

    return signal


PAPERS = {
    "2509.24261": Paper(
        "Jiang, Yuhua and Huang, Jiawei and Yuan, Yufeng and Mao, Xin and Yue, Yu and Zhao, Qianchuan and "
        "Yan, Lin",
        "Risk-Sensitive RL for Alleviating Exploration Dilemmas in Large Language Models",
    )
}
RULES = (rs_grpo(), opmd())
MAKERS = {"rs-grpo": rs_grpo, "opmd": opmd}
DEFINITIONS: dict[str, Signal] = {"rs-grpo": _rs_grpo(2.0), "opmd": _opmd(1.0)}
