r"""What a prompt's groups make of an update, at the points that stand for totals of tokens.

Rollouts of a reward level are independent draws from it, whatever their advantages. With ``T_l^a`` the sums of
the advantages of level l with a sign a (for the constant part: of 1), ``own_l^{ab}`` the sums of products of a
rollout's own, and ``hat`` an average over the level weighted by ``x`` to the tokens that are counted,

.. math:: N(x) &= \sum_c P(c) \sum_{l, a} T_l^a \, \hat U_l^a \prod_m \hat z_m^{c_m - [m = l]}, \\
          Q(x) &= \sum_c P(c) \Big( \sum_{l, a, b} \text{own}_l^{ab} \, \widehat{U^a U^b}_l
          \prod_m \hat z_m^{c_m - [m = l]} + \sum_{l a, m b} (T_l^a T_m^b - [l = m] \, \text{own}_l^{ab})
          \langle \hat U_l^a, \hat U_m^b \rangle \prod_i \hat z_i^{c_i - [i = l] - [i = m]} \Big), \\
          M(x) &= \sum_c P(c) \prod_m \hat z_m^{c_m},

so that ``E[x^T u] = N(x)``, ``E[x^T |u|^2] = Q(x)`` and ``E[x^T] = M(x)``, T the tokens of the group. Without
lengths there is one point, 1, and every ``z`` is 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ...core.arrays import Float, Int
from .. import states
from ..count_sums import sums_by_level
from .contributions import ByLevel
from .totals import Complex

#: Entries (points x groups) held at a time: 16 MiB.
_ENTRIES = 1 << 20


@dataclass(frozen=True, eq=False)
class Draws:
    """Some groups, as units that are drawn independently: a rollout, or all copies of one.

    Attributes
    ----------
    level
        Level of each unit, (B, U).
    chance
        Of each group, (B,).
    sums
        Sums over the copies of a unit of the advantages above 0, below 0, and of 1, (B, U, 3).
    copies
        Copies in the first unit; the other units are one rollout each.
    alive
        Whether a group's rewards are not all alike, (B,), as 0 and 1.
    counted
        Whether a group's tokens count, (B,), as 0 and 1: not where it is dropped.
    """

    level: Int
    chance: Float
    sums: Float
    copies: int
    alive: Float
    counted: Float


@dataclass(frozen=True, eq=False)
class AtPoints:
    """``N``, ``Q`` and ``M`` of a prompt at points (J,): linear in the groups.

    Attributes
    ----------
    first
        N as weights of the contributions ``ByLevel.sums``, (J, L a S).
    second
        Q, for each of the inner products asked for, (J, any).
    mass
        M, (J,).
    """

    first: Complex
    second: Complex
    mass: Complex

    def __add__(self, other: AtPoints) -> AtPoints:
        return AtPoints(self.first + other.first, self.second + other.second, self.mass + other.mass)

    def __truediv__(self, share: float) -> AtPoints:
        return AtPoints(self.first / share, self.second / share, self.mass / share)


def at_points(draws: Iterable[Draws], parts: ByLevel, seen: Iterable[ByLevel], x: Complex) -> AtPoints:
    """N, Q, M of a prompt at points x (J,): Q of the contributions and of what is ``seen`` of them.

    Cost O(groups points L^2) for each block of draws.
    """
    total: AtPoints | None = None
    views = (parts, *seen)
    for block in draws:
        found = _of_block(block, views, x)
        total = found if total is None else total + found
    assert total is not None
    return total


def _of_block(block: Draws, views: tuple[ByLevel, ...], x: Complex) -> AtPoints:
    parts = views[0]
    size, columns = parts.sums.shape[:2]
    single = x[:, None] ** parts.spare
    # The copies of the first unit make levels of their own: they count its tokens as often.
    level = block.level
    powers = [single] * size
    if block.copies > 1:
        level = np.concatenate([level[:, :1] + size, level[:, 1:]], axis=1)
        powers += [single**block.copies] * size
    levels = len(powers)
    z = np.stack([power @ parts.shares[index % size] for index, power in enumerate(powers)], axis=1)
    sums, own, counts = _by_level(block, level, levels, columns)
    z_counted = z
    first = np.zeros((len(x), levels, columns), dtype=complex)
    second = np.zeros((len(x), levels, len(parts.pairs)), dtype=complex)
    across = np.zeros((len(x), levels, columns, levels, columns), dtype=complex)
    mass = np.zeros(len(x), dtype=complex)
    step = max(1, _ENTRIES // len(block.chance))
    for begin in range(0, len(x), step):
        here = slice(begin, begin + step)
        _add(first[here], second[here], across[here], z_counted[here], counts, block.chance, sums, own, parts)
        left = np.where(block.counted, _product(z[here], counts, ()), 1.0)
        mass[here] += left @ block.chance
    table = np.stack(powers, axis=1)
    return AtPoints(
        _folded(np.einsum("jla,jls->jlas", first, table), size).reshape(len(x), -1),
        np.stack([_contracted(second, across, table, view) for view in views], axis=1),
        mass,
    )


def _folded(weights: Complex, size: int) -> Complex:
    """Weights of the levels, those of copies added to those of single rollouts."""
    return weights[:, :size] if weights.shape[1] == size else weights[:, :size] + weights[:, size:]


def _contracted(own: Complex, across: Complex, powers: Complex, view: ByLevel) -> Complex:
    """Q at every point: weights of products and of inner products, contracted with them."""
    size = len(view.probabilities)
    index = np.arange(powers.shape[1]) % size
    alone = np.einsum("jlp,jls,lps->j", own, powers, view.products[index], optimize=True)
    # <U_l(x), U_m(x)> for all pairs, by the polynomials' values at the point.
    values = np.einsum("jls,lasd->jlad", powers, view.reduced[index], optimize=True)
    values = values.reshape(len(powers), -1, values.shape[-1])
    inner = values @ values.swapaxes(1, 2)
    units = inner.shape[1]
    return np.asarray(alone + np.einsum("juv,juv->j", across.reshape(-1, units, units), inner))


def _by_level(block: Draws, level: Int, levels: int, columns: int) -> tuple[Float, Float, Int]:
    """``T`` (B, L, a), own products (B, L, pairs) and how many units (B, L)."""
    of = [block.sums[..., a] for a in range(columns)]
    pairs = [(a, b) for a in range(columns) for b in range(a, columns)]
    own = [of[a] * of[b] for a, b in pairs]
    found = sums_by_level(level, [*of, *own, np.ones(level.shape)], levels)
    return (
        np.stack(found[:columns], axis=-1),
        np.stack(found[columns:-1], axis=-1),
        found[-1].astype(np.intp),
    )


def _add(
    first: Complex,
    second: Complex,
    across: Complex,
    z: Complex,
    counts: Int,
    chance: Float,
    sums: Float,
    own: Float,
    parts: ByLevel,
) -> None:
    levels, columns = sums.shape[1:]
    weighted = chance[:, None, None] * sums
    for level in range(levels):
        others = _product(z, counts, (level,))
        first[:, level] += others @ weighted[:, level]
        second[:, level] += others @ (chance[:, None] * own[:, level])
        for other in range(level, levels):
            product = weighted[:, level, :, None] * sums[:, other, None, :]
            if other == level:
                for index, (a, b) in enumerate(parts.pairs):
                    mine = chance * own[:, level, index]
                    product[:, a, b] -= mine
                    if a != b:
                        product[:, b, a] -= mine
            found = _product(z, counts, (level, other)) @ product.reshape(len(chance), -1)
            found = found.reshape(-1, columns, columns)
            across[:, level, :, other] += found
            if other != level:
                across[:, other, :, level] += found.swapaxes(1, 2)


def _product(z: Complex, counts: Int, without: tuple[int, ...]) -> Complex:
    """``prod_m z_m^c_m`` without one unit of each of these levels, (J, B); any number where there is none."""
    result = np.ones((len(z), len(counts)), dtype=complex)
    for level in range(z.shape[1]):
        if (z[:, level] != 1).any():
            left = np.maximum(counts[:, level] - without.count(level), 0)
            powers = z[:, level, None] ** np.arange(left.max() + 1)
            result *= powers[:, left]
    return result
