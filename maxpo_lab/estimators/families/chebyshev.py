r"""The Chebyshev rule, the lab's own: max@K for K above the group size, as near as n rollouts come.

On 0/1 rewards ``E[g] = f(p) grad p`` with f a polynomial of degree n-1 at most, and max@K asks for
``K x^(K-1)``, ``x = 1-p``: for K > n no rule that looks at one group's rewards is unbiased. Every polynomial
of degree n-1 is some rule's. This one takes the first n terms of the power's series in the Chebyshev
polynomials shifted to [0, 1], with N = K-1 and the first term halved,

.. math:: x^N = 2^{1-2N} \sum_{j=0}^{N}{}' \binom{2N}{N-j} T^*_j(x) \approx \sum_{s=0}^{n-1} b_s x^s ,

and makes it of unbiased rules, ``A = sum over k of lambda_k A^(k)`` with ``lambda_k = K b_(k-1) / k``:
``A^(k)`` is pkpo-loo1 for k >= 2, rloo for k = 1. So it is defined on any rewards, and climbs ``sum lambda_k
max@k``. All terms that are left out are positive multiples of ``T*_j``, which is largest at x = 1: there the
bias is largest. The price is noise: the largest ``|D_m| / K`` (``increments``) is 1 for K not far above n, at
K = 2n it is 1.1, 2.8, 30 and 4800 for n = 8, 16, 32 and 64.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import comb, lcm

import numpy as np

from ...core.arguments import as_group_size, as_k
from ...core.coefficients import Coefficients, Vector, gap_positions, subset_share
from ..base import RankLinear
from ..claims import Claims


def power_series(n: int, k: int) -> list[Fraction]:
    """``b_0..b_(n-1)``: ``x^(K-1)`` cut after n Chebyshev terms; itself for K <= n. Cost O(n^2)."""
    degree = k - 1
    scaled = _scaled_series(n, degree)
    return [Fraction(each, 4**degree) for each in scaled]


def increments(n: int, k: int) -> Vector:
    r"""``D_m = K sum_s b_s C(m, s) / C(n-1, s)``, exact: a success less a failure, m = 0..n-1 others failing.

    The coefficients of f in Bernstein's basis, of degree n-1. Cost O(n^2) additions of integers.
    """
    degree = k - 1
    ways = [comb(n - 1, s) for s in range(n)]
    common = lcm(*ways)
    # A sum of binomials C(m, s), from m = 0 on, as Newton's forward differences.
    row = [each * (common // way) for each, way in zip(_scaled_series(n, degree), ways, strict=True)]
    values = []
    for _ in range(n):
        values.append(Fraction(k * row[0], common * 4**degree))
        row = [own + next_ for own, next_ in pairwise(row)]
    return np.array(values, dtype=object)


def largest_bias(n: int, k: int) -> Fraction:
    r"""The largest ``|f(p) - K (1-p)^(K-1)|``, exact; 0 for K <= n, else reached as p goes to 0.

    .. math:: K\, 2^{1-2N} \sum_{j=n}^{N} \binom{2N}{N-j}, \qquad N = K-1.

    Where success is rare the weight of a prompt is K less this.
    """
    n, k = as_group_size(n), as_k(k)
    degree = k - 1
    return Fraction(2 * k * sum(comb(2 * degree, degree - j) for j in range(n, k)), 4**degree)


def _scaled_series(n: int, degree: int) -> list[int]:
    """``4^N b``, whole numbers."""
    if degree < n:
        return [4**degree * (s == degree) for s in range(n)]
    before, here = [1] + [0] * (n - 1), [-1, 2] + [0] * (n - 2)  # T*_0 and T*_1 by powers of x
    total = [comb(2 * degree, degree) * each for each in before]
    for j in range(1, n):
        twice = 2 * comb(2 * degree, degree - j)
        total = [sofar + twice * each for sofar, each in zip(total, here, strict=True)]
        # T*_(j+1) = 2 (2x - 1) T*_j - T*_(j-1)
        ahead = [4 * low - 2 * own - old for low, own, old in zip([0, *here[:-1]], here, before, strict=True)]
        before, here = here, ahead
    return total


def _chebyshev(n: int, k: int, exact: bool) -> Coefficients:
    m = gap_positions(n, exact=exact)
    if 2 <= k <= n:
        return Coefficients(offset=0, above=k * subset_share(n, k - 1, exact=exact)[1:], below=0 * m)
    # Of b_0, which no difference of two rewards has, rloo's share; at K = 1 all is.
    steps = increments(n, k)
    mean = steps[0]
    positions = gap_positions(n, exact=True)
    above = steps[1:] - mean * (n - 1 - positions) / (n - 1)
    below = -mean * (n - positions) / (n - 1)
    if not exact:
        above, below = above.astype(np.float64), below.astype(np.float64)
    return Coefficients(offset=0, above=above, below=below)


def _why_not(n: int, k: int) -> str | None:
    if k <= 2 * n:
        return None
    return (
        f"chebyshev needs k <= 2n (n={n}, k={k}): beyond it its advantages grow far above K; use pooled, "
        f"which takes earlier rewards of the prompt, a larger group, or k={2 * n}"
    )


CHEBYSHEV = RankLinear(
    name="chebyshev",
    title="Chebyshev",
    equation="A = sum over k <= n of lambda_k A^(k), lambda_k = K b_(k-1)/k; K h for 2 <= K <= n",
    citation="this laboratory; pkpo-loo1 for 2 <= K <= n, rloo at K = 1",
    objective="max@k",
    uses_k=True,
    claims=Claims(unbiased=False, centered=False),
    smallest_group=2,
    largest_k=lambda n: 2 * n,
    table=_chebyshev,
    undefined=_why_not,
)

RULES = (CHEBYSHEV,)
