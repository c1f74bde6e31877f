"""Every specimen with an oracle, at growing group sizes: is each rule that claims to be unbiased so there?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from maxpo_lab import exact_moments, list_estimators, max_at_k
from maxpo_lab.estimators import group_estimator
from maxpo_lab.moments import MAX_STATES
from maxpo_lab.moments.states import number_of_counts

from ...measure import specimens
from ...run.presets import Preset

SEED = specimens.SEED

#: Where every specimen is measured: rare enough to be sparse, frequent enough to be resolved.
SUCCESS = 0.1
SIZES = (2, 4, 8, 16, 32, 64)
SMOKE = ("bandit, many correct", "lock", "maze, graded")


@dataclass(frozen=True, slots=True)
class Cell:
    """One specimen and group size."""

    specimen: str
    n: int


@dataclass(frozen=True, slots=True)
class Row:
    """One rule that claims to be unbiased, at its worst K of the cell.

    ``parameters`` and ``levels`` are the specimen's d and number of rewards, ``count_states`` the number of
    groups that a black box has to be evaluated on; ``max_at_n`` is ``J_n``.
    """

    specimen: str
    parameters: int
    prompts: int
    levels: int
    n: int
    k: int
    estimator: str
    count_states: float
    black_box: str
    max_at_n: float
    relative_bias: float
    bias_resolution: float


def cells(preset: Preset) -> Sequence[Cell]:
    """Every specimen at group sizes from 2 to 64, larger ones first."""
    names = SMOKE if preset == "smoke" else tuple(specimens.SUBJECTS)
    sizes = {"smoke": SIZES[:3], "standard": SIZES[:4], "paper": SIZES}[preset]
    return [Cell(name, n) for n in reversed(sizes) for name in names]


def measure(cell: Cell) -> list[Row]:
    """Relative bias of every rule claimed to be unbiased, at K = 1, 2, n/2, n-1 and n where it is defined."""
    path, levels = specimens.path(cell.specimen), specimens.levels(cell.specimen, SUCCESS)
    size = len(levels.values)
    count_states = number_of_counts(cell.n, size)
    rows = []
    for name in list_estimators():
        rule = group_estimator(name)
        if not rule.claims.unbiased or rule.why_not_rewards(levels.values):
            continue
        ks = sorted({1, 2, cell.n // 2, cell.n - 1, cell.n})
        valid = [k for k in ks if k >= 1 and rule.why_not(cell.n, k) is None]
        found = [exact_moments(rule, levels, n=cell.n, k=k, target=rule.objective) for k in valid]
        if not found:
            continue
        worst = max(found, key=lambda moments: moments.relative_bias / max(1e-9, moments.bias_resolution))
        rows.append(
            Row(
                specimen=cell.specimen,
                parameters=path.specimen.theta.size,
                prompts=path.specimen.prompts,
                levels=size,
                n=cell.n,
                k=worst.k,
                estimator=name,
                count_states=float(count_states),
                black_box="exact" if count_states <= MAX_STATES else "sampled",
                max_at_n=max_at_k(levels, cell.n),
                relative_bias=worst.relative_bias,
                bias_resolution=worst.bias_resolution,
            )
        )
    return rows
