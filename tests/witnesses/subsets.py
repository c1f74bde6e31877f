"""The independent witness of value estimates: every subset of a group, in fractions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations
from math import ceil
from statistics import mean

Value = Callable[[Sequence[Fraction]], Fraction]


def best(rewards: Sequence[Fraction]) -> Fraction:
    return max(rewards)


def all_right(rewards: Sequence[Fraction]) -> Fraction:
    return Fraction(all(rewards))


def share_right(tau: Fraction) -> Value:
    return lambda rewards: Fraction(sum(rewards) >= max(1, ceil(tau * len(rewards))))


def mean_share_right(rewards: Sequence[Fraction]) -> Fraction:
    """Twice the integral of G-Pass over tau from 1/2 to 1, on a grid on which it is exact."""
    k = len(rewards)
    middles = [Fraction(2 * cell + 1, 4 * k) for cell in range(2 * k)]  # cells of width 1/(2k)
    upper = [tau for tau in middles if tau > Fraction(1, 2)]
    return sum((share_right(tau)(rewards) for tau in upper), Fraction(0)) / k


def over_subsets(rewards: Sequence[Fraction], k: int, value: Value) -> Fraction:
    """The mean of a value over all k-subsets."""
    return mean(value(subset) for subset in combinations(rewards, k))


def square_over_pairs(rewards: Sequence[Fraction], k: int, value: Value) -> Fraction:
    """The mean product of a value on two disjoint k-subsets."""
    places, products = range(len(rewards)), []
    for one in combinations(places, k):
        rest = [place for place in places if place not in one]
        first = value([rewards[i] for i in one])
        products += [first * value([rewards[i] for i in other]) for other in combinations(rest, k)]
    return mean(products)
