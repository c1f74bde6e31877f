"""The enumerations themselves: by hand on three rollouts, and the identities of the mathematics, exactly."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, product
from math import comb

import pytest

from maxpo_lab.estimators.definitions import groups as d

F = Fraction
GROUPS = [(0, 1, 3), (2, 2, -1, 5), (F(1, 3), 0, 0, 7, 2), (1, 0, 0, 1, 0, 1)]


def test_by_hand() -> None:
    group = (0, 1, 3)
    assert d.value(group, 2) == F(7, 3)
    assert d.inclusion_value(group, 2) == [2, 2, 3]
    assert d.leave_one_out_value(group, 2) == [3, 3, 1]
    assert d.leave_one_out_value(group, 0) == [0, 0, 0]
    assert d.marginal_contribution(group, 2) == [0, F(1, 2), F(5, 2)]
    assert d.rloo(group, 2) == [-2, F(-1, 2), F(5, 2)]
    assert d.maxpo(group, 2) == d.canonical(group, 2) == [-2, -2, 4]
    assert d.pkpo_loo(group, 2) == [-5, -5, 3]
    assert d.pkpo_loo1(group, 2) == [0, 1, 5]


@pytest.mark.parametrize("group", GROUPS)
def test_identities(group: tuple) -> None:
    n = len(group)
    for k in range(1, n + 1):
        q, rho = d.inclusion_value(group, k), d.value(group, k)
        assert sum(q) == n * rho
        if k >= 2:
            assert all(h >= 0 for h in d.marginal_contribution(group, k))
        if k == n:
            continue
        v = d.leave_one_out_value(group, k)
        assert all(F(k, n) * a + (1 - F(k, n)) * b == rho for a, b in zip(q, v, strict=True))
        assert d.maxpo(group, k) == d.canonical(group, k)
        assert sum(d.maxpo(group, k)) == 0
        assert sum(d.pkpo_loo(group, k)) == -n * k * rho / F(n - 1)
        assert [k * (a - rho) for a in q] == [(1 - F(k, n)) * a for a in d.canonical(group, k)]


def test_k_1_is_the_mean_reward() -> None:
    for group in GROUPS:
        assert d.pkpo_s(group, 1) == d.reinforce(group, 1) == list(group)
        assert d.maxpo(group, 1) == d.canonical(group, 1) == d.rloo(group, 1)


def test_pkpo_loo1_at_k_n_pays_the_winner_its_lead() -> None:
    assert d.pkpo_loo1((3, 1, 7), 3) == [0, 0, 3 * 4]
    assert d.pkpo_loo1((7, 7, 1), 3) == [0, 0, 0]


@pytest.mark.parametrize(
    ("name", "k"),
    [
        *product(["pkpo-s", "pkpo-loo", "maxpo", "canonical"], [1, 2, 3]),
        *[("pkpo-s", 4), ("pkpo-loo1", 2), ("pkpo-loo1", 3), ("pkpo-loo1", 4)],
    ],
)
def test_unbiased_in_rationals(name: str, k: int) -> None:
    # E[g] = (1/n) sum over groups of prod p * sum_i A_i s_i, with s_i = G at the level of i: linear in G,
    # so it is enough that the coefficient of each G_l is that of grad J_K.
    n, values = 4, (F(0), F(1, 3), F(2))
    p = (F(1, 2), F(1, 3), F(1, 6))
    got = [F(0)] * 3
    for draw in product(range(3), repeat=n):
        chance = p[draw[0]] * p[draw[1]] * p[draw[2]] * p[draw[3]]
        advantages = d.BY_NAME[name]([values[level] for level in draw], k)
        for level, a in zip(draw, advantages, strict=True):
            got[level] += chance * a / n
    # J_K = E max; the coefficient of G_l is K p_l E[max(r_l, K-1 draws)], up to a multiple of p_l.
    want = [F(0)] * 3
    for draw in product(range(3), repeat=k):
        chance = F(1)
        for level in draw:
            chance *= p[level]
        for level in draw:
            want[level] += chance * max(values[i] for i in draw)
    excess = [(a - b) / chance for a, b, chance in zip(got, want, p, strict=True)]
    assert all(a == b for a, b in pairwise(excess))  # sum p_l G_l = 0 takes what is left


def test_value_is_the_closed_form() -> None:
    group = (F(1), F(2), F(4), F(8), F(16))
    for k in range(1, 6):
        closed = sum(r * comb(m, k - 1) for m, r in enumerate(group)) / F(comb(5, k))
        assert d.value(group, k) == closed
