"""PKPO as public code has it: the canonical direction, and its recommended rule, at another scale."""

from __future__ import annotations

from ...core.coefficients import Coefficients, gap_positions, subset_share
from ..base import RankLinear
from ..claims import Claims
from .pkpo import PKPO_LOO1


def _mean_centered(n: int, k: int, exact: bool) -> Coefficients:
    m = gap_positions(n, exact=exact)
    share = subset_share(n, k - 1, exact=exact)[:-1] * k / n
    return Coefficients(offset=0, above=share * m / n, below=-share * (n - m) / n)


def _sum_scale(n: int, k: int, exact: bool) -> Coefficients:
    right = PKPO_LOO1.coefficients(n, k, exact=exact)
    return Coefficients(offset=0, above=right.above / n, below=right.below / n)


def _why_not_sum_scale(n: int, k: int) -> str | None:
    reason = PKPO_LOO1.why_not(n, k)
    return reason and reason.replace("pkpo-loo1", "pkpo-sum-scale", 1)


PKPO_MEAN_CENTERED = RankLinear(
    name="pkpo-mean-centered",
    title="PKPO, mean-centered",
    equation="A_i = (K/n) (q_i - rho) = (1 - K/n)/n canonical",
    citation="rllm pull request 743",
    objective="max@k",
    uses_k=True,
    claims=Claims(unbiased=False, centered=True),
    degenerate="0 for every group at K = n; a flat group gives 0",
    table=_mean_centered,
    smallest_group=2,
)

PKPO_SUM_SCALE = RankLinear(
    name="pkpo-sum-scale",
    title="PKPO at the sum scale",
    equation="A_i = K h_i / n = pkpo-loo1 / n",
    citation="arXiv 2505.15201 (PKPO) eq. 33, its sum-convention weights in a mean-type loss (TailRL's arm)",
    objective="max@k",
    uses_k=True,
    claims=Claims(unbiased=False, centered=False),
    smallest_group=2,
    table=_sum_scale,
    undefined=_why_not_sum_scale,
)

RULES = (PKPO_MEAN_CENTERED, PKPO_SUM_SCALE)
