"""Rules for the mean reward (max@1) that are linear in the rewards: REINFORCE, RLOO, batch mean."""

from __future__ import annotations

from ...core.coefficients import Coefficients, gap_positions
from ..base import RankLinear
from ..claims import Claims, Laws


def _reinforce(n: int, k: int, exact: bool) -> Coefficients:
    m = gap_positions(n, exact=exact)
    return Coefficients(offset=1, above=m**0, below=0 * m)


def _rloo(n: int, k: int, exact: bool) -> Coefficients:
    m = gap_positions(n, exact=exact)
    return Coefficients(offset=0, above=m / (n - 1), below=-(n - m) / (n - 1))


def _batch_mean(n: int, k: int, exact: bool) -> Coefficients:
    m = gap_positions(n, exact=exact)
    return Coefficients(offset=0, above=m / n, below=-(n - m) / n)


REINFORCE = RankLinear(
    name="reinforce",
    title="REINFORCE",
    equation="A_i = R_i",
    citation="Williams 1992, Simple statistical gradient-following algorithms",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=True, centered=False),
    laws=Laws(shift_invariant=False),
    table=_reinforce,
    dead_groups="all-correct",
)

RLOO = RankLinear(
    name="rloo",
    title="RLOO",
    equation="A_i = R_i - mean of the other rewards",
    citation="arXiv 2402.14740 (Ahmadian et al. 2024)",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=True, centered=True),
    table=_rloo,
    smallest_group=2,
)

BATCH_MEAN = RankLinear(
    name="batch-mean",
    title="Batch mean (Dr. GRPO)",
    equation="A_i = R_i - mean of all rewards = (1 - 1/n) rloo",
    citation="arXiv 2503.20783 (Dr. GRPO); prime-rl",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=False, centered=True),
    table=_batch_mean,
    smallest_group=2,
)

RULES = (REINFORCE, RLOO, BATCH_MEAN)
