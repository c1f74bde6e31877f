"""Rewards of very different sizes: a small one next to a large negative one is not lost."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import comb
from statistics import mean

import numpy as np
import pytest
from backends import Backend
from checks import EPS, has_offset, valid_k

import maxpo_lab as ml
from maxpo_lab.estimators.definitions import groups as definitions
from maxpo_lab.kernels.engine import rank_linear

OFFSET = [name for name in ml.list_estimators() if has_offset(name)]
WIDE = [
    [-1e16, 1.0],
    [1.0, 3.0, -1e16, 0.1],
    [0.1, 0.3, -0.7, 1e-12, -1e300, -0.0],
    [-3e15, -1e15, -1e-3, 2.0, 2.0, 7e15],
]


def order_statistic_weights(rule: ml.RankLinear, n: int, k: int) -> list[list[Fraction]]:
    """``A_(r) = sum_j w_rj R_(j)``, in rationals."""
    made = rule.coefficients(n, k, exact=True)
    rows = []
    for rank in range(1, n + 1):
        row = [Fraction(0)] * n
        row[0] += made.offset
        for m in range(1, n):
            gap = made.above[m - 1] if m < rank else made.below[m - 1]
            row[m] += gap
            row[m - 1] -= gap
        rows.append(row)
    return rows


@pytest.mark.parametrize("group", WIDE)
def test_reinforce_gives_the_rewards_back(group: list[float], backend: Backend) -> None:
    assert backend.numpy(ml.advantages(backend.array(group), 1, estimator="reinforce")).tolist() == group
    assert backend.numpy(ml.advantages(backend.array(group), 1, estimator="pkpo-s")).tolist() == group


@pytest.mark.parametrize("name", OFFSET)
def test_each_advantage_is_as_good_as_its_own_terms(name: str) -> None:
    rule = ml.get_estimator(name)
    rng = np.random.default_rng(0)
    drawn = [
        (rng.choice([-1, 1], n) * 10.0 ** rng.integers(-12, 17, n)).tolist()
        for n in (2, 3, 5, 7)
        for _ in "ab"
    ]
    for group in WIDE + drawn:
        n = len(group)
        ranks, ranked = np.argsort(np.argsort(group, kind="stable")), [Fraction(r) for r in sorted(group)]
        for k in valid_k(name, n):
            want = definitions.BY_NAME[name](group, k)
            weights = order_statistic_weights(rule, n, k)
            for got, exact, rank in zip(rule(group, k).tolist(), want, ranks, strict=True):
                terms = sum(abs(w * r) for w, r in zip(weights[rank], ranked, strict=True))
                # Two sums of n terms, whose coefficients took at most n roundings each.
                assert abs(Fraction(got) - exact) <= 4 * n * Fraction(EPS) * terms, (name, group, k)


def test_a_tiny_share_of_a_huge_loss_leaves_the_small_rewards_alone() -> None:
    n, k = 64, 32  # the lowest 33 are a K-subset's maximum with chance 1e-17 or less
    group = [-1e16] * 33 + [1.0] * 31
    share = Fraction(comb(32, k - 1), comb(n - 1, k - 1))  # all of the K-1 others are low too
    got, exact = ml.advantages(group, k, estimator="pkpo-s"), k * (1 - share * (10**16 + 1))
    assert abs(Fraction(float(got[0])) - exact) <= 4 * n * Fraction(EPS) * abs(exact)
    assert got[-1] == k


@pytest.mark.parametrize("group", WIDE)
def test_the_value_estimate_keeps_them_too(group: list[float]) -> None:
    for k in range(1, len(group) + 1):
        sizes = [abs(Fraction(max(subset))) for subset in combinations(group, k)]
        off = abs(Fraction(float(ml.value_estimate(group, k))) - definitions.value(group, k))
        # A sum of n terms, whose weights took at most n roundings each, as large as their mean size.
        assert off <= 4 * len(group) * Fraction(EPS) * mean(sizes), (group, k)
    assert ml.value_estimate([-1e16, 1.0], 2) == 1


def test_several_rules_from_one_sort_keep_them() -> None:
    rules = [ml.get_estimator(name) for name in ("reinforce", "rloo", "pkpo-s", "maxpo")]
    group = np.array([1.0, 3.0, -1e16, 0.1])
    together = rank_linear(np, group, tuple((rule, 2) for rule in rules))
    assert together[0].tolist() == group.tolist()
    for row, rule in zip(together, rules, strict=True):
        np.testing.assert_allclose(row, rule(group, 2), rtol=16 * EPS)
