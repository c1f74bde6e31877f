"""Claims that compare the variances of two rules of one direction and scale on one prompt."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from typing import Any

import maxpo_lab as ml
from maxpo_lab.core.arrays import Float

from .cases import MANY, RATES, SINGLE, grid, policy, rationals
from .claim import Case, Claim, Reading, below, tends

#: Group size and K of the curves.
SIZES = ((16, 4), (16, 8), (16, 2), (8, 4), (8, 2), (32, 4))


def trace(rule: Any, case: Case, n: int | None = None) -> float:
    """``tr Cov(g)`` of a rule on the prompt of a case."""
    return ml.exact_moments(rule, policy(case), n=n or case.n, k=case.k).trace_covariance


def _curves(sizes: tuple[tuple[int, int], ...] = SIZES) -> dict[int, list[Case]]:
    found: dict[int, list[Case]] = {}
    for n, k in sizes:
        for arms, good in (MANY, SINGLE):
            found.setdefault(n, []).extend(Case(n=n, k=k, rates=(p,), arms=arms, good=good) for p in RATES)
    return found


def _answers(case: Case) -> str:
    return f"{case.good} of {case.arms:,}, n = {case.n}, K = {case.k}"


def _leave_two_out(case: Case) -> Iterator[Reading]:
    """Many different right answers: at least a hundred, one in ten; not rare: p >= 1/5 at K <= n/4."""
    inside = (
        case.good >= 100 and 10 * case.good <= case.arms and case.p >= Fraction(1, 5) and 4 * case.k <= case.n
    )
    yield below(
        "variance over pkpo-loo1's", trace("maxpo", case) / trace("pkpo-loo1", case), 1.0, inside=inside
    )


LEAVE_TWO_OUT = Claim(
    name="leave-two-out-lowers-variance",
    source="arXiv 2606.06080 (MaxPO), abstract (found by experiment)",
    statement=(
        "The Leave-Two-Out baseline reduces the variance of the gradient, against the non-centered s_loo-1 "
        "of PKPO."
    ),
    condition="many different right answers (100 of 1,000), p >= 1/5 and K <= n/4",
    remark=(
        "Where a single answer is right it raises the variance; where success is rare it costs some 1 / "
        "(n-1)."
    ),
    judge=_leave_two_out,
    shown=_curves(),
    searched=lambda: chain(
        _defined(grid(sizes=range(3, 6), denominator=5, arms=4, ks=(2, 4))),
        _many(range(8, 17, 4), 10, ks=(0, 1)),
    ),
    axis="success rate",
    label="tr Cov, maxpo over pkpo-loo1",
    curve=_answers,
)


def _defined(cases: Iterator[Case]) -> Iterator[Case]:
    return (case for case in cases if case.k < case.n)


def _many(sizes: range, denominator: int, *, ks: tuple[int, ...]) -> Iterator[Case]:
    """Prompts with many right answers; K in quarters of n."""
    arms, good = MANY
    for n in sizes:
        for k in sorted({max(2, quarters * n // 4) for quarters in ks} - {n}):
            for p in rationals(denominator):
                yield Case(n=n, k=k, rates=(p,), arms=arms, good=good)


def _ten_times(case: Case) -> Iterator[Reading]:
    own = trace("pkpo-loo1", case)
    yield below("variance over s's", own / trace("pkpo-s", case), 0.1)
    yield below("variance over s_loo's", own / trace("pkpo-loo", case), 0.1)


TEN_TIMES = Claim(
    name="ten-times-lower-variance",
    source="kpahwa16/pass-k-policy-optimization, README, 'Variance Analysis'",
    statement="s_loo-1 has about 10 times lower variance than s and s_loo.",
    condition="none: the factor runs from more than 1 to next to 0 as success becomes frequent",
    remark="A factor without its n, K and success rate says nothing.",
    judge=_ten_times,
    shown=_curves(),
    searched=lambda: _defined(grid(sizes=range(3, 5), denominator=5, arms=3, ks=(2, 3))),
    axis="success rate",
    label="tr Cov, pkpo-loo1 over pkpo-loo",
    drawn=("variance over s_loo's",),
    curve=_answers,
)


def _lowest(case: Case) -> Iterator[Reading]:
    own = trace("pkpo-loo1", case)
    yield below("variance over s's", own / trace("pkpo-s", case), 1.0)
    yield below("variance over s_loo's", own / trace("pkpo-loo", case), 1.0, inside=2 * case.k >= case.n)


LOWEST = Claim(
    name="loo-minus-one-lowest-variance",
    source="kpahwa16/pass-k-policy-optimization, README, 'Variance Analysis'",
    statement="Of s, s_loo and s_loo-1 the last has the lowest variance.",
    condition="against s always; against s_loo where K >= n/2",
    remark="s_loo subtracts too much, which happens to be right where success is frequent and K small.",
    judge=_lowest,
    shown=_curves(),
    searched=lambda: chain(
        _defined(grid(sizes=range(3, 6), denominator=4, arms=4, ks=(2, 4))),
        _many(range(4, 17, 4), 8, ks=(2, 3)),
    ),
)


def _oracle(case: Case) -> Iterator[Reading]:
    """The oracle knows p; where its own variance is 0 there is nothing to come near to."""
    p = float(case.p)

    def oracle(rewards: Float, _: int) -> Float:
        return rewards - p

    known, known_later = (trace(oracle, case, n) for n in (case.n, 2 * case.n))
    now, later = known / trace("rloo", case), known_later / trace("rloo", case, 2 * case.n)
    yield tends("variance, oracle over RLOO", now, later, 1.0, inside=known > 1e-12)


ORACLE = Claim(
    name="oracle-equivalence",
    source="arXiv 2603.01162, abstract",
    statement=(
        "GRPO's gradient is asymptotically equivalent to that of an oracle that knows the value of the "
        "prompt."
    ),
    condition="the oracle's own gradient varies",
    remark=(
        "With many right answers the ratio is 1 - 1/n, so that no better estimate of p, James-Stein's "
        "included, can be worth more than 1/n."
    ),
    judge=_oracle,
    shown={
        n: [
            Case(n=n, rates=(p,), arms=arms, good=good)
            for arms, good, p in (
                (*MANY, Fraction(1, 5)),
                (*SINGLE, Fraction(1, 5)),
                (*SINGLE, Fraction(1, 2)),
                (*SINGLE, Fraction(4, 5)),
                (*MANY, Fraction(1, 100)),
            )
        ]
        for n in (4, 2, 8, 16, 32)
    },
    searched=lambda: grid(sizes=range(2, 5), denominator=4, arms=4),
    axis="group size",
    label="tr Cov, oracle over RLOO",
    curve=lambda case: f"{case.good} of {case.arms:,}, p = {case.p}",
)

CLAIMS = (LEAVE_TWO_OUT, TEN_TIMES, LOWEST, ORACLE)
