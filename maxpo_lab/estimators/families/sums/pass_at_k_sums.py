r"""Sums of pass@k up to T: what a mixture of unbiased rules is unbiased for, under two weightings.

``pass-sum:T`` climbs ``sum_(k <= T) max@k``, ``maxrl-truncated:T`` climbs ``sum_(k <= T) max@k / k``, of
which MaxRL's likelihood objective is the limit: on 0/1 rewards ``log p = -sum_k (1-p)^k / k``, so that
pass@k / k summed over all k has the gradient of log p. Both are sums of maxpo at k = 1..T, the one rule
that is unbiased and centered for them, for n >= T + 1.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial

from ....core.coefficients import Coefficients, weighted_sum
from ...base import RankLinear
from ...claims import Claims
from ..maxpo import MAXPO

#: The T that ``list_estimators`` shows; any other can be asked for by name.
LISTED = 2


def pass_sum(T: str) -> RankLinear:  # noqa: N803 - its name in messages
    """Unbiased for the sum of max@k over k <= T, and centered. ValueError: T is no whole number >= 1."""
    return _summed(
        "pass-sum",
        T,
        lambda _: Fraction(1),
        equation="A = sum over k <= {0} of maxpo at k",
        citation="this laboratory, a sum of maxpo (arXiv 2606.06080)",
    )


def maxrl_truncated(T: str) -> RankLinear:  # noqa: N803 - the same
    """Unbiased for the sum of max@k / k over k <= T, and centered. ValueError: T is no whole number >= 1."""
    return _summed(
        "maxrl-truncated",
        T,
        lambda k: Fraction(1, k),
        equation="A = sum over k <= {0} of maxpo at k, over k",
        citation="arXiv 2602.02710 (MaxRL), its objective cut at T; a sum of maxpo (arXiv 2606.06080)",
    )


def order(family: str, text: str) -> int:
    """The T after the name of a family; ValueError where it is no whole number of at least 1."""
    if not (text.isdecimal() and int(text) >= 1):
        raise ValueError(f"{family}:{text}: T must be a whole number of at least 1, e.g. {family}:{LISTED}")
    return int(text)


def _summed(
    family: str, text: str, weight: Callable[[int], Fraction], *, equation: str, citation: str
) -> RankLinear:
    largest = order(family, text)
    name = f"{family}:{largest}"
    return RankLinear(
        name=name,
        title=f"{'Sum of max@k' if family == 'pass-sum' else 'Truncated MaxRL'}, k <= {largest}",
        equation=equation.format(largest),
        citation=citation,
        objective=name,
        uses_k=False,
        claims=Claims(unbiased=True, centered=True),
        smallest_group=2,
        table=partial(_table, [weight(k) for k in range(1, largest + 1)]),
        undefined=partial(_why_not, family, largest),
    )


def _why_not(family: str, largest: int, n: int, k: int) -> str | None:
    if largest <= n - 1:
        return None
    return (
        f"{family}:{largest} needs n >= {largest + 1} (n={n}): at T = n no unbiased rule is centered; the "
        f"nearest valid choice is {family}:{n - 1}"
    )


def _table(weights: list[Fraction], n: int, k: int, exact: bool) -> Coefficients:
    return weighted_sum(weights, [MAXPO.table(n, j + 1, exact) for j in range(len(weights))], exact=exact)


RULES = (pass_sum(str(LISTED)), maxrl_truncated(str(LISTED)))
MAKERS = {"pass-sum": pass_sum, "maxrl-truncated": maxrl_truncated}
