"""TailRL: MaxRL on graded rewards, every gap divided by the share of the group above it."""

from __future__ import annotations

from ...core.coefficients import Coefficients, gap_positions
from ..base import RankLinear
from ..claims import Claims


def _tail(n: int, k: int, exact: bool) -> Coefficients:
    m = gap_positions(n, exact=exact)
    return Coefficients(offset=0, above=m / (n - m), below=-(m**0))


TAILRL = RankLinear(
    name="tailrl",
    title="TailRL",
    equation="A_(r) = B_(r) - mean B, B_(r) = n sum over j <= r of (R_(j) - R_(j-1)) / (n-j+1), R_(0) = 0",
    citation="TailRL; on 0/1 rewards the numbers of maxrl",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=False, centered=True),
    table=_tail,
    smallest_group=2,
)

RULES = (TAILRL,)
