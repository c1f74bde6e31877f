r"""The estimators of truncated MaxRL in its repository, as coded: tables by the successes of 0/1 groups.

Objective ``sum_(k <= T) pass@k / k``, the Maclaurin series of log p cut at T. The repository sums over the
rollouts where the lab takes a mean, so that all weights are n times those in its ``maclaurin.py``. F of the
group fail; ``r_k = C(F-1,k-1)/C(n-1,k-1)``, ``s_k = C(F,k)/(C(n,k)-1)``, k = 2..T.

======================  ===================  =====================  ========
rule                    success              failure                unbiased
======================  ===================  =====================  ========
maclaurin               1                    -sum r_k               yes
maclaurin-baseline      1 + sum s_k          (1 - n/F) sum s_k      no
cross-fitted-maclaurin  1 + baselines        -sum r_k + baselines   yes
oversample-subset-vr    n c - 1              -1                     yes
======================  ===================  =====================  ========

maclaurin-baseline leaves one tuple out, not its rollouts: the others share some with it, and the weight of
pass@k comes out as ``1/k (1 - (C(n-1,k-1) - 1)/(C(n,k) - 1))``, 7/18 in place of 1/2 at n = 8, k = 2.
Cross-fitted baselines average over k-tuples disjoint from a rollout's own, where n >= 2k; c averages, over
T-subsets that hold the rollout, one over their number of successes. The fifth, with T = n, is
``maxrl-keep-failures``. None is centered; ``maxrl-truncated:T`` is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import comb

import numpy as np

from ....core.arrays import Array, Namespace, widest
from ....core.coefficients import Vector
from ....kernels.lookup import look_up
from ....kernels.tables import Column
from ...base import Estimator
from ...claims import Claims, Laws
from ...entry import DeadGroups
from .pass_at_k_sums import LISTED, order

#: What a success and a failure get in a group of n with F failures: ``(n, T, F)`` to both.
Weights = Callable[[int, int, int], tuple[Fraction, Fraction]]


@dataclass(frozen=True, kw_only=True, eq=False)
class BySuccesses(Estimator):
    """A rule of 0/1 rewards that is two tables, by the number of failures in the group."""

    order: int
    weights: Weights
    success: Column
    failure: Column

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        n = rewards.shape[-1]
        values = xp.astype(rewards, widest(xp))
        failures = n - xp.astype(xp.sum(values, axis=-1, keepdims=True), xp.int32)
        # NaN and its like, which unchecked takes too, must not become an index.
        places = xp.clip(failures, 0, n)
        of_success, of_failure = (look_up(each, places, n, 1, xp) for each in (self.success, self.failure))
        return xp.astype(xp.where(values == 1, of_success, of_failure), rewards.dtype)

    def exact_advantages(self, n: int, k: int) -> tuple[Vector, Vector] | None:
        sides = [self.weights(n, self.order, failures) for failures in range(n + 1)]
        won, lost = ([side[i] for side in part] for i, part in enumerate((sides[:-1], sides[1:])))
        return np.array(won, dtype=object), np.array(lost, dtype=object)

    def _undefined(self, n: int, k: int) -> str | None:
        if (reason := super()._undefined(n, k)) or self.order <= n:
            return reason
        family = self.name.partition(":")[0]
        return (
            f"{self.name} needs n >= T = {self.order} (n={n}): pass@k beyond n has no unbiased estimate; "
            f"the nearest valid choice is {family}:{n}"
        )


def _column(weights: Weights, order: int, side: int, n: int, _: int) -> Vector:
    """One side of the table, for F = 0..n."""
    return np.array([float(weights(n, order, failures)[side]) for failures in range(n + 1)])


def _signal(n: int, k: int, failures: int) -> Fraction:
    """``C(F-1,k-1)/C(n-1,k-1)``: the chance that the k-1 others of a failure's tuple fail too."""
    return Fraction(comb(failures - 1, k - 1), comb(n - 1, k - 1)) if failures else Fraction(0)


def _maclaurin(n: int, order: int, failures: int) -> tuple[Fraction, Fraction]:
    return Fraction(1), -sum((_signal(n, k, failures) for k in range(2, order + 1)), Fraction(0))


def _with_baseline(n: int, order: int, failures: int) -> tuple[Fraction, Fraction]:
    shares = sum(
        (Fraction(comb(failures, k), comb(n, k) - 1) for k in range(2, min(order, n - 1) + 1)), Fraction(0)
    )
    of_failure = shares * (1 - Fraction(n, failures)) if failures else Fraction(0)
    # The tuple of all has no other to compare with; its own term stays as it is.
    return 1 + shares, of_failure - int(order == n >= 2 and failures == n)


