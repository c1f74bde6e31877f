"""Weighted sums of objectives: of L-statistics of few and of many rewards, as one of the many."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import comb

from .objective import Objective


def weighted_sum(name: str, terms: Iterable[tuple[Fraction, Objective]]) -> Objective:
    """The objective ``sum_i w_i J_i``. Cost O(K K_i) a term, where weights are not 0."""
    terms = tuple(terms)
    size = max(objective.size for _, objective in terms)
    total = [Fraction(0)] * size
    for weight, objective in terms:
        for rank, share in enumerate(elevated(objective, size)):
            total[rank] += weight * share
    return Objective(name, tuple(total))


def elevated(objective: Objective, size: int) -> list[Fraction]:
    r"""Weights of the same objective on ``size`` rewards, of which each subset of K counts alike.

    .. math:: \alpha'_r = \sum_j \alpha_j \binom{r-1}{j-1} \binom{K'-r}{K-j} \Big/ \binom{K'}{K} .
    """
    ways = comb(size, objective.size)
    heavy = [(rank, weight) for rank, weight in enumerate(objective.weights) if weight]
    return [
        sum(
            (
                weight * comb(place, rank) * comb(size - 1 - place, objective.size - 1 - rank)
                for rank, weight in heavy
            ),
            Fraction(0),
        )
        / ways
        for place in range(size)
    ]
