"""The rules of PKPO (arXiv 2505.15201): the inclusion value, and its two published baselines.

Notation: ``q_i(K)`` is the mean of max over the K-subsets that contain i, ``v_i(K)`` over the
K-subsets of the others, ``h_i = q_i(K) - v_i(K-1)`` what i adds to K-1 others.
"""

from __future__ import annotations

from ...core.coefficients import Coefficients, gap_positions, subset_share
from ..base import RankLinear
from ..claims import Claims, Laws


def _inclusion_value(n: int, k: int, exact: bool) -> Coefficients:
    m = gap_positions(n, exact=exact)
    all_below = subset_share(n, k - 1, exact=exact)[:-1]  # C(m-1, K-1) / C(n-1, K-1)
    return Coefficients(
        offset=k, above=k * m**0, below=k * (1 - all_below), penalties=(0 * m, -k * all_below)
    )


def _leave_one_out(n: int, k: int, exact: bool) -> Coefficients:
    m = gap_positions(n, exact=exact)
    one = gap_positions(2, exact=exact)[0]
    # K q - K n/(n-1) v, gap by gap, with the differences taken on paper.
    scale = k * one / (n - 1)
    tilt = subset_share(n, k - 1, exact=exact)[:-1] * (n * (n - 1 - m) + k) / (n - k)
    paid = n * subset_share(n, k, exact=exact)[1:]
    return Coefficients(
        offset=-scale,
        above=scale * (paid - 1),
        below=-scale * (1 + tilt),
        penalties=(scale * paid, -scale * tilt),
    )


def _marginal_contribution(n: int, k: int, exact: bool) -> Coefficients:
    m = gap_positions(n, exact=exact)
    return Coefficients(offset=0, above=k * subset_share(n, k - 1, exact=exact)[1:], below=0 * m)


def _why_not_loo(n: int, k: int) -> str | None:
    if k <= n - 1:
        return None
    return (
        f"pkpo-loo needs k <= n-1 (n={n}, k={k}): its baseline averages over k-subsets of the other "
        f"n-1 rollouts; use pkpo-loo1 (2 <= k <= n) or pkpo-s, or a larger group"
    )


def _why_not_loo1(n: int, k: int) -> str | None:
    if k >= 2:
        return None
    return (
        f"pkpo-loo1 needs k >= 2 (n={n}, k={k}): its baseline is the maximum of k-1 others; "
        f"use rloo, which is unbiased and centered at k=1"
    )


PKPO_S = RankLinear(
    name="pkpo-s",
    title="PKPO s",
    equation="A_i = K q_i(K)",
    citation="arXiv 2505.15201 (PKPO) eq. 19; arXiv 2510.23393 eq. 9",
    objective="max@k",
    uses_k=True,
    claims=Claims(unbiased=True, centered=False),
    laws=Laws(shift_invariant=False),
    table=_inclusion_value,
    dead_groups="all-correct",
)

PKPO_LOO = RankLinear(
    name="pkpo-loo",
    title="PKPO s_loo",
    equation="A_i = K q_i(K) - K n/(n-1) v_i(K)",
    citation="arXiv 2505.15201 (PKPO) eq. 29",
    objective="max@k",
    uses_k=True,
    claims=Claims(unbiased=True, centered=False),
    smallest_group=2,
    laws=Laws(shift_invariant=False),
    table=_leave_one_out,
    undefined=_why_not_loo,
    dead_groups="all-correct",
)

PKPO_LOO1 = RankLinear(
    name="pkpo-loo1",
    title="PKPO s_loo-1",
    equation="A_i = K (q_i(K) - v_i(K-1)) = K h_i",
    citation="arXiv 2505.15201 (PKPO) eq. 33, its recommended rule",
    objective="max@k",
    uses_k=True,
    claims=Claims(unbiased=True, centered=False),
    smallest_group=2,
    table=_marginal_contribution,
    undefined=_why_not_loo1,
)

RULES = (PKPO_S, PKPO_LOO, PKPO_LOO1)
