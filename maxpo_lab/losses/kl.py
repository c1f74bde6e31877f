r"""KL penalties, in the loss or in the reward: k1, k2 and k3 of ``x = log pi - log pi_ref`` on drawn tokens.

.. math:: k_1 = x, \qquad k_2 = x^2/2, \qquad k_3 = e^{-x} - 1 + x .

k1 and k3 have the mean KL(pi || pi_ref). Differentiated in the loss, k1 gives a gradient of mean 0, k2 that of
the reverse KL, k3 that of the forward KL. Source: Schulman, "Approximating KL divergence" (2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any, Literal

from ..core.arguments import check_choice, finite_number
from ..core.arrays import Array, Namespace
from .ratios import Level, by_level, within
from .tokens import as_tokens

Kind = Literal["k1", "k2", "k3"]
KINDS: tuple[Kind, ...] = ("k1", "k2", "k3")


def divergence(xp: Namespace, kind: str, x: Array) -> Array:
    """The estimate of a token's KL from ``x = log pi - log pi_ref``."""
    if kind == "k1":
        return x
    return x * x / 2 if kind == "k2" else xp.exp(-x) - 1 + x


def slope(xp: Namespace, kind: str, x: Array) -> Array:
    """Its derivative by log pi."""
    if kind == "k1":
        return xp.ones_like(x)
    return x if kind == "k2" else 1 - xp.exp(-x)


@dataclass(frozen=True, kw_only=True)
class Penalty:
    r"""``beta`` times a KL estimate, added to the loss of every token.

    Attributes
    ----------
    kind, beta
        ``"k1"``, ``"k2"`` or ``"k3"``, and its factor.
    gradient
        Another kind whose gradient it has while its value stays: verl's ``k1+`` and ``k3+`` take ``"k2"``.
    weighted
        Times the ratio ``pi/pi_old``, through which a gradient flows: TRL's ``use_bias_correction_kl``.
    log_bound, bound
        x, and the estimate, are held in [-bound, bound]; no gradient flows beyond (verl's k3: 20 and 10).
    against
        Whose log-probabilities x is taken against: ``"reference"``, or ``"old"`` (DRO).
    """

    kind: Kind
    beta: float
    gradient: Kind | None = None
    weighted: bool = False
    log_bound: float = inf
    bound: float = inf
    against: Literal["reference", "old"] = "reference"

    def __post_init__(self) -> None:
        check_choice("kl", self.kind, KINDS)
        finite_number(self.beta, "beta")

    def values(self, xp: Namespace, x: Array, log_ratios: Array, mask: Array, level: Level) -> Array:
        """Beta times the estimate of every token: x and log-ratios (..., T), 0 off the mask."""
        found = self._held(xp, x)
        if self.weighted:
            found = found * xp.exp(by_level(xp, log_ratios, mask, level))
        return self.beta * found

    def slopes(self, xp: Namespace, x: Array, log_ratios: Array, mask: Array, level: Level) -> Array:
        """Beta times the derivative by every token's log pi."""
        if self.gradient is not None:
            found = slope(xp, self.gradient, x)
        else:
            inside = within(xp, x, -self.log_bound, self.log_bound)
            found = slope(xp, self.kind, inside)
            if self.log_bound < inf or self.bound < inf:
                value = divergence(xp, self.kind, inside)
                free = (xp.abs(x) <= self.log_bound) & (xp.abs(value) <= self.bound)
                found = xp.where(free, found, 0.0)
        if self.weighted:
            held = by_level(
                xp, self._held(xp, x), mask, level
            )  # of a whole rollout: the mean over its tokens
            found = (found + held) * xp.exp(by_level(xp, log_ratios, mask, level))
        return self.beta * found

    def _held(self, xp: Namespace, x: Array) -> Array:
        x = within(xp, x, -self.log_bound, self.log_bound)
        return within(xp, divergence(xp, self.kind, x), -self.bound, self.bound)


def penalised_rewards(
    rewards: Any, reference_log_ratios: Any, *, beta: float, mask: Any = None, kind: Kind = "k1"
) -> Array:
    r"""Rewards less a KL penalty: ``R_i - beta sum_t k(x_it)``, before advantages are taken.

    Parameters
    ----------
    rewards
        (..., n).
    reference_log_ratios
        ``x = log pi - log pi_ref`` of the drawn tokens at the policy that drew them, (..., n, T).
    beta
        Factor of the penalty; TRL's RLOO has 0.05.
    mask
        (..., n, T), True or 1 where a token counts; None: all do.
    kind
        ``"k1"``, ``"k2"`` or ``"k3"``. With k1 the mean of the penalty has the gradient of beta KL(pi || ref).

    Returns
    -------
    array (..., n)

    Raises
    ------
    TypeError, ValueError
        As ``Loss.weights``.
    """
    check_choice("kind", kind, KINDS)
    finite_number(beta, "beta")
    tokens = as_tokens(rewards, mask, values="rewards", reference_log_ratios=reference_log_ratios)
    found = divergence(tokens.xp, kind, tokens.logs["reference_log_ratios"])
    return tokens.values[..., 0] - beta * tokens.xp.sum(found, axis=-1)
