"""What the Leave-Two-Out baseline costs: operations on rewards, counted, of its definition and of one sort.

Times are of a machine; these counts are of the two ways of computing the same advantages, and repeat
exactly. Not counted is what n and K alone decide, the coefficients, which a training loop computes once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, total_ordering
from itertools import pairwise
from typing import ClassVar

import numpy as np

from maxpo_lab import RankLinear
from maxpo_lab.core.coefficients import subset_share
from maxpo_lab.estimators import group_estimator

from .claim import Case, Claim, Reading, tends

PAIRS, SORTED = "operations at 2n over n, over all pairs", "operations at 2n over n, by one sort"
#: Steps of a sequence that fills [0, 1) evenly, in no order: rewards without ties.
_GOLDEN = 0.6180339887498949


@total_ordering
@dataclass(frozen=True, slots=True)
class Counted:
    """A number that counts what is done with any of its kind: additions, multiplications, comparisons."""

    value: float
    operations: ClassVar[list[int]] = [0]

    def _made(self, value: float) -> Counted:
        self.operations[0] += 1
        return Counted(value)

    def __add__(self, other: Counted) -> Counted:
        return self._made(self.value + other.value)

    def __sub__(self, other: Counted) -> Counted:
        return self._made(self.value - other.value)

    def __mul__(self, factor: float) -> Counted:
        return self._made(self.value * factor)

    def __lt__(self, other: Counted) -> bool:
        self.operations[0] += 1
        return self.value < other.value


def rewards_of(n: int) -> list[float]:
    """The rewards that are computed with."""
    return [_GOLDEN * i % 1.0 for i in range(1, n + 1)]


def by_pairs(rewards: list[Counted], k: int) -> list[Counted]:
    """Advantages in ascending order of the rewards, as defined: each rollout's baseline, over all others."""
    n, ranked = len(rewards), sorted(rewards)
    gaps = [high - low for low, high in pairwise(ranked)]
    alone, beside = subset_share(n, k - 1)[1:], subset_share(n - 1, k - 1)
    own, found = Counted(0.0), []
    for left_out in range(n):
        if left_out:
            own = own + gaps[left_out - 1] * float(alone[left_out - 1])
        reached, others = Counted(0.0), Counted(0.0)
        for other in range(n):
            if other:
                under = min(other - (left_out < other), n - 2)
                reached = reached + gaps[other - 1] * float(beside[under])
            if other != left_out:
                others = others + reached
        found.append((own - others * (1 / (n - 1))) * k)
    return found


def by_one_sort(rewards: list[Counted], k: int) -> list[Counted]:
    """The same by the gap form: what is paid above each gap and below it, summed up once each."""
    rule = group_estimator("maxpo")
    assert isinstance(rule, RankLinear)  # noqa: S101 - it has coefficients
    made, ranked = rule.coefficients(len(rewards), k), sorted(rewards)
    gaps = [high - low for low, high in pairwise(ranked)]
    up, down = [Counted(0.0)], [Counted(0.0)]
    for gap, above in zip(gaps, made.above, strict=True):
        up.append(up[-1] + gap * float(above))
    for gap, below in zip(reversed(gaps), reversed(list(made.below)), strict=True):
        down.append(down[-1] + gap * float(below))
    return [one + other for one, other in zip(up, reversed(down), strict=True)]


@cache
def counts(n: int, k: int) -> tuple[int, int]:
    """Operations over all pairs and by one sort, which give the same advantages."""
    found, counted = [], []
    for way in (by_pairs, by_one_sort):
        rewards = [Counted(reward) for reward in rewards_of(n)]
        Counted.operations[0] = 0
        found.append([each.value for each in way(rewards, k)])
        counted.append(Counted.operations[0])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9, atol=1e-9)
    return counted[0], counted[1]


def _growth(case: Case) -> Iterator[Reading]:
    sizes = [counts(case.n * factor, case.k) for factor in (1, 2, 4)]
    for what, way in ((PAIRS, 0), (SORTED, 1)):
        now, later = (sizes[at + 1][way] / sizes[at][way] for at in (0, 1))
        yield tends(what, now, later, 4.0, inside=what == PAIRS)


QUADRATIC = Claim(
    name="leave-two-out-quadratic",
    source="arXiv 2606.06080 (MaxPO), abstract",
    statement="The Leave-Two-Out baseline takes quadratic time.",
    condition="it is evaluated as it is defined, over all pairs of rollouts",
    remark=(
        "One sort and two running sums give the same advantages: operations on rewards are counted, not "
        "seconds, and those that n and K alone decide are left out."
    ),
    judge=_growth,
    shown={n: [Case(n=n, k=2)] for n in (128, 8, 4, 16, 32, 64)},
    searched=lambda: (Case(n=n, k=k) for n in (4, 8, 16, 32) for k in (1, 2, 3)),
    axis="group size",
    label="operations at 2n over those at n",
    curve=lambda case: f"K = {case.k}",
)


CLAIMS = (QUADRATIC,)
