"""The predictive rule, the lab's own: a baseline that predicts the inclusion value from the others alone."""

from __future__ import annotations

from ...core.coefficients import Coefficients, gap_positions, subset_share
from ..base import RankLinear
from ..claims import Claims


def _predictive(n: int, k: int, exact: bool) -> Coefficients:
    m = gap_positions(n, exact=exact)
    share = k * subset_share(n, k - 1, exact=exact)
    return Coefficients(offset=0, above=share[1:] * m / (n - 1), below=-share[:-1] * (n - m) / (n - 1))


PREDICTIVE = RankLinear(
    name="predictive",
    title="Predictive",
    equation="A_i = K (q_i(K) - b_i), b_i: mean of max(R_j, max T), j != i, T a (K-1)-subset of the others",
    citation="this laboratory; rloo at K = 1, pkpo-loo1 at K = n",
    objective="max@k",
    uses_k=True,
    claims=Claims(unbiased=True, centered=False),
    smallest_group=2,
    table=_predictive,
)

RULES = (PREDICTIVE,)
