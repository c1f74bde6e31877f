"""Ratios that are weighed smoothly, or clipped before their mean is taken: SAPO, VESPO and GMPO."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log
from typing import ClassVar

from ..core.arrays import Array, Namespace
from .ratios import Level, Pair, Ratio, by_level, held, lengths_of, within


@dataclass(frozen=True, kw_only=True)
class Sigmoid(Ratio):
    r"""SAPO: a soft gate about ratio 1, one temperature for each sign.

    .. math:: v = \frac4\tau \sigma(\tau (r - 1)), \qquad c = 4\, r\, \sigma (1 - \sigma),

    1 at r = 1. Source: arXiv 2511.20347.
    """

    positive: float = 1.0
    negative: float = 1.05
    log_bounds: tuple[float, float] = (-inf, inf)

    def coefficients(self, xp: Namespace, log_ratios: Array, mask: Array) -> Pair:
        """``4 r sigma (1 - sigma)``."""
        ratio, flowing = held(xp, by_level(xp, log_ratios, mask, self.level), self.log_bounds)
        gates = [1 / (1 + xp.exp(-tau * (ratio - 1))) for tau in (self.positive, self.negative)]
        positive, negative = (4 * flowing * gate * (1 - gate) for gate in gates)
        return positive, negative

    def surrogates(self, xp: Namespace, log_ratios: Array, mask: Array) -> Pair:
        """``(4/tau) sigma(tau (r - 1))``."""
        ratio, _ = held(xp, by_level(xp, log_ratios, mask, self.level), self.log_bounds)
        positive, negative = (
            4 / tau / (1 + xp.exp(-tau * (ratio - 1))) for tau in (self.positive, self.negative)
        )
        return positive, negative


@dataclass(frozen=True, kw_only=True)
class Gamma(Ratio):
    r"""VESPO: a Gamma-shaped weight of the ratio of rollouts, held constant.

    .. math:: c = e^{\lambda} w^{k} e^{-\lambda w}, \qquad w = \prod_t r_t,

    with k and lambda for each sign, 1 at w = 1. Every token's log-ratio is held in [-20, 20], and log w in
    [log 1e-8, 20]. Source: arXiv 2602.10693.
    """

    power: tuple[float, float] = (2.0, 3.0)
    decay: tuple[float, float] = (3.0, 2.0)
    scores: ClassVar[bool] = True

    def coefficients(self, xp: Namespace, log_ratios: Array, mask: Array) -> Pair:
        """The weight for each sign, (..., 1)."""
        total = by_level(xp, within(xp, log_ratios, -20.0, 20.0), mask, "sequence")
        logs = within(xp, total, log(1e-8), 20.0)
        ratio = xp.exp(logs)
        positive, negative = (
            xp.exp(decay + power * logs - decay * ratio)
            for power, decay in zip(self.power, self.decay, strict=True)
        )
        return positive, negative


@dataclass(frozen=True, kw_only=True)
class GeometricMean(Ratio):
    r"""GMPO: the geometric mean of ratios that were clipped one by one, each on its sign's side.

    .. math:: v^\pm = \exp\Big(\tfrac1{|o|} \sum_t x^\pm_t\Big), \qquad x^+ = \min(x, \text{high}),
              \quad x^- = \max(x, -\text{low}),

    x the log-ratios; ``c = v`` on the tokens that the clip leaves, 0 on the others. Source: arXiv 2507.20673.
    """

    level: Level = "geometric"
    low: float = 0.2
    high: float = 0.2

    def coefficients(self, xp: Namespace, log_ratios: Array, mask: Array) -> Pair:
        """The mean ratio on the tokens that the clip leaves."""
        positive, negative = self.surrogates(xp, log_ratios, mask)
        return (
            xp.where(log_ratios > self.high, 0.0, positive),
            xp.where(log_ratios < -self.low, 0.0, negative),
        )

    def surrogates(self, xp: Namespace, log_ratios: Array, mask: Array) -> Pair:
        """The mean ratio of each sign, (..., 1)."""
        length = lengths_of(xp, mask, log_ratios.dtype)[..., None]
        length = xp.where(length < 1, 1.0, length)
        positive = xp.sum(within(xp, log_ratios, -inf, self.high), axis=-1, keepdims=True)
        negative = xp.sum(within(xp, log_ratios, -self.low, inf), axis=-1, keepdims=True)
        return xp.exp(positive / length), xp.exp(negative / length)
