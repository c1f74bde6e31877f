"""What each outcome adds to an update, and these contributions by reward level and by length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ...core.arrays import Float, Int


@dataclass(frozen=True, eq=False)
class Contributions:
    r"""A sum over rollouts, ``h(T) sum_i f_{o_i} (A_i^+ U^+_{o_i} + A_i^- U^-_{o_i} + W_{o_i})``.

    Attributes
    ----------
    positive, negative
        ``U^+`` and ``U^-``, (M, d): what an outcome adds for an advantage of 1, by its sign.
    constant
        ``W``, (M, d): what it adds whatever the advantage, a penalty on the divergence; None for nothing.
    counted
        Tokens of an outcome that the normaliser counts, (M,); all 0 where it counts none.
    factors
        ``f`` of an outcome by its own length, (M,).
    normaliser
        ``h`` of T, the tokens counted in the group.
    cancel
        Whether ``U^+`` and ``U^-`` are multiples of the scores of the policy that draws, so that they average
        to 0 over all outcomes.
    """

    positive: Float
    negative: Float
    constant: Float | None
    counted: Int
    factors: Float
    normaliser: Callable[[Int], Float]
    cancel: bool


@dataclass(frozen=True, eq=False)
class ByLevel:
    """Contributions of the outcomes of each reward level, split by the tokens that they count.

    Attributes
    ----------
    values, probabilities
        Reward levels that can occur, ascending, and their chances, (L,).
    least, unit
        The fewest tokens that an outcome counts, and the common divisor of how many more others do; 0 and 1
        where prompts are to share a count.
    spare
        Units that are counted beyond the least, ascending, (S,).
    shares
        ``P(spare | level)``, (L, S).
    sums
        ``E[U; spare | level]``, (L, 3, S, d): positive, negative, constant; 2 columns where there is no
        constant.
    products
        ``E[<U_a, U_b>; spare | level]`` for each of ``pairs``, twice where a and b differ, (L, pairs, S).
    """

    values: Float
    probabilities: Float
    least: int
    unit: int
    spare: Int
    shares: Float
    sums: Float
    products: Float

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Pairs of columns of ``sums``, each once."""
        columns = self.sums.shape[1]
        return [(a, b) for a in range(columns) for b in range(a, columns)]

    @property
    def inner(self) -> Float:
        """Inner products of all ``sums``, (L a S, L a S)."""
        flat = self.sums.reshape(-1, self.sums.shape[-1])
        return np.asarray(flat @ flat.T)


def by_level(parts: Contributions, probabilities: Float, rewards: Float, *, alone: bool = True) -> ByLevel:
    """The contributions under a policy that is sampled with these probabilities (M,). Cost O(M d).

    ``alone``: tokens are counted from the least and in units of their own, not in those of other prompts.
    """
    possible = np.flatnonzero(probabilities > 0)
    weights, factors = probabilities[possible], parts.factors[possible]
    values, level = np.unique(rewards[possible], return_inverse=True)
    counted = parts.counted[possible]
    least = int(counted.min()) if alone else 0
    unit = max(1, int(np.gcd.reduce(counted - least))) if alone else 1
    spare, size = np.unique((counted - least) // unit, return_inverse=True)
    columns = [parts.positive, parts.negative, *([] if parts.constant is None else [parts.constant])]
    given = np.stack([each[possible] for each in columns], axis=1)
    mass = np.bincount(level, weights)
    cell = level * len(spare) + size
    shape = (len(values), len(spare))
    cells = shape[0] * shape[1]
    sums = cell_sums(weights[:, None, None] * given, factors, weights, cell, cells, cancel=parts.cancel)
    share = weights / mass[level]
    pairs = [(a, b) for a in range(len(columns)) for b in range(a, len(columns))]
    inner = (np.einsum("od,od->o", given[:, a], given[:, b]) * (1 if a == b else 2) for a, b in pairs)
    products = np.stack(
        [np.asarray(np.bincount(cell, share * factors**2 * each, cells), np.float64) for each in inner]
    )
    return ByLevel(
        values=values,
        probabilities=mass / mass.sum(),
        least=least,
        unit=unit,
        spare=spare,
        shares=np.bincount(cell, share, cells).reshape(shape).astype(np.float64),
        sums=sums.reshape(*shape, len(columns), -1).swapaxes(1, 2) / mass[:, None, None, None],
        products=products.reshape(len(pairs), *shape).swapaxes(0, 1),
    )


def cell_sums(weighted: Float, factors: Float, mass: Float, cell: Int, cells: int, *, cancel: bool) -> Float:
    """Sums (cells, a, d) of ``factors * weighted`` over the rows (E, a, d) of each cell (E,).

    ``cancel``: the first two columns of ``weighted`` add up to 0, and the likeliest cell takes its sum from
    the others': where success is rare, the failures' own sum is rounding. Of factors that vary within that
    cell, what they have beyond its likeliest row's is added.
    """
    rows, shape = weighted.reshape(len(cell), -1), (cells, *weighted.shape[1:])
    into = sparse.csr_array((factors, (cell, np.arange(len(cell)))), shape=(cells, len(cell)))
    sums = np.asarray(into @ rows).reshape(shape)
    if cancel:
        likeliest = int(np.bincount(cell, mass, cells).argmax())
        inside = cell == likeliest
        factor = factors[inside][int(mass[inside].argmax())]
        found = np.where(inside, factors - factor, -factor) @ rows
        sums[likeliest, :2] = found.reshape(shape[1:])[:2]
    return sums


def along(parts: Contributions, direction: Float) -> Contributions:
    """The contributions seen along a direction (d,), as vectors of one number."""
    constant = None if parts.constant is None else (parts.constant @ direction)[:, None]
    return Contributions(
        (parts.positive @ direction)[:, None],
        (parts.negative @ direction)[:, None],
        constant,
        parts.counted,
        parts.factors,
        parts.normaliser,
        parts.cancel,
    )
