"""The slow truth: what tools report, from their own words, draws enumerated, in exact rationals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations
from math import comb
from statistics import mean
from typing import Any

import numpy as np

Group = Sequence[Any]


def _passes(n: int, successes: int, k: int) -> Fraction:
    """Share of the k-subsets of n attempts that hold a success; all of none, as the product form has it."""
    if k > n:
        return Fraction(1)
    attempts = [1] * min(max(successes, 0), n)
    attempts += [0] * (n - len(attempts))
    return mean(Fraction(max(subset)) for subset in combinations(attempts, k))


def product_form(rewards: Group, k: int) -> Fraction:
    """Cost C(n, K), as of those below."""
    return _passes(len(rewards), int(sum(map(Fraction, rewards))), k)


def exactly_one(rewards: Group, k: int) -> Fraction:
    """``list.count(1)``."""
    return _passes(len(rewards), [Fraction(each) for each in rewards].count(Fraction(1)), k)


def at_least_one(rewards: Group, k: int) -> Fraction:
    """``value >= 1.0``."""
    return _passes(len(rewards), len([each for each in rewards if Fraction(each) >= 1]), k)


def above_zero(rewards: Group, k: int) -> Fraction:
    """``r > 0``."""
    return _passes(len(rewards), len([each for each in rewards if Fraction(each) > 0]), k)


def any_above_zero(rewards: Group, k: int) -> Fraction:
    """``any(r > 0 for r in v)``."""
    return Fraction(any(Fraction(each) > 0 for each in rewards))


def verl_redraws(rewards: Group, k: int) -> Fraction:
    """``bootstrap_metric`` with ``np.max``, redraw by redraw."""
    state = np.random.RandomState(42)
    table = state.choice(len(rewards), size=(1000, k), replace=True).tolist()
    return mean(max(Fraction(rewards[place]) for place in redraw) for redraw in table)


def first_k(rewards: Group, k: int) -> Fraction:
    """The other rollouts are not looked at."""
    return max(map(Fraction, list(rewards)[:k]))


def sample_mean(rewards: Group, k: int) -> Fraction:
    """Whatever K."""
    return mean(map(Fraction, rewards))


def posterior_mean(rewards: Group, k: int) -> Fraction:
    """``int p^c (1-p)^(n-c) (1 - (1-p)^K) dp`` over that without the bracket, power by power."""

    def integral(successes: int, failures: int) -> Fraction:
        return sum(
            (Fraction((-1) ** j * comb(failures, j), successes + j + 1) for j in range(failures + 1)),
            Fraction(0),
        )

    if not all(Fraction(each) in (0, 1) for each in rewards):
        raise ValueError("rewards of 0 and 1 alone")
    n, successes = len(rewards), int(sum(map(Fraction, rewards)))
    return 1 - integral(successes, n - successes + k) / integral(successes, n - successes)


BY_NAME: dict[str, Callable[[Group, int], Fraction]] = {
    "product-form": product_form,
    "exactly-one": exactly_one,
    "at-least-one": at_least_one,
    "above-zero": above_zero,
    "any-above-zero": any_above_zero,
    "verl-redraws": verl_redraws,
    "first-k": first_k,
    "sample-mean": sample_mean,
    "posterior-mean": posterior_mean,
}
