"""Truncated importance sampling: from the policy that drew the tokens to the one that PPO's ratio starts at."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan
from typing import Literal

from ..core.arguments import check_choice, real_number
from ..core.arrays import Array, Namespace
from .ratios import by_level, within

#: A factor a token, or one for the rollout, the product of its tokens'.
Span = Literal["token", "sequence"]


@dataclass(frozen=True, kw_only=True)
class Correction:
    r"""A constant factor on the loss of a token: ``w = pi_old/pi_behaviour``, held or cut.

    The behaviour policy drew the tokens (an inference engine, or an older policy); the proximal one, pi_old,
    is what PPO's ratio is taken against.

    Attributes
    ----------
    level
        ``"token"``, or ``"sequence"``: the product over the rollout.
    mode
        Beyond its bounds a factor is held there (``"truncate"``, TIS) or 0 (``"mask"``, IcePop).
    lowest, highest
        The bounds; 0 and infinity bind nothing.
    """

    level: Span = "token"
    mode: Literal["truncate", "mask"] = "truncate"
    lowest: float = 0.0
    highest: float = inf

    def __post_init__(self) -> None:
        check_choice("level", self.level, ("token", "sequence"))
        check_choice("mode", self.mode, ("truncate", "mask"))
        lowest, highest = real_number(self.lowest, "lowest"), real_number(self.highest, "highest")
        if not 0 <= lowest < highest or isnan(highest):
            raise ValueError(
                f"lowest={lowest:g}, highest={highest:g}: must have 0 <= lowest < highest, e.g. highest=2"
            )

    def factors(self, xp: Namespace, log_ratios: Array, mask: Array) -> Array:
        """Factors of ``log pi_old - log pi_behaviour`` (..., T), 0 off the mask: (..., T), or (..., 1)."""
        ratio = xp.exp(by_level(xp, log_ratios, mask, self.level))
        lowest = self.lowest if self.lowest > 0 else -inf
        if self.mode == "truncate":
            return within(xp, ratio, lowest, self.highest)
        return xp.where((ratio < lowest) | (ratio > self.highest), 0.0, ratio)
