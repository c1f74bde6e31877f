r"""Averages over the tokens that a group counts in all, exactly, whatever the lengths.

The total T of n rollouts is a whole number with the generating function ``prod_i z_i(x)``, so the average of
``h(T)`` times anything that factors over rollouts is a sum over roots of unity,

.. math:: E[h(T) \prod_i y_i] = \sum_j w_j \prod_i E[y_i x_j^{\ell_i}], \qquad
          x_j = e^{2 \pi i j / N}, \quad w_j = \tfrac1N \sum_{t < N} h(t) x_j^{-t},

exact for every h as soon as N exceeds the largest total: no quadrature to choose, ``1/T`` and ``1/T^2`` alike.
Only lengths beyond the least count, so equal lengths need one point. For real numbers the points come in
conjugate pairs, and half of them will do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...core.arrays import Float

Complex = npt.NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class Points:
    """Points ``x`` (J,) on the upper half of the unit circle, and weights of each function there, (2, J).

    ``Re sum_j w_j F(x_j)`` is the average of ``h`` for the first weights, of ``h^2`` for the second.
    """

    x: Complex
    weights: Complex


def points(normaliser: Float) -> Points:
    """Points for totals 0 .. N-1 at which ``h`` is ``normaliser`` (N,). Cost O(N log N)."""
    size = len(normaliser)
    half = size // 2 + 1
    x = np.exp(2j * np.pi * np.arange(half) / size)
    fold = np.full(half, 2.0)
    fold[0] = 1.0
    if size % 2 == 0 and size > 1:
        fold[-1] = 1.0
    weights = np.stack([np.fft.fft(h)[:half] * (fold / size) for h in (normaliser, normaliser**2)])
    return Points(x, weights)
