r"""The objective of a GaussianBandit by quadrature, and its derivative.

With ``Q(y) = P(y < x <= 1)`` for a rollout x, the best of K rewards ``x^2`` exceeds ``y^2`` unless all K
rollouts miss ``(y, 1]``, so that

.. math:: J_K = \int_0^1 2y \, \big(1 - (1 - Q(y))^K\big) \, dy, \qquad
          J_K' = \int_0^1 2y \, K (1 - Q(y))^{K-1} \, \big(\varphi(y) - \varphi(1)\big) \, dy,

the dash a derivative in the mean and phi the density of x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import fsum

import numpy as np
from scipy import integrate, special

#: Relative error of each integral, at most.
ACCURACY = 1e-10
# The integrands change on the scale of sigma, at the mean and at the ends of [0, 1], and much faster at an
# end that lies far in the tail: panels are short there.
_AROUND_MEAN = np.array([-12.0, -8.0, -5.0, -3.0, -1.5, 0.0, 1.5, 3.0, 5.0, 8.0, 12.0])
_FROM_ENDS = 2.0 ** np.arange(-8, 4)


@dataclass(frozen=True)
class GaussianObjective:
    """The objective for rollouts with this mean and standard deviation."""

    mean: float
    sigma: float

    def max_at_k(self, k: int) -> float:
        """``J_K``, to a relative error of 1e-10."""
        return self._integral(lambda y: -2.0 * y * np.expm1(k * self._log_miss(y)))

    def slope(self, k: int) -> float:
        """The derivative of ``J_K`` in the mean.

        The difference of what rollouts that come into reach gain and what those that go beyond 1 lose,
        each to a relative error of 1e-10. RuntimeError where the quadrature cannot reach it: at a mean of 1
        within sigma / K, for K sigma^-1 above 10^10.
        """

        def density(y: float) -> float:
            off = (y - self.mean) / self.sigma
            return float(np.exp(-0.5 * off**2) / (self.sigma * np.sqrt(2 * np.pi)))

        def alone(y: float) -> float:
            return float(2.0 * y * k * np.exp((k - 1) * self._log_miss(y)))

        gained = self._integral(lambda y: alone(y) * density(y))
        lost = density(1.0) * self._integral(alone)
        return gained - lost

    def _log_miss(self, y: float) -> float:
        """``log(1 - Q(y))``, exact to rounding whether Q is near 0 or near 1."""
        low, high = (y - self.mean) / self.sigma, (1.0 - self.mean) / self.sigma
        # A difference of tails, on the side where the tails are small.
        q = special.ndtr(-low) - special.ndtr(-high) if low > 0 else special.ndtr(high) - special.ndtr(low)
        if q < 0.5:
            return float(np.log1p(-q))
        return float(np.logaddexp(special.log_ndtr(low), special.log_ndtr(-high)))

    def _integral(self, function: Callable[[float], float]) -> float:
        """The integral over [0, 1] of a function that is nowhere negative."""
        ends = np.concatenate([self.sigma * _FROM_ENDS, 1.0 - self.sigma * _FROM_ENDS])
        breaks = np.concatenate([self.mean + self.sigma * _AROUND_MEAN, ends])
        edges = np.unique(np.clip(np.concatenate([breaks, [0.0, 1.0]]), 0.0, 1.0))
        # One panel at a time: QUADPACK's extrapolation over break points overstates its error by orders.
        panels = [
            integrate.quad(function, *panel, epsabs=0.0, epsrel=ACCURACY / 10, full_output=1)[:2]
            for panel in pairwise(edges)
        ]
        value, error = (fsum(part) for part in zip(*panels, strict=True))
        if not error <= ACCURACY * value:
            raise RuntimeError(
                f"quadrature at mean={self.mean}, sigma={self.sigma} reached {value:.12g} with an error of "
                f"{error:.3g}, not the relative {ACCURACY:g} that is promised"
            )
        return float(value)
