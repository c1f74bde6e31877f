"""The slow truth: every value rule as its source defines it, draws enumerated, in exact rationals.

Nothing here shares a line with the fast forms. Rewards are any numbers ``Fraction`` takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import combinations, product
from statistics import mean
from typing import Any

from .as_reported import definitions as as_reported

Group = Sequence[Any]


def _mean_maximum(draws: Iterable[Sequence[Any]]) -> Fraction:
    return mean(max(map(Fraction, draw)) for draw in draws)


def unbiased(rewards: Group, k: int) -> Fraction:
    """Mean of max over the K-subsets. Cost C(n, K)."""
    return _mean_maximum(combinations(rewards, k))


def plug_in(rewards: Group, k: int) -> Fraction:
    """Mean of max over the sequences of K rollouts, repetitions among them. Cost n^K."""
    return _mean_maximum(product(rewards, repeat=k))


def sample_max(rewards: Group, k: int) -> Fraction:
    """The largest reward."""
    return max(map(Fraction, rewards))


BY_NAME: dict[str, Callable[[Group, int], Fraction]] = {
    "unbiased": unbiased,
    "plug-in": plug_in,
    "sample-max": sample_max,
    **as_reported.BY_NAME,
}
