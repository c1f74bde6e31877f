r"""A mean gradient estimate against the exact gradient: bias, scale, angle, and what rounding lets one tell.

With ``m = E g`` and ``grad J`` in any common coordinates,

.. math:: a = \langle m, \nabla J \rangle / |\nabla J|, \qquad \text{scale} = a / |\nabla J|, \qquad
          \text{angle} = \mathrm{atan2}(|m - a \nabla J / |\nabla J||, a) .

**Tolerances.** Both vectors are sums over reward levels of a weight times a mean score. A weight of grad J is
a sum of K products of a reward gap and a probability: its rounding is at most some ``K eps max|R|``, and that
of the vector ``max_l |G_l|`` times as much. So ``resolution`` is ``64 eps K max|R| max|G|``, 64 for the sums
of a binomial table and of a few dozen levels; a relative bias below it is unresolved. In the
same way m is a mean of advantages times mean scores: where its norm is at most ``64 eps rms(A) max|G|`` it is
0 to rounding, and has no direction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]

#: Roundings of a sum of weighted mean scores.
ROUNDING = 64 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class AgainstGradient:
    """How a mean gradient relates to the exact one.

    Attributes
    ----------
    bias, relative_bias
        ``|m - grad J|``, and the same over ``|grad J|``.
    resolution
        The least relative bias that rounding lets one tell from 0.
    scale
        ``c = <m, grad J> / |grad J|^2``.
    direction_error
        Angle between m and grad J in radians; NaN where m is 0 to rounding.

    All but ``bias`` are NaN where the gradient is 0.
    """

    bias: float
    relative_bias: float
    resolution: float
    scale: float
    direction_error: float


def against_gradient(
    mean: Float, gradient: Float, *, rounding: float, vanishing: float, unit: Float | None = None
) -> AgainstGradient:
    """Compare a mean gradient with the exact one, both (d,).

    ``rounding``: what rounding may do to either of them; ``vanishing``: the norm below which the mean is 0 to
    rounding (``resolution`` and ``nothing`` give both). ``unit``: ``grad J / |grad J|``, where it is at hand.
    Cost O(d).
    """
    size = length(gradient)
    if unit is None:
        along = float(mean @ gradient) / size
        across = beside(mean, gradient, along)
    else:
        along = float(mean @ unit)
        across = mean - along * unit
    bias = float(np.linalg.norm(mean - gradient))
    pointed = np.linalg.norm(mean) > vanishing
    return AgainstGradient(
        bias=bias,
        relative_bias=bias / size,
        resolution=rounding / size,
        scale=along / size,
        direction_error=angle(float(np.linalg.norm(across)), along) if pointed else float("nan"),
    )


def length(gradient: Float) -> float:
    """``|grad J|``, NaN where it is 0: nothing relates to a gradient of 0."""
    return float(np.linalg.norm(gradient)) or float("nan")


def beside(mean: Float, gradient: Float, along: float) -> Float:
    """What is left of a mean, (d,), without a length ``along`` the gradient."""
    return np.asarray(mean - along * gradient / length(gradient))


def angle(across: float, along: float) -> float:
    """Angle in radians between the gradient and a vector of these parts, 0 to pi; NaN where both are 0."""
    return float(np.arctan2(across, along)) if across or along else float("nan")


def resolution(drawn: int, largest_reward: float, largest_score: float) -> float:
    """What rounding may do to a gradient: ``64 eps K max|R| max|G|``, K the rollouts the objective draws."""
    return ROUNDING * drawn * largest_reward * largest_score


def nothing(advantage_rms: float, largest_score: float) -> float:
    """The norm below which a mean gradient is 0 to rounding: ``64 eps rms(A) max|G|``."""
    return ROUNDING * advantage_rms * largest_score
