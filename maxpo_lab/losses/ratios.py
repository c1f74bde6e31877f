r"""What a loss makes of the ratio of policies: the coefficient of a token's score, by the sign of the advantage.

A token of log-ratio ``x = log pi - log pi_old`` gets the weight ``A c+(x)`` where A > 0 and ``A c-(x)`` where
A < 0. A surrogate loss ``-A v(r)`` of ``r = e^x`` has ``c = r v'(r)``; a score loss ``-A c log pi`` has its c
held constant. Coefficients and surrogates come in pairs, for A > 0 and for A < 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import inf
from typing import ClassVar, Literal

from ..core.arguments import check_choice
from ..core.arrays import Array, Namespace

#: For A > 0, and for A < 0.
Pair = tuple[Array, Array]
#: A ratio per token; the geometric mean of a rollout's (GSPO); their product, the ratio of rollouts.
Level = Literal["token", "geometric", "sequence"]


def lengths_of(xp: Namespace, mask: Array, dtype: object) -> Array:
    """Tokens of each rollout, (..., T) to (...), as numbers of a floating type."""
    return xp.sum(xp.astype(mask, dtype), axis=-1)


def by_level(xp: Namespace, log_ratios: Array, mask: Array, level: Level) -> Array:
    """Log-ratios at a level: (..., T), 0 off the mask, to (..., T), or to (..., 1) for a whole rollout.

    A rollout of no tokens has log-ratio 0.
    """
    if level == "token":
        return log_ratios
    total = xp.sum(log_ratios, axis=-1)
    if level == "geometric":
        length = lengths_of(xp, mask, log_ratios.dtype)
        total = total / xp.where(length < 1, 1.0, length)
    return total[..., None]


def within(xp: Namespace, values: Array, lowest: float, highest: float) -> Array:
    """Values held between two bounds; one that is infinite binds nothing."""
    if lowest > -inf:
        values = xp.where(values < lowest, lowest, values)
    return values if highest == inf else xp.where(values > highest, highest, values)


@dataclass(frozen=True, kw_only=True)
class Ratio(ABC):
    """A way to weigh tokens by the ratio of policies. Log-ratios (..., T) are 0 off their mask (..., T).

    ``looks_at_ratios`` is False where every coefficient is 1. A score loss (``scores``) has no surrogate: its
    value is ``-A c log pi``.
    """

    level: Level = "token"
    looks_at_ratios: ClassVar[bool] = True
    scores: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_choice("level", self.level, ("token", "geometric", "sequence"))

    @abstractmethod
    def coefficients(self, xp: Namespace, log_ratios: Array, mask: Array) -> Pair:
        """``c+`` and ``c-``: (..., T) each, or (..., 1) for all tokens of a rollout."""

    def surrogates(self, xp: Namespace, log_ratios: Array, mask: Array) -> Pair:
        """``v+`` and ``v-``, shaped as the coefficients; a score loss has none."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Plain(Ratio):
    """No ratio: ``c = 1``, whatever policy drew the tokens."""

    looks_at_ratios: ClassVar[bool] = False
    scores: ClassVar[bool] = True

    def coefficients(self, xp: Namespace, log_ratios: Array, mask: Array) -> Pair:
        """1, (..., 1)."""
        one = xp.ones_like(log_ratios[..., :1])
        return one, one


@dataclass(frozen=True, kw_only=True)
class Clipped(Ratio):
    r"""PPO's clip on both sides, and the dual clip: held where the ratio is on the wrong side of a bound.

    .. math:: v^+ = \min(r, \text{ceiling}), \qquad v^- = \min(\max(r, \text{floor}), \text{dual}),

    so ``c = r`` within the bounds of its sign (bounds included) and 0 beyond. ``ceiling = 1 + high``,
    ``floor = 1 - low``. With no bound it is importance sampling. ``log_bounds`` hold the log-ratio before it is
    exponentiated, as code does against overflow: no gradient flows beyond them.
    """

    ceiling: float = inf
    floor: float = 0.0
    dual: float = inf
    log_bounds: tuple[float, float] = (-inf, inf)

    def _ratio(self, xp: Namespace, log_ratios: Array, mask: Array) -> tuple[Array, Array]:
        """Ratios, and those through which a gradient flows."""
        logs = by_level(xp, log_ratios, mask, self.level)
        ratio = xp.exp(within(xp, logs, *self.log_bounds))
        if self.log_bounds == (-inf, inf):
            return ratio, ratio
        lowest, highest = self.log_bounds
        return ratio, xp.where((logs >= lowest) & (logs <= highest), ratio, 0.0)

    def coefficients(self, xp: Namespace, log_ratios: Array, mask: Array) -> Pair:
        """``r`` within the bounds of a sign, else 0."""
        ratio, flowing = self._ratio(xp, log_ratios, mask)
        positive = flowing if self.ceiling == inf else xp.where(ratio > self.ceiling, 0.0, flowing)
        negative = flowing if self.floor <= 0 else xp.where(ratio < self.floor, 0.0, flowing)
        return positive, negative if self.dual == inf else xp.where(ratio > self.dual, 0.0, negative)

    def surrogates(self, xp: Namespace, log_ratios: Array, mask: Array) -> Pair:
        """The ratio, held at the bounds of a sign."""
        ratio, _ = self._ratio(xp, log_ratios, mask)
        floor = self.floor if self.floor > 0 else -inf
        return within(xp, ratio, -inf, self.ceiling), within(xp, ratio, floor, self.dual)


@dataclass(frozen=True, kw_only=True)
class Truncated(Ratio):
    """CISPO: ``c = min(max(r, floor), ceiling)``, held constant, for both signs: no token is lost."""

    ceiling: float
    floor: float = 0.0
    log_bounds: tuple[float, float] = (-inf, inf)
    scores: ClassVar[bool] = True

    def coefficients(self, xp: Namespace, log_ratios: Array, mask: Array) -> Pair:
        """The ratio, held between its bounds."""
        logs = within(xp, by_level(xp, log_ratios, mask, self.level), *self.log_bounds)
        held = within(xp, xp.exp(logs), self.floor if self.floor > 0 else -inf, self.ceiling)
        return held, held
