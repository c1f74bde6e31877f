r"""What a prompt's groups make of an update, at the points that stand for totals of tokens.

Rollouts of a reward level are independent draws from it, whatever their advantages. With ``T_l^a`` the sums
of the advantages of level l with a sign a (for the constant part: of 1), ``own_l^{ab}`` the sums of products
of a rollout's own, and ``hat`` an average over the level weighted by ``x`` to the tokens that are counted,

.. math:: N(x) &= \sum_c P(c) \sum_{l, a} T_l^a \, \hat U_l^a \prod_m \hat z_m^{c_m - [m = l]}, \\
          Q(x) &= \sum_c P(c) \Big( \sum_{l, a, b} \text{own}_l^{ab} \, \widehat{U^a U^b}_l
          \prod_m \hat z_m^{c_m - [m = l]} + \sum_{l a, m b} (T_l^a T_m^b - [l = m] \, \text{own}_l^{ab})
          \langle \hat U_l^a, \hat U_m^b \rangle \prod_i \hat z_i^{c_i - [i = l] - [i = m]} \Big), \\
          M(x) &= \sum_c P(c) \prod_m \hat z_m^{c_m},

so that ``E[x^T u] = N(x)``, ``E[x^T |u|^2] = Q(x)`` and ``E[x^T] = M(x)``, T the tokens of the group. Without
lengths there is one point, 1, and every ``z`` is 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from ...core.arrays import Float, Int
from ..count_sums import sums_by_level
from .contributions import ByLevel
from .totals import Complex, Roots

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
class AtRoots:
    """``N``, ``Q`` and ``M`` of a prompt at the roots (J,): linear in the groups.

    Attributes
    ----------
    first
        N as factors of ``hat U``, (J, L, a), by how often a unit's tokens count.
    second
        Q, for each of the views asked for, (J, views).
    mass
        M, (J,).
    """

    first: Mapping[int, Complex]
    second: Complex
    mass: Complex

    def __add__(self, other: AtRoots) -> AtRoots:
        first = dict(self.first)
        for m, each in other.first.items():
            first[m] = first[m] + each if m in first else each
        return AtRoots(first, self.second + other.second, self.mass + other.mass)

    def mean(self, weights: Complex, parts: ByLevel, roots: Roots) -> Float:
        """``Re sum_j w_j N(x_j)``, (d,)."""
        classes = np.sum(
            [
                roots.coefficients(weights[:, None, None] * each, m * parts.spare)
                for m, each in self.first.items()
            ],
            axis=0,
        )
        return np.asarray(np.moveaxis(classes, 0, 2).ravel() @ parts.sums.reshape(-1, parts.sums.shape[-1]))

    def vectors(self, parts: ByLevel, roots: Roots) -> Complex:
        """``N(x_j)`` itself, (J, d)."""
        found = np.zeros((len(roots), parts.sums.shape[-1]), dtype=complex)
        for m, each in self.first.items():
            values = roots.values(m * parts.spare, np.moveaxis(parts.sums, 2, 0))
            found += np.einsum("jla,jlad->jd", each, values, optimize=True)
        return found


def at_roots(draws: Iterable[Draws], parts: ByLevel, seen: Iterable[ByLevel], roots: Roots) -> AtRoots:
    """N, Q, M of a prompt at the roots (J,): Q of the contributions and of what is ``seen`` of them.

    Cost O(groups J L^2) for each block of draws, and O(S^2 L^2 d).
    """
    views = (parts, *seen)
    blocks = (_of_block(block, views, roots) for block in draws)
    return reduce(add, blocks)


def _of_block(block: Draws, views: tuple[ByLevel, ...], roots: Roots) -> AtRoots:
    parts = views[0]
    size, columns = parts.sums.shape[:2]
    # The copies of the first unit make levels of their own: they count its tokens as often.
    level, times = block.level, np.ones(size, dtype=np.intp)
    if block.copies > 1:
        level = np.concatenate([level[:, :1] + size, level[:, 1:]], axis=1)
        times = np.concatenate([times, block.copies * times])
    index = np.arange(len(times)) % size
    z = np.stack(
        [roots.values(m * parts.spare, parts.shares[i]) for m, i in zip(times, index, strict=True)], axis=1
    )
    states = _states(block, level, len(times), columns)
    step = max(1, _ENTRIES // len(block.chance))
    found = [_factors(z[begin : begin + step], states, parts.pairs) for begin in range(0, len(roots), step)]
    first, second, across, mass = (np.concatenate(each) for each in zip(*found, strict=True))
    return AtRoots(
        {int(m): first[:, times == m] for m in np.unique(times)},
        np.stack([_contracted(second, across, times, view, roots) for view in views], axis=1),
        mass,
    )


def _contracted(own: Complex, across: Complex, times: Int, view: ByLevel, roots: Roots) -> Complex:
    """Q at every root: factors of products and of inner products, contracted with them."""
    size, columns, spare, _ = view.sums.shape
    index = np.arange(len(times)) % size
    alone = np.zeros(len(roots), dtype=complex)
    for level, m in enumerate(times.tolist()):
        values = roots.values(m * view.spare, view.products[index[level]].T)
        alone += np.sum(own[:, level] * values, axis=1)
    inner = view.inner.reshape(size, columns, spare, size, columns, spare)
    for level, m in enumerate(times.tolist()):
        for other, q in list(enumerate(times.tolist()))[level:]:
            exponents = m * view.spare[:, None] + q * view.spare
            table = inner[index[level], :, :, index[other]].transpose(1, 3, 0, 2)
            values = roots.values(exponents.ravel(), table.reshape(-1, columns, columns))
            pairs = np.sum(across[:, level, :, other] * values, axis=(1, 2))
            alone += pairs if other == level else 2 * pairs
    return alone


@dataclass(frozen=True, eq=False)
class _States:
    """Groups by level: units (B, L), ``T`` (B, L, a), own products (B, L, pairs); chance and counted (B,)."""

    counts: Int
    sums: Float
    own: Float
    chance: Float
    counted: Float


def _states(block: Draws, level: Int, levels: int, columns: int) -> _States:
    of = [block.sums[..., a] for a in range(columns)]
    own = [of[a] * of[b] for a in range(columns) for b in range(a, columns)]
    found = sums_by_level(level, [*of, *own, np.ones(level.shape)], levels)
    return _States(
        counts=found[-1].astype(np.intp),
        sums=np.stack(found[:columns], axis=-1),
        own=np.stack(found[columns:-1], axis=-1),
        chance=block.chance,
        counted=block.counted,
    )


def _factors(z: Complex, states: _States, pairs: list[tuple[int, int]]) -> tuple[Complex, ...]:
    """Factors of ``hat U`` (J, L, a), of own products (J, L, pairs), of pairs (J, L, a, L, a); and M (J,)."""
    powers = _powers(z, states.counts)
    levels, columns = states.sums.shape[1:]
    weighted = states.chance[:, None, None] * states.sums
    weighted_own = states.chance[:, None, None] * states.own
    first = np.zeros((len(z), levels, columns), dtype=complex)
    second = np.zeros((len(z), levels, len(pairs)), dtype=complex)
    across = np.zeros((len(z), levels, columns, levels, columns), dtype=complex)
    for level in range(levels):
        others = _product(powers, states.counts, (level,))
        first[:, level] = others @ weighted[:, level]
        second[:, level] = others @ weighted_own[:, level]
        for other in range(level, levels):
            product = weighted[:, level, :, None] * states.sums[:, other, None, :]
            if other == level:  # two rollouts, not one twice
                for index, (a, b) in enumerate(pairs):
                    for c, d in {(a, b), (b, a)}:
                        product[:, c, d] -= weighted_own[:, level, index]
            rest = _product(powers, states.counts, (level, other))
            found = (rest @ product.reshape(len(product), -1)).reshape(-1, columns, columns)
            across[:, level, :, other] = found
            across[:, other, :, level] = found.swapaxes(1, 2)
    whole = np.where(states.counted, _product(powers, states.counts, ()), 1.0)
    return first, second, across, np.broadcast_to(whole @ states.chance, len(z))


def _powers(z: Complex, counts: Int) -> list[Complex | None]:
    """Powers 0 .. of each level's z, (J, most + 1); None where it is 1 throughout."""
    most = counts.max(axis=0)
    found: list[Complex | None] = []
    for level in range(z.shape[1]):
        each = np.broadcast_to(z[:, level, None], (len(z), int(most[level]) + 1)).copy()
        each[:, 0] = 1.0
        found.append(np.cumprod(each, axis=1, dtype=complex) if (z[:, level] != 1).any() else None)
    return found


def _product(powers: list[Complex | None], counts: Int, without: tuple[int, ...]) -> Complex:
    """``prod_m z_m^c_m`` without one unit of each of these levels, (J, B); any number where there is none."""
    result: Complex | None = None
    for level, table in enumerate(powers):
        if table is not None:
            factor = table[:, np.maximum(counts[:, level] - without.count(level), 0)]
            result = factor if result is None else result * factor
    return np.ones((1, len(counts)), dtype=complex) if result is None else result
