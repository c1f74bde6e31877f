"""The rows of rewards, and lengths, on which a rule of several rewards is judged: small grids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np

from ...core.arrays import Float, Int
from ...moments import states
from ...objectives import VectorObjective, as_vector_objective
from ..decide.claims import Where

#: Values of a reward: binary fractions, so that sums are exact, and gaps of two kinds.
VALUES = {"binary": (0.0, 1.0), "graded": (0.0, 0.25, 1.0)}
#: Lengths of a response, in tokens.
LENGTHS = (1.0, 3.0)
#: Groups of a grid that is judged on, at most.
_GROUPS = 10_000


@dataclass(frozen=True, kw_only=True)
class RowSetting(Where):
    """What a claim of a rule of several rewards is decided for.

    Attributes
    ----------
    reward_weights
        Those of the objective, one a reward.
    lengths
        Whether rows end with the length of the response.
    exclusive
        Whether no rollout has more than one reward: of rules that refuse others.
    """

    reward_weights: tuple[float, ...]
    lengths: bool = False
    exclusive: bool = False

    @property
    def table(self) -> Float:
        """The rows (L, d), with a length in one more column where the rule takes one."""
        table = _table(replace(self, k=1, target="mean", allow_scale=False, unit=1.0)).copy()
        table[:, : len(self.reward_weights)] *= self.unit
        return table

    @property
    def objective(self) -> VectorObjective:
        """The target at this group size, on these rows."""
        return self.named(self.target)

    def named(self, target: str, weights: tuple[float, ...] | None = None) -> VectorObjective:
        """An objective by name, at the weights of the setting or at others."""
        rewards = self.table[:, : len(self.reward_weights)]
        return as_vector_objective(
            target, self.n, self.k, weights=weights or self.reward_weights, table=rewards
        )


class TooManyRowsError(ValueError):
    """More groups of rows than can be evaluated."""


def grids(rewards: str, d: int, *, lengths: bool = False) -> Iterator[tuple[Float, bool]]:
    """Tables of rows of a kind of rewards, the richest first, and whether no row has two rewards."""
    ends, tail = VALUES["binary"], [LENGTHS] if lengths else []
    if rewards == "graded":
        graded = VALUES["graded"]
        yield np.array([*product(*[graded] * d, *tail)]), False
        yield np.array([*product(graded, *[ends] * (d - 1), *tail)]), False
    yield np.array([*product(*[ends] * d, *tail)]), False
    single = np.concatenate([np.zeros((1, d)), np.eye(d)])
    yield (
        np.array([[*row, *length] for row in single.tolist() for length in product(*tail)]),
        True,
    )


@lru_cache(maxsize=64)
def _table(at: RowSetting) -> Float:
    """The richest rows of a setting of which there are not too many groups."""
    n, d = at.n, len(at.reward_weights)
    for table, single in grids(at.rewards, d, lengths=at.lengths):
        size = len(table)
        groups = states.number_of_counts(n, size) if at.equivariant else size**n
        if (single or not at.exclusive) and groups <= (5 * _GROUPS if single else _GROUPS):
            return table
    arranged = (
        "" if at.equivariant else ", of a rule that depends on the order of rollouts in all arrangements"
    )
    raise TooManyRowsError(
        f"n={n} with {d} rewards{arranged}: too many groups to decide on; audit it at a smaller n"
    )


@lru_cache(maxsize=16)
def groups_of(n: int, size: int) -> Int:
    """Numbers of rows (B, n) of all groups, by counts of ``size`` rows, the simplest first, made once."""
    blocks = states.count_blocks(n, np.full(size, 1.0 / size))
    level = np.concatenate([block.level for block in blocks])
    found: Int = level[np.argsort(level.sum(axis=1), kind="stable")]
    found.setflags(write=False)
    return found


def some_groups(table: Float, n: int, most: int) -> Float:
    """Rows (B, n, c) of at most so many groups of a grid, their rollouts in any order."""
    level = groups_of(n, len(table))
    places = np.unique(np.linspace(0, len(level) - 1, most).astype(int))
    return np.asarray(table[np.random.default_rng(5).permuted(level[places], axis=1)])


def free_groups(d: int, n: int, *, lengths: bool, groups: int = 48) -> Float:
    """Rows (B, n, c) of rewards in [0, 1] that are no two alike, the same every time."""
    rng = np.random.default_rng(11)
    columns = [
        rng.permuted((np.arange(n) + 0.5 * rng.random((groups, n))) / n, axis=1)[..., None] for _ in range(d)
    ]
    if lengths:
        columns.append(rng.integers(1, 9, (groups, n, 1)).astype(np.float64))
    return np.concatenate(columns, axis=-1)


def steps_of(table: Float) -> list[tuple[int, int]]:
    """Pairs of rows that differ in one entry, the second by the next larger value there is beside it."""
    found = []
    for low, row in enumerate(table):
        for column in range(table.shape[1]):
            rest = np.delete(table, column, axis=1)
            above = np.flatnonzero(
                (rest == np.delete(row, column)).all(axis=1) & (table[:, column] > row[column])
            )
            if len(above):
                found.append((low, int(above[np.argmin(table[above, column])])))
    return found


def plain_rows(rows: Sequence[Sequence[float]] | Float) -> str:
    """Rows of a group in words: ``[(0, 1), (1, 0)]``."""
    return "[" + ", ".join(map(plain_row, np.asarray(rows, dtype=np.float64))) + "]"


def plain_row(row: Sequence[float] | Float) -> str:
    """A row in words: ``(0, 1)``."""
    return "(" + ", ".join(f"{value:.7g}" for value in row) + ")"
