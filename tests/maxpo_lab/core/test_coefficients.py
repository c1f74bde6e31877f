"""Coefficients against exact integers: small n exhaustively, n = 16384 over all normal floats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from checks import EPS, RANK_LINEAR, binomials, check_share, check_weights, valid_k

import maxpo_lab as ml
from maxpo_lab.core.coefficients import gap_positions, subset_share

LARGE = 16384

Table = tuple[Fraction, list[Fraction], list[Fraction]]


def test_integer_recurrence_is_math_comb() -> None:
    for k in (0, 1, 5, 256):
        assert binomials(k, 300) == [comb(m, k) for m in range(301)]


@pytest.mark.parametrize("n", range(1, 13))
def test_exact_share_is_math_comb(n: int) -> None:
    for k in range(n):
        share = subset_share(n, k, exact=True)
        assert all(type(x) is Fraction for x in share)
        assert list(share) == [Fraction(comb(m, k), comb(n - 1, k)) for m in range(n)]


def test_share_at_every_small_n_and_k() -> None:
    for n in range(1, 81):
        for k in range(n):
            share = subset_share(n, k)
            truth = [comb(m, k) / comb(n - 1, k) for m in range(n)]
            # Two roundings a step of eps/2 each, at most n steps either way.
            check_weights(share, truth, n * EPS, f"share at n={n}, k={k}")
            assert not share[:k].any()
            assert not np.signbit(share).any()
            assert not share.flags.writeable


@pytest.mark.parametrize("k", [1, 2, 31, 32, 33, 64, 256, 1024, 8192, 16000, 16382, 16383])
def test_share_at_large_n(k: int) -> None:
    check_share(subset_share, LARGE, k)


def test_gap_positions_are_numbers_of_the_asked_type() -> None:
    assert gap_positions(4).tolist() == [1.0, 2.0, 3.0]
    assert [type(m) for m in gap_positions(4, exact=True)] == [Fraction] * 3


@pytest.mark.parametrize(("n", "k"), [(5, -1), (5, 5), (1, 1), (3, 100)])
def test_share_refuses_a_subset_larger_than_the_others(n: int, k: int) -> None:
    with pytest.raises(ValueError, match=rf"k={k}.*0 <= k <= {n - 1}"):
        subset_share(n, k)


def _c(m: int, k: int) -> int:
    return comb(m, k) if m >= 0 <= k else 0


def _canonical(n: int, k: int) -> Table:
    above = [Fraction(k * _c(m, k), _c(n - 1, k)) for m in range(1, n)]
    share = [Fraction(_c(m - 1, k - 1), _c(n - 1, k - 1)) for m in range(1, n)]
    return Fraction(0), above, [-k * s * (n - m) / (n - k) for m, s in enumerate(share, start=1)]


def _pkpo_loo(n: int, k: int) -> Table:
    def missed(below: int, size: int) -> Fraction:
        """Chance that a draw of ``size`` others does not reach over a gap with ``below`` of them under it."""
        return Fraction(_c(below, size), _c(n - 1, size))

    scale = Fraction(n, n - 1)
    above = [k - k * scale * (1 - missed(m, k)) for m in range(1, n)]
    below = [k * (1 - missed(m - 1, k - 1)) - k * scale * (1 - missed(m - 1, k)) for m in range(1, n)]
    return k - k * scale, above, below


#: The coefficients in rationals; of pkpo-loo, q_i and v_i gap by gap.
TABLES: dict[str, Callable[[int, int], Table]] = {
    "reinforce": lambda n, _k: (Fraction(1), [Fraction(1)] * (n - 1), [Fraction(0)] * (n - 1)),
    "rloo": lambda n, _k: (
        Fraction(0),
        [Fraction(m, n - 1) for m in range(1, n)],
        [Fraction(m - n, n - 1) for m in range(1, n)],
    ),
    "batch-mean": lambda n, _k: (
        Fraction(0),
        [Fraction(m, n) for m in range(1, n)],
        [Fraction(m - n, n) for m in range(1, n)],
    ),
    "pkpo-s": lambda n, k: (
        Fraction(k),
        [Fraction(k)] * (n - 1),
        [k * (1 - Fraction(_c(m - 1, k - 1), _c(n - 1, k - 1))) for m in range(1, n)],
    ),
    "pkpo-loo": _pkpo_loo,
    "pkpo-loo1": lambda n, k: (
        Fraction(0),
        [Fraction(k * _c(m, k - 1), _c(n - 1, k - 1)) for m in range(1, n)],
        [Fraction(0)] * (n - 1),
    ),
    "maxpo": _canonical,
    "canonical": _canonical,
}


@pytest.mark.parametrize("name", TABLES)
def test_coefficients_are_those_of_the_table(name: str) -> None:
    rule = ml.get_estimator(name)
    for n in range(1, 13):
        for k in valid_k(name, n):
            offset, above, below = TABLES[name](n, k)
            exact = rule.coefficients(n, k, exact=True)
            assert (exact.offset, list(exact.above), list(exact.below)) == (offset, above, below)
            assert exact.n == n
            made = rule.coefficients(n, k)
            assert made.above.dtype == made.below.dtype == np.float64
            # n + 4 roundings, and those of a difference of shares count as absolute: a share of K.
            for got, truth in zip(
                (made.offset, *made.above, *made.below), (offset, *above, *below), strict=True
            ):
                assert abs(Fraction(got) - truth) <= (n + 4) * EPS * k * Fraction(n, n - 1 or 1)


def test_every_rank_linear_rule_keeps_its_float_and_its_exact_table_together() -> None:
    for name in RANK_LINEAR:
        rule = ml.get_estimator(name)
        for n in range(2, 10):
            for k in valid_k(name, n):
                made, exact = rule.coefficients(n, k), rule.coefficients(n, k, exact=True)
                vectors = (made.offset, *made.above, *made.below), (exact.offset, *exact.above, *exact.below)
                largest = max(abs(x) for x in vectors[1])
                # As above; hypergeometric tables take 4 roundings a draw.
                bound = (5 * n + 8) * EPS * largest
                assert all(abs(Fraction(a) - b) <= bound for a, b in zip(*vectors, strict=True)), name


@pytest.mark.parametrize("name", ["pkpo-s", "pkpo-loo"])
def test_penalties_are_what_is_left_without_the_offset(name: str) -> None:
    rule = ml.get_estimator(name)
    for n, k in [*((size, k) for size in range(1, 10) for k in valid_k(name, size)), (64, 32)]:
        made, exact = rule.coefficients(n, k), rule.coefficients(n, k, exact=True)
        for got, truth, of_success in zip(
            made.penalties, exact.penalties, (exact.above, exact.below), strict=True
        ):
            assert (truth == of_success - exact.offset).all()
            # n + 4 roundings of each, however small it is.
            assert all(
                abs(Fraction(a) - b) <= (n + 4) * EPS * abs(b) for a, b in zip(got, truth, strict=True)
            )


def test_penalties_of_another_table_are_refused() -> None:
    made = ml.get_estimator("pkpo-s").coefficients(4, 2)
    for change in ({"below": 0 * made.below}, {"above": 2 * made.above}, {"offset": 1.0}):
        with pytest.raises(ValueError, match=r"penalties are not (above|below) - offset"):
            replace(made, **change)
        assert replace(made, **change, penalties=None).penalties is None


@pytest.mark.parametrize("name", ["pkpo-s", "pkpo-loo1", "maxpo", "canonical"])
def test_weights_at_large_n(name: str) -> None:
    n, k = LARGE, 256
    some, fewer = binomials(k, n - 1), binomials(k - 1, n - 1)
    total, rest = some[-1], fewer[-1]
    gaps = range(1, n)
    above = {
        "pkpo-s": [float(k)] * (n - 1),
        "pkpo-loo1": [k * fewer[m] / rest for m in gaps],
        "maxpo": [k * some[m] / total for m in gaps],
        "canonical": [k * some[m] / total for m in gaps],
    }
    share = [-k * fewer[m - 1] * (n - m) / (rest * (n - k)) for m in gaps]
    below = {
        "pkpo-s": [k * (rest - fewer[m - 1]) / rest for m in gaps],
        "pkpo-loo1": [0.0] * (n - 1),
        "maxpo": share,
        "canonical": share,
    }
    made = ml.get_estimator(name).coefficients(n, k)
    assert made.offset == (k if name == "pkpo-s" else 0)
    check_weights(made.above, above[name], 1e-13, f"{name} above")
    check_weights(made.below, below[name], 1e-13, f"{name} below")


def test_weights_of_pkpo_loo_at_large_n() -> None:
    n, k = LARGE, 256
    some, fewer = binomials(k, n - 1), binomials(k - 1, n - 1)
    total, rest = some[-1], fewer[-1]
    made = ml.get_estimator("pkpo-loo").coefficients(n, k)
    check_weights([made.offset], [-k / (n - 1)], 1e-13, "pkpo-loo offset")
    # above = K (n share - 1)/(n-1) changes sign, where 1e-13 can only be meant of its two terms.
    above = [k * (n * some[m] - total) / ((n - 1) * total) for m in range(1, n)]
    condition = [(n * some[m] + total) / abs(n * some[m] - total) for m in range(1, n)]
    check_weights(made.above, above, 1e-13 * np.array(condition), "pkpo-loo above")
    # below = -K/(n-1) (1 + share (n (n-1-m) + K)/(n-K)) has one sign: no such excuse.
    below = [
        -k * (rest * (n - k) + fewer[m - 1] * (n * (n - 1 - m) + k)) / ((n - 1) * rest * (n - k))
        for m in range(1, n)
    ]
    check_weights(made.below, below, 1e-13, "pkpo-loo below")
