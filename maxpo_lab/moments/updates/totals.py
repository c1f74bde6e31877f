r"""Averages over the tokens that a group counts in all, exactly, whatever the lengths.

The total T of n rollouts is a whole number with the generating function ``prod_i z_i(x)``, so the average of
``h(T)`` times anything that factors over rollouts is a sum over roots of unity,

.. math:: E[h(T) \prod_i y_i] = \sum_j w_j \prod_i E[y_i x_j^{\ell_i}], \qquad
          x_j = e^{2 \pi i j / N}, \quad w_j = \tfrac1N \sum_{t < N} h(t) x_j^{-t},

exact for every h as soon as N exceeds the largest total: no quadrature to choose, ``1/T`` and ``1/T^2``
alike. Lengths count from the least, in units of their common divisor, so equal lengths need one point. For
real numbers the points come in conjugate pairs, and half of them will do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.fft import next_fast_len

from ...core.arrays import Float, Int

Complex = npt.NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class Roots:
    """The N-th roots of unity on the upper half of the circle: J = N // 2 + 1 of them, the first 1."""

    size: int

    @classmethod
    def beyond(cls, largest: int) -> Self:
        """Roots for totals up to this one: of the least order that transforms are quick at."""
        return cls(next_fast_len(largest + 1, real=True))

    def __len__(self) -> int:
        return self.size // 2 + 1

    def values(self, exponents: Int, coefficients: Float) -> Complex:
        """Polynomials with coefficients (E, ...) of these powers (E,), at the roots, (J, ...).

        Cost O(N log N) each; O(1) where there is one root.
        """
        if self.size == 1:
            return np.asarray(coefficients.sum(axis=0, keepdims=True), dtype=complex)
        rows = coefficients.reshape(len(exponents), -1).T
        at = exponents % self.size
        dense = np.stack([np.bincount(at, row, self.size) for row in rows])
        values = np.conj(np.fft.rfft(dense, axis=1))
        return np.asarray(values.T.reshape(-1, *coefficients.shape[1:]))

    def coefficients(self, values: Complex, exponents: Int) -> Float:
        """``Re sum_j values_j x_j^e`` for these e (E,), of values (J, ...): (E, ...)."""
        if self.size == 1:
            return np.repeat(values.real, len(exponents), axis=0)
        rows = values.reshape(len(values), -1).T
        found = self.size * np.fft.ifft(rows, self.size, axis=1).real[:, exponents % self.size]
        return np.asarray(found.T.reshape(-1, *values.shape[1:]))

    def weights(self, function: Float) -> Complex:
        """``w_j`` (J,) with ``E h(T) = Re sum_j w_j E x_j^T``, of ``h`` at every total from 0."""
        fold = np.full(len(self), 2.0)
        fold[0] = 1.0
        if self.size % 2 == 0:
            fold[-1] = 1.0
        return np.asarray(np.fft.fft(function, self.size)[: len(self)] * (fold / self.size))
