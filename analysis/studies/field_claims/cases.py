"""Cases in the order of their simplicity, and the policies that they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import gcd

import numpy as np

import maxpo_lab as ml

from ..batches.prompts import Space
from .claim import Case

#: Success rates of the curves.
RATES = tuple(
    Fraction(*each)
    for each in [
        *((1, 1000), (1, 300), (1, 100), (1, 30), (1, 10), (1, 5), (3, 10), (2, 5), (1, 2)),
        *((3, 5), (7, 10), (4, 5), (9, 10), (97, 100), (99, 100)),
    ]
)
#: Answers of a prompt and right ones: many different right ones, and a single one.
MANY, SINGLE = (1000, 100), (10, 1)


def rationals(largest: int) -> Iterator[Fraction]:
    """Rationals between 0 and 1, the smallest denominator first."""
    for denominator in range(2, largest + 1):
        for numerator in range(1, denominator):
            if gcd(numerator, denominator) == 1:
                yield Fraction(numerator, denominator)


def grid(
    *,
    sizes: Iterable[int],
    denominator: int,
    arms: int = 2,
    ks: tuple[int, int] = (1, 1),
    prompts: int = 1,
    half: bool = False,
) -> Iterator[Case]:
    """Every case up to these sizes: n, then K (first and last, n at most), then rates, then answers.

    With two prompts the first is the harder one. ``half``: half of the answers are right.
    """
    for n in sizes:
        for k in range(ks[0], min(n, ks[1]) + 1):
            for last in rationals(denominator):
                firsts = [p for p in rationals(denominator) if p < last] if prompts == 2 else [None]
                for first in firsts:
                    rates = (last,) if first is None else (first, last)
                    for many in range(2, arms + 1):
                        for good in _right(many, half=half):
                            yield Case(n=n, k=k, rates=rates, arms=many, good=good)


def _right(arms: int, *, half: bool) -> range:
    if not half:
        return range(1, arms)
    return range(arms // 2, arms // 2 + (arms + 1) % 2)


def policy(case: Case) -> ml.RewardLevels:
    """The policy on a case's first prompt."""
    return batch(Case(n=case.n, rates=case.rates[:1], arms=case.arms, good=case.good))[0]


def batch(case: Case) -> tuple[ml.RewardLevels, ...]:
    """The prompts of a case, parameters of their own, each as often as the case says."""
    success = np.repeat([float(p) for p in case.rates], case.copies)
    return Space(case.arms, case.good).batch(success)


def opposed(case: Case) -> tuple[ml.RewardLevels, ...]:
    """Two prompts of two answers on one parameter, what is right on the first being wrong on the second."""
    return tuple(
        ml.RewardLevels(
            np.array([0.0, 1.0]),
            np.array([1 - q, q]),
            sign * np.array([[-q], [1 - q]]),
            np.array([q * q, (1 - q) ** 2]),
        )
        for q, sign in zip(map(float, case.rates), (-1, 1), strict=True)
    )
