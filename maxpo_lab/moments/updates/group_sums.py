r"""Moments of an update over the groups that a policy draws: first, second and along a direction.

Given the counts c of the reward levels, rollouts of a level are independent draws from it, whatever their
advantages. With ``T_l^a`` and ``Q_l^a`` the sums of A and A^2 over those of level l with a sign a (for the
constant part: of 1), and ``hat`` an average over the level weighted by ``x`` to the tokens it counts,

.. math:: E[u] &= \sum_j w_j \sum_c P(c) \sum_{l, a} T_l^a \, \hat U_l^a \prod_m \hat z_m^{c_m - [m = l]}, \\
          E[|u|^2] &= \sum_j w'_j \sum_c P(c) \Big( \sum_{l, a, b} \text{own}_l^{ab} \, \widehat{U^a U^b}_l
          \prod_m \hat z_m^{c_m - [m = l]} + \sum_{l a, m b} (T_l^a T_m^b - [l = m] \, \text{own}_l^{ab})
          \langle \hat U_l^a, \hat U_m^b \rangle \prod_i \hat z_i^{c_i - [i = l] - [i = m]} \Big),

points and weights as in ``totals``. Without lengths there is one point, and every ``z`` is 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ...core.arrays import Float, Int
from .. import states
from ..count_sums import sums_by_level
from .contributions import OWN, ByLevel
from .totals import Complex, Points

#: Entries (points x groups) held at a time: 16 MiB.
_ENTRIES = 1 << 20


@dataclass(frozen=True, eq=False)
class Weights:
    """What a rule and the lengths make of each contribution; the vectors themselves are not needed.

    Attributes
    ----------
    mean
        Of ``ByLevel.sums``, (L, a, S).
    own
        Of ``ByLevel.products``, (L, pairs, S).
    across
        Of the inner products of two different rollouts' ``sums``, by points, (J, L a, L a); with ``powers``
        (J, S) of the points and ``at`` (J,), the weights of the points.
    """

    mean: Float
    own: Float
    across: Complex
    powers: Complex
    at: Complex

    def second_moment(self, products: Float, inner: Float) -> float:
        """``E|u|^2`` from the products (L, pairs, S) and the inner products (L a S, L a S) of contributions."""
        size, spare = self.across.shape[-1], self.powers.shape[1]
        table = inner.reshape(size, spare, size, spare)
        seen = np.einsum("js,usvt->juvt", self.powers, table, optimize=True)
        pairs = np.einsum("juvt,jt->juv", seen, self.powers, optimize=True)
        total = np.einsum("j,juv,juv->", self.at, self.across, pairs, optimize=True)
        return float(np.sum(self.own * products) + total.real)


@dataclass(frozen=True, eq=False)
class Group:
    """Some groups: the level of each rollout (B, n), the group's chance (B,), the advantages (B, n)."""

    level: Int
    chance: Float
    advantages: Float


def weights(groups: Iterable[Group], parts: ByLevel, at: Points) -> Weights:
    """Weights of all contributions. Cost O(states points L^2)."""
    size, columns = parts.sums.shape[:2]
    powers = at.x[:, None] ** parts.spare
    z = powers @ parts.shares.T
    pairs = parts.products.shape[1]
    first = np.zeros((len(at.x), size, columns), dtype=complex)
    own = np.zeros((len(at.x), size, pairs), dtype=complex)
    across = np.zeros((len(at.x), size, columns, size, columns), dtype=complex)
    for group in groups:
        sums, products = _sums(group, size, columns)
        counts = sums_by_level(group.level, [np.ones(group.level.shape)], size)[0].astype(np.intp)
        step = max(1, _ENTRIES // len(group.chance))
        for begin in range(0, len(at.x), step):
            here = slice(begin, begin + step)
            _add(first[here], own[here], across[here], z[here], counts, group.chance, sums, products)
    flat = np.einsum("j,jla,js->las", at.weights[0], first, powers, optimize=True).real
    single = np.einsum("j,jlp,js->lps", at.weights[1], own, powers, optimize=True).real
    units = size * columns
    return Weights(flat, single, across.reshape(-1, units, units), powers, at.weights[1])


def _sums(group: Group, size: int, columns: int) -> tuple[Float, Float]:
    """``T`` (B, L, a) and the rollouts' own products (B, L, pairs)."""
    up, down = np.maximum(group.advantages, 0.0), np.minimum(group.advantages, 0.0)
    ones = np.ones_like(up)
    of = [up, down, ones][:columns]
    owned = [of[a] * of[b] * (1 if a == b else 2) for a, b in OWN if max(a, b) < columns]
    found = sums_by_level(group.level, [*of, *owned], size)
    return np.stack(found[:columns], axis=-1), np.stack(found[columns:], axis=-1)


def _add(
    first: Complex,
    own: Complex,
    across: Complex,
    z: Complex,
    counts: Int,
    chance: Float,
    sums: Float,
    products: Float,
) -> None:
    size, columns = sums.shape[1:]
    weighted = chance[:, None, None] * sums
    pairs = [pair for pair in OWN if max(pair) < columns]
    for level in range(size):
        others = _product(z, counts, (level,))
        first[:, level] += others @ weighted[:, level]
        own[:, level] += others @ (chance[:, None] * products[:, level])
        for other in range(level, size):
            product = weighted[:, level, :, None] * sums[:, other, None, :]
            if other == level:
                for index, (a, b) in enumerate(pairs):
                    mine = chance * products[:, level, index]
                    product[:, a, b] -= mine if a == b else mine / 2
                    if a != b:
                        product[:, b, a] -= mine / 2
            rest = _product(z, counts, (level, other))
            found = rest @ product.reshape(len(chance), -1)
            found = found.reshape(-1, columns, columns)
            across[:, level, :, other] += found
            if other != level:
                across[:, other, :, level] += found.swapaxes(1, 2)


def _product(z: Complex, counts: Int, without: tuple[int, ...]) -> Complex:
    """``prod_m z_m^c_m`` without one rollout of each of these levels, (J, B); 1 where there is none."""
    result = np.ones((len(z), len(counts)), dtype=complex)
    for level in range(z.shape[1]):
        left = np.maximum(counts[:, level] - without.count(level), 0)
        if (z[:, level] != 1).any():
            powers = z[:, level, None] ** np.arange(left.max() + 1)
            result *= powers[:, left]
    return result
