"""The slow truth of sums: pass@k summed up to T, truncated MaxRL as its repository defines it, and mixtures.

As ``definitions``, of which these are a part: nothing here shares a line with the fast rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations
from statistics import mean
from typing import Any

Group = Sequence[Any]
Signal = Callable[[Group, int], list[Fraction]]


def weighted(terms: Sequence[tuple[Fraction, Signal]]) -> Signal:
    """The sum of definitions, each times its weight."""

    def signal(rewards: Group, k: int) -> list[Fraction]:
        total = [Fraction(0)] * len(rewards)
        for weight, own in terms:
            total = [a + weight * b for a, b in zip(total, own(rewards, k), strict=True)]
        return total

    return signal


def pass_sum(largest: int, weight: Callable[[int], Fraction] = lambda _: Fraction(1)) -> Signal:
    """``sum_(k <= T) w_k k (q_i(k) - v_i(k))``, subsets enumerated. Cost n C(n, T)."""

    def signal(rewards: Group, _: int) -> list[Fraction]:
        group = [Fraction(r) for r in rewards]
        found = []
        for i, own in enumerate(group):
            others = group[:i] + group[i + 1 :]
            parts = [
                weight(k)
                * k
                * (
                    mean(max((own, *rest)) for rest in combinations(others, k - 1))
                    - mean(max(subset) for subset in combinations(others, k))
                )
                for k in range(1, largest + 1)
            ]
            found.append(sum(parts, Fraction(0)))
        return found

    return signal


def maclaurin(largest: int) -> Signal:
    """The reward, less what every all-fail k-tuple takes, 2 <= k <= T."""
    return _over_tuples(largest, lambda group, subset, k: Fraction(0))


def maclaurin_baseline(largest: int) -> Signal:
    """As maclaurin; an all-fail tuple's baseline is the share of the other tuples that fail all."""

    def baseline(group: Sequence[Fraction], subset: tuple[int, ...], k: int) -> Fraction:
        others = [other for other in combinations(range(len(group)), k) if other != subset]
        return mean(_all_fail(group, other) for other in others) if others else Fraction(0)

    return _over_tuples(largest, baseline)


def cross_fitted_maclaurin(largest: int) -> Signal:
    """As maclaurin; the baseline is the share of the disjoint tuples that fail all, where there are any."""

    def baseline(group: Sequence[Fraction], subset: tuple[int, ...], k: int) -> Fraction:
        rest = [j for j in range(len(group)) if j not in subset]
        others = list(combinations(rest, k))
        return mean(_all_fail(group, other) for other in others) if others else Fraction(0)

    return _over_tuples(largest, baseline)


def _over_tuples(
    largest: int, baseline: Callable[[Sequence[Fraction], tuple[int, ...], int], Fraction]
) -> Signal:
    """``R_i - sum_k (n / k) mean over k-tuples that hold i of (1[all fail] - baseline)``, k = 2..T.

    Each k-tuple's score is the sum of its members' over k, and its signal minus what the series subtracts.
    """

    def signal(rewards: Group, _: int) -> list[Fraction]:
        group = [Fraction(r) for r in rewards]
        n = len(group)
        found = list(group)
        for k in range(2, largest + 1):
            tuples = list(combinations(range(n), k))
            for subset in tuples:
                paid = (_all_fail(group, subset) - baseline(group, subset, k)) * Fraction(n, k * len(tuples))
                for i in subset:
                    found[i] -= paid
        return found

    return signal


def _all_fail(group: Sequence[Fraction], subset: tuple[int, ...]) -> Fraction:
    return Fraction(int(not any(group[i] for i in subset)))


def oversample_subset_vr(size: int) -> Signal:
    """The mean score of the successes in a T-subset, averaged over the subsets, less the mean of all."""

    def signal(rewards: Group, _: int) -> list[Fraction]:
        group = [Fraction(r) for r in rewards]
        n = len(group)
        found = [Fraction(-1)] * n
        subsets = list(combinations(range(n), size))
        for subset in subsets:
            right = [i for i in subset if group[i]]
            for i in right:
                found[i] += Fraction(n, len(right) * len(subsets))
        return found

    return signal


def harmonic(k: int) -> Fraction:
    """The weight of pass@k in truncated MaxRL."""
    return Fraction(1, k)


#: By the registry's names.
BY_NAME: dict[str, Signal] = {
    "pass-sum:2": pass_sum(2),
    "maxrl-truncated:2": pass_sum(2, harmonic),
    "maclaurin:2": maclaurin(2),
    "maclaurin-baseline:2": maclaurin_baseline(2),
    "cross-fitted-maclaurin:2": cross_fitted_maclaurin(2),
    "oversample-subset-vr:2": oversample_subset_vr(2),
}
