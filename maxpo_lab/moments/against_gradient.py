r"""A mean gradient against the exact one: bias, scale and angle, and what rounding hides of them.

Cut the mean into its parts along and across ``u = grad J / |grad J|``,

.. math:: E g = a u + w, \qquad w \perp u: \qquad
          \text{scale } c = \frac{a}{|\nabla J|}, \qquad \text{angle } = \operatorname{atan2}(|w|, a).

The angle is taken from both parts: a cosine tells no angle below ``sqrt(2 eps) = 2e-8`` from 0.

Both vectors are sums ``sum_l a_l G_l`` over the reward levels, and rounding moves such a sum by at most
``u sum_l |a_l| |G_l|``, u the rounding of a term relative to its size. ``ROUNDING = 64 eps`` leaves room for
some tens of operations in a term. The sizes of the two:

- The gradient: ``|a_l| <= p_l K max|R|``: the gains from reward 0 to level l, each times K and a mean of
  the objective's weights, which are at most 1. The sum is at most ``K max|R| max|G|``
  (``gradient_rounding``). A relative bias below ``64 eps K max|R| max|G| / |grad J|``, its *resolution*, is
  none to rounding.
- The mean: ``a_l = p_l E[A_i | level l]``, and ``sum_l |a_l| <= E|A| <= rms A``: the sum is at most
  ``rms(A) max|G|`` (``mean_rounding``). A mean no longer than 64 eps of that is 0 to rounding.

A direction is defined where neither vector is 0 so far. The mean over prompts of such vectors rounds by no
more than the mean of their bounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.arrays import EPS, Float
from ..objectives import Objective, VectorObjective
from ..policies.levels import RewardLevels

#: Rounding of a sum of terms, compared with the sum of their sizes.
ROUNDING = 64 * EPS
#: An angle in radians that is none, whatever the resolution.
STRAIGHT = 1e-6


@dataclass(frozen=True, eq=False)
class AgainstGradient:
    """The mean of an estimate next to the exact gradient, in orthonormal coordinates; see the module.

    What is relative to the gradient is NaN where that is 0.

    Attributes
    ----------
    mean, gradient
        The two vectors, (d,).
    along, across
        The mean's component along the gradient, and the part across it, (d,).
    length
        ``|grad J|``.
    rounding, vanishing
        What rounding can make of ``|mean - gradient|``, and the length up to which the mean is 0 to it.
    """

    mean: Float
    gradient: Float
    along: float
    across: Float
    length: float
    rounding: float
    vanishing: float

    @property
    def direction(self) -> Float:
        """``grad J / |grad J|``, (d,); NaN where the gradient is 0."""
        return self.gradient / (self.length or float("nan"))

    @property
    def off(self) -> Float:
        """``E g - grad J``, (d,)."""
        return np.asarray(self.mean - self.gradient)

    @property
    def bias(self) -> float:
        """``|E g - grad J|``."""
        return float(np.linalg.norm(self.off))

    @property
    def scale(self) -> float:
        """``c = <E g, grad J> / |grad J|^2``."""
        return self.relative(self.along)

    @property
    def resolution(self) -> float:
        """The least relative bias that is more than rounding; infinite where the gradient is 0."""
        return self.relative(self.rounding) if self.length else float("inf")

    @property
    def angle(self) -> float:
        """Angle between mean and gradient in radians; NaN where either is 0 to rounding."""
        if np.linalg.norm(self.mean) <= self.vanishing:
            return float("nan")
        return angle(float(np.linalg.norm(self.across)), self.along)

    def relative(self, length: float) -> float:
        """A length over the gradient's; NaN where that is 0."""
        return length / (self.length or float("nan"))


def against_gradient(
    mean: Float,
    gradient: Float,
    *,
    along: float | None = None,
    rounding: float = 0.0,
    vanishing: float = 0.0,
) -> AgainstGradient:
    """Compare a mean (d,) with the gradient (d,).

    Parameters
    ----------
    along
        The mean's component along the gradient, where it is known otherwise.
    rounding, vanishing
        From ``gradient_rounding`` and ``mean_rounding``; 0 where noise is far above them.

    Notes
    -----
    Cost O(d).
    """
    length = float(np.linalg.norm(gradient))
    size = length or float("nan")
    if along is None:
        direction = gradient / size
        along = float(mean @ direction)
        across = mean - along * direction
    else:
        across = mean - along * gradient / size
    return AgainstGradient(mean, gradient, along, across, length, rounding, vanishing)


def angle(across: float, along: float) -> float:
    """Angle to the gradient of a vector with these parts, 0 to pi; NaN where both are 0."""
    return float(np.arctan2(across, along)) if across or along else float("nan")


def straight(direction_error: float, resolution: float) -> bool:
    """Whether an angle is none: at most 1e-6, or the resolution where that is more. Not where undefined."""
    return direction_error <= max(STRAIGHT, resolution)


def gradient_rounding(levels: RewardLevels, objective: Objective | VectorObjective) -> float:
    """``64 eps K max|R| max|G|``: what rounding can move the gradient of an objective by.

    Of several rewards ``max|R|`` is the weighted sum over its terms.
    """
    largest = float(np.abs(levels.values).max())
    if isinstance(objective, VectorObjective):
        number = levels.values.astype(np.intp)
        largest = sum(
            abs(weight) * float(np.abs(rewards[number]).max()) for weight, rewards in objective.terms()
        )
    return ROUNDING * objective.size * largest * _largest_score(levels)


def mean_rounding(levels: RewardLevels, advantage_rms: float) -> float:
    """``64 eps rms(A) max|G|``: what rounding can move the mean of a rule with these advantages by."""
    return ROUNDING * advantage_rms * _largest_score(levels)


def _largest_score(levels: RewardLevels) -> float:
    return float(np.linalg.norm(levels.mean_scores, axis=1).max())
