"""What holds for every policy, decided in rationals, and of centered-replay on every specimen."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations_with_replacement, product
from math import comb
from typing import Any

import array_api_compat
import numpy as np
import pytest

import maxpo_lab as ml
from analysis.measure.specimens import SUBJECTS, levels
from maxpo_lab.estimators.definitions import groups as plain
from maxpo_lab.estimators.definitions import histories as definitions
from maxpo_lab.estimators.history.centered import centered_replay
from maxpo_lab.estimators.history.plug_in_floor import plug_in_floor
from maxpo_lab.estimators.history.replay import replay

NUMPY = array_api_compat.array_namespace(np.empty(0))
LEVELS = (Fraction(0), Fraction(1, 3), Fraction(1))
WEIGHTS = (Fraction(1), Fraction(1, 2), Fraction(1, 5))


def histories(levels_: tuple[Fraction, ...]) -> list[tuple[tuple[Fraction, ...], tuple[Fraction, ...]]]:
    """All of at most three rewards, all of weight 1, and of three different weights; none."""
    found: list[Any] = [((), ())]
    for size in (1, 2, 3):
        for y in combinations_with_replacement(levels_, size):
            found += [(y, (Fraction(1),) * size), (y, WEIGHTS[:size])]
    return found


def own_reward_alone(rule: Any, n: int, levels_: tuple[Fraction, ...]) -> Iterator[bool]:
    """Whether ``A_1 - K q_1`` stays the same when R_1 alone changes: by the complete class, iff unbiased."""
    for rest, k in product(combinations_with_replacement(levels_, n - 1), range(1, n + 1)):
        signals = [k * plain.inclusion_value((own, *rest), k)[0] for own in levels_]
        for y, w in histories(levels_):
            baselines = {
                signal - rule((own, *rest), k, y, w)[0] for own, signal in zip(levels_, signals, strict=True)
            }
            yield len(baselines) == 1


@pytest.mark.parametrize("n", [1, 2, 3])
def test_replay_is_unbiased_for_every_history(n: int) -> None:
    assert all(own_reward_alone(definitions.replay, n, LEVELS))


def test_hist_and_a_fixed_lambda_are_too() -> None:
    for rule in (definitions.hist, lambda *given: definitions.replay(*given, lam=Fraction(5, 3))):
        assert all(own_reward_alone(rule, 3, LEVELS))


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_plug_in_floor_is_unbiased_for_every_history(n: int) -> None:
    assert all(own_reward_alone(definitions.plug_in_floor, n, LEVELS[::2]))


def test_centered_replay_is_not() -> None:
    assert not all(own_reward_alone(definitions.centered_replay, 3, LEVELS))


@pytest.mark.parametrize(("n", "m", "k"), [(2, 2, 3), (3, 2, 2), (2, 4, 5), (3, 1, 3)])
def test_pooled_mixes_the_two_rates(n: int, m: int, k: int) -> None:
    """``f = K sum_t Hyp(t; N-1, n-1, K-1) (1-p)^t (1-q)^(K-1-t)``: unbiased where q = p, and there alone."""
    p = Fraction(1, 3)
    for q in (p, Fraction(1, 7)):
        got = Fraction(0)
        for others, past in product(product((0, 1), repeat=n - 1), product((0, 1), repeat=m)):
            chance = Fraction(1)
            for rate, draws in ((p, others), (q, past)):
                chance *= rate ** sum(draws) * (1 - rate) ** (len(draws) - sum(draws))
            won, lost = (definitions.pooled([own, *others], k, past, [1] * m)[0] for own in (1, 0))
            got += chance * (won - lost)
        fresh = range(max(0, k - 1 - m), min(n - 1, k - 1) + 1)
        want = sum(
            Fraction(comb(n - 1, t) * comb(m, k - 1 - t), comb(n + m - 1, k - 1))
            * (1 - p) ** t
            * (1 - q) ** (k - 1 - t)
            for t in fresh
        )
        assert got == k * want
        assert (got == k * (1 - p) ** (k - 1)) == (q == p)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_centered_replay_is_centered_and_unbiased_over_fair_histories_in_rationals(n: int) -> None:
    """Levels weighted by their probabilities are the average over fair histories: HIST is linear in them."""
    p = (Fraction(1, 2), Fraction(1, 3), Fraction(1, 6))
    for k in range(1, n + 1):
        got, want = ([Fraction(0)] * 3 for _ in "gw")
        for draw in product(range(3), repeat=n):
            chance = Fraction(1)
            for level in draw:
                chance *= p[level]
            group = [LEVELS[level] for level in draw]
            advantages = definitions.centered_replay(group, k, LEVELS, p)
            assert sum(advantages) == 0
            signals = plain.inclusion_value(group, k)
            for level, a, q in zip(draw, advantages, signals, strict=True):
                got[level] += chance * a / n
                want[level] += chance * k * q / n
        # Coefficients of the mean scores, of which sum_l p_l G_l = 0 takes a multiple of p.
        assert len({(a - b) / x for a, b, x in zip(got, want, p, strict=True)}) == 1


@pytest.mark.parametrize(("n", "k"), [(2, 2), (4, 2), (4, 4), (5, 3)])
def test_weight_of_centered_replay_with_a_history_of_another_rate(n: int, k: int) -> None:
    for successes, p in product(range(4), (Fraction(1, 5), Fraction(2, 3))):
        y, q = [1] * successes + [0] * (3 - successes), Fraction(successes, 3)
        got = Fraction(0)
        for others in range(n):
            rest = [1] * others + [0] * (n - 1 - others)
            won, lost = (definitions.centered_replay([own, *rest], k, y, [1] * 3)[0] for own in (1, 0))
            got += comb(n - 1, others) * p**others * (1 - p) ** (n - 1 - others) * (won - lost)
        assert got == k * (1 - p) ** (k - 1) * (1 + (k - 1) * (p - q) / ((n - 1) * (1 - p)))


@pytest.mark.parametrize("name", [name for name in SUBJECTS if name != "transformer"])
def test_centered_replay_at_n_on_the_specimens(name: str) -> None:
    """The transformer, which takes seconds to find, has 0/1 rewards as most of these."""
    policy = levels(name, 0.5)
    y, w = policy.values, policy.probabilities

    def averaged(rewards: np.ndarray, k: int) -> np.ndarray:
        past = [np.tile(each, (len(rewards), 1)) for each in (y, w)]
        return centered_replay(NUMPY, rewards, k, *past)

    n = 4 if len(y) <= 8 else 2
    seen = ml.exact_moments(averaged, policy, n=n, k=n)
    assert seen.relative_bias <= 1e-10
    # n advantages of at most n K range, each rounded.
    assert seen.advantage_sum_max <= n * n * n * np.ptp(y) * 2.0**-52
    assert seen.trace_covariance > 0


def test_dead_groups() -> None:
    y, w = np.array([1.0, 0.0, 0.0, 1.0]), np.ones(4)
    fail, succeed = np.zeros(6), np.ones(6)
    for k in (1, 3, 6):
        lam = 1.0 if k == 6 else 4 / (6 - k + 4)
        np.testing.assert_allclose(replay(NUMPY, fail, k, y, w), -k * lam * 0.5, rtol=1e-15)
        assert not replay(NUMPY, succeed, max(k, 2), y, w).any()
        for group in (fail, succeed):
            assert not centered_replay(NUMPY, group, k, y, w).any()
            assert plug_in_floor(NUMPY, group, k, y, w).all()