def _cross_fitted(n: int, order: int, failures: int) -> tuple[Fraction, Fraction]:
    success, failure = _maclaurin(n, order, failures)
    for k in range(2, min(order, n // 2) + 1):
        ways = Fraction(n, comb(n - k, k) * k * comb(n, k))
        successes = n - failures
        success += ways * sum(
            comb(failures, t) * _choose(successes - 1, k - 1 - t) * _choose(failures - t, k) for t in range(k)
        )
        failure += ways * sum(
            _choose(failures - 1, t) * comb(successes, k - 1 - t) * _choose(failures - 1 - t, k)
            for t in range(k)
        )
    return success, failure


def _subsets(n: int, order: int, failures: int) -> tuple[Fraction, Fraction]:
    successes = n - failures
    share = sum(
        (
            Fraction(comb(successes - 1, k - 1) * comb(failures, order - k), k * comb(n, order))
            for k in range(1, min(order, successes) + 1)
        ),
        Fraction(0),
    )
    return n * share - 1, Fraction(-1)


def _choose(n: int, k: int) -> int:
    return comb(n, k) if n >= 0 else 0


def _made(
    family: str, text: str, weights: Weights, *, title: str, equation: str, unbiased: bool, dead: DeadGroups
) -> BySuccesses:
    largest = order(family, text)
    return BySuccesses(
        name=f"{family}:{largest}",
        title=f"{title}, T = {largest}",
        equation=equation.format(T=largest),
        citation=(f"tajwarfahim/maxrl c0698eb, {family.replace('-', '_')} times n; arXiv 2602.02710 (MaxRL)"),
        objective=f"maxrl-truncated:{largest}",
        uses_k=False,
        claims=Claims(unbiased=unbiased, centered=False),
        domain="binary",
        laws=Laws(shift_invariant=False, scale="none"),
        degenerate=f"pays groups that are {'' if dead == 'all-fail' else 'all right, or '}all wrong",
        dead_groups=dead,
        order=largest,
        weights=weights,
        success=Column(partial(_column, weights, largest, 0)),
        failure=Column(partial(_column, weights, largest, 1)),
    )


def maclaurin(T: str) -> BySuccesses:  # noqa: N803 - its name in messages
    """No baseline: unbiased. ValueError, here and below: T is no whole number >= 1."""
    equation = "success 1, failure -sum over k = 2..{T} of C(F-1,k-1)/C(n-1,k-1), F failures"
    dead: DeadGroups = "all-correct" if T == "1" else "both"
    return _made("maclaurin", T, _maclaurin, title="Maclaurin", equation=equation, unbiased=True, dead=dead)


def maclaurin_baseline(T: str) -> BySuccesses:  # noqa: N803 - the same
    """A tuple's baseline averages over all other tuples, those that share rollouts with it too: biased."""
    equation = "success 1 + s, failure (1 - n/F) s, s = sum over k = 2..{T} of C(F,k)/(C(n,k)-1), F failures"
    return _made(
        "maclaurin-baseline",
        T,
        _with_baseline,
        title="Maclaurin, leave-one-out over tuples",
        equation=equation,
        unbiased=T == "1",
        dead="all-correct" if T == "1" else "both",
    )


def cross_fitted_maclaurin(T: str) -> BySuccesses:  # noqa: N803 - the same
    """A tuple's baseline averages over the tuples disjoint from it, none where n < 2k: unbiased."""
    equation = "maclaurin:{T} plus baselines over k-tuples disjoint from the rollout's own, where n >= 2k"
    return _made(
        "cross-fitted-maclaurin",
        T,
        _cross_fitted,
        title="Cross-fitted Maclaurin",
        equation=equation,
        unbiased=True,
        dead="all-correct" if T == "1" else "both",
    )


def oversample_subset_vr(T: str) -> BySuccesses:  # noqa: N803 - the same
    """MaxRL of a T-subset, averaged over all of the group, less 1: unbiased."""
    equation = (
        "success n c - 1, failure -1, c the mean over {T}-subsets of 1/(successes in it) where i is in it"
    )
    return _made(
        "oversample-subset-vr",
        T,
        _subsets,
        title="MaxRL over subsets",
        equation=equation,
        unbiased=True,
        dead="all-fail",
    )


RULES = tuple(
    each(str(LISTED))
    for each in (maclaurin, maclaurin_baseline, cross_fitted_maclaurin, oversample_subset_vr)
)
MAKERS = {
    "maclaurin": maclaurin,
    "maclaurin-baseline": maclaurin_baseline,
    "cross-fitted-maclaurin": cross_fitted_maclaurin,
    "oversample-subset-vr": oversample_subset_vr,
}
