"""The theorems as code: claims decided from coefficients, the complete class, uniqueness, the lift.

Exact rational arithmetic throughout, on purpose small: these functions decide, they do not scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations_with_replacement
from math import comb, factorial, prod
from typing import Any

import numpy as np

from .core.arguments import as_k, whole_number
from .core.arrays import Array
from .core.coefficients import gap_positions
from .core.precision import as_numpy
from .estimators import Estimator, RankLinear
from .moments import exact_moments
from .objectives import Objective, as_objective, increments
from .policies.levels import RewardLevels
from .rules.calling import Rule, describe

__all__ = [
    "Decision",
    "LinearSystem",
    "Proof",
    "canonical_baseline",
    "completeness_rank",
    "decide",
    "decide_by_moments",
    "lift",
    "multisets",
    "prove",
    "solve",
    "unbiased_and_centered",
]

Matrix = list[list[Fraction]]


@dataclass(frozen=True, slots=True)
class Decision:
    """What holds of a rule at one (n, k).

    ``scale``: the constant c with E[g] = c grad J for every policy, None where there is none; ``unbiased`` is
    c = 1. A Fraction where it is proved from coefficients, a float where it was measured.
    """

    scale: Fraction | float | None
    centered: bool

    @property
    def unbiased(self) -> bool:
        """Whether E[g] = grad J for every policy."""
        return self.scale == 1


@dataclass(frozen=True, slots=True)
class Proof:
    """Both sides of the equations that decide a rank-linear rule at one (n, k), in exact rationals.

    On 0/1 rewards, which decide for all, ``wanted[m]`` is what the objective wants a success to get over a
    failure in its place, m of the others failing, and ``got[m]`` what the rule gives; ``sums[m]`` is the sum
    of the advantages of a group with m failures. Each is (n,), for m = 0..n-1.
    """

    wanted: tuple[Fraction, ...]
    got: tuple[Fraction, ...]
    sums: tuple[Fraction, ...]

    @property
    def decision(self) -> Decision:
        """What follows: the scale that is common to every m, and whether every sum is 0."""
        sides = list(zip(self.got, self.wanted, strict=True))
        ratios = {g / w for g, w in sides if w}
        straight = len(ratios) == 1 and not any(g for g, w in sides if not w)
        return Decision(scale=ratios.pop() if straight else None, centered=not any(self.sums))


def prove(rule: RankLinear, *, n: int, k: int, objective: str | Objective | None = None) -> Proof:
    r"""What a rank-linear rule gives and its objective wants, from coefficients, exactly.

    Unbiased for the objective iff, with ``above_0`` the offset and ``below_n = 0``,
    ``above_m - below_(m+1) = D_m`` for m = 0..n-1, D the objective's increments (for max@K,
    ``K C(m, K-1) / C(n-1, K-1)``); a common factor c in place of 1 is a scale. Centered iff
    ``(n-m) above_m + m below_m = 0`` for every m, at m = 0 n times the offset.

    Parameters
    ----------
    rule
        A rank-linear estimator, defined at (n, k).
    n, k
        Group size and K.
    objective
        Defaults to the rule's own.

    Raises TypeError for a rule that is not rank-linear, ValueError where rule or objective is undefined at
    (n, k). Cost O(n k^2) rationals.
    """
    if not isinstance(rule, RankLinear):
        raise TypeError(
            f"rule={describe(rule)} is not rank-linear, so that it has no coefficients to decide from; "
            f"decide_by_moments takes any estimator, maxpo_lab.audit any rule"
        )
    made = rule.coefficients(n, k, exact=True)
    wanted = increments(as_objective(objective or rule.objective, n, k), n, exact=True)
    above, below = np.concatenate([[made.offset], made.above]), np.concatenate([[0], made.below, [0]])
    m = gap_positions(n + 1, exact=True) - 1
    sums = (n - m) * above + m * below[:-1]
    return Proof(*(tuple(map(Fraction, each)) for each in (wanted, above - below[1:], sums)))


def decide(rule: RankLinear, *, n: int, k: int, objective: str | Objective | None = None) -> Decision:
    """Decide unbiasedness and centering of a rank-linear rule from its coefficients, exactly.

    Arguments, errors and cost as ``prove``, whose equations these are the verdict of.
    """
    return prove(rule, n=n, k=k, objective=objective).decision


def decide_by_moments(rule: Estimator, *, n: int, k: int, policies: int = 3, seed: int = 0) -> Decision:
    """Decide scale and centering of any estimator from its exact moments on random policies.

    A scale is common if it is the same on all policies, with E[g] in the direction of the gradient of the
    rule's objective, to ``max(1e-10, bias_resolution)``; one within that of 1 is returned as exactly 1.
    Centered: no group's ``|sum A|`` above 1e-12 n times the root mean square advantage (or 1).

    Refutations are certain up to rounding; agreement is on the policies drawn (nine outcomes on three random
    reward levels, on 0/1 for binary rules), and a polynomial identity that holds on a few random points fails
    nowhere with probability one.

    Raises as ``exact_moments``, and ValueError for fewer than 2 policies: one has a scale common to nothing.
    Cost ``policies`` times its cost at three levels.
    """
    policies = whole_number(policies, "policies")
    if policies < 2:
        raise ValueError(f"policies={policies}: a scale is common to at least 2 policies")
    rng = np.random.default_rng([seed, n, k])
    found = []
    for _ in range(policies):
        values = [0.0, 1.0] if rule.domain == "binary" else np.sort(rng.random(3))
        levels = RewardLevels.from_softmax(rng.normal(size=9), np.resize(values, 9))
        found.append(exact_moments(rule, levels, n=n, k=k, target=rule.objective))
    scale: float | None = found[0].scale
    for each in found:
        bound = max(1e-10, each.bias_resolution)
        straight = np.isnan(each.direction_error) or each.direction_error <= bound
        if scale is None or not straight or abs(each.scale - scale) > bound * max(1.0, abs(scale)):
            scale = None
        elif abs(each.scale - 1) <= bound:
            scale = 1.0
    centered = all(each.advantage_sum_max <= 1e-12 * n * max(1.0, each.advantage_rms) for each in found)
    return Decision(scale=scale, centered=centered)


def lift(signal: Rule) -> Rule:
    r"""Lift a signal to a rule by its leave-one-out mean.

    .. math:: \mathrm{lift}(\phi)_i = \phi_i(R) - \frac{1}{n-1} \sum_{j \ne i} \phi_j(R \text{ without } i) .

    Whatever phi, the baseline of i never sees i, so the lift has the expectation of phi itself. If phi_j
    averages a kernel over subsets of the group, the lift is centered in every realised group. The lift of
    ``R`` is RLOO, of ``K h`` (pkpo-loo1) MaxPO, and of ``K q`` (pkpo-s) the canonical advantage.

    Parameters
    ----------
    signal
        A callable ``(rewards (B, n), k) -> (B, n)`` for groups of any size, an ``Estimator`` for one.

    Returns
    -------
    callable ``(rewards (B, n), k) -> (B, n)`` on NumPy arrays, n >= 2

    Notes
    -----
    Cost n+1 evaluations of the signal. Source: arXiv 2606.06080, generalised from its h to any signal.
    """

    def lifted(rewards: Any, k: int) -> Array:
        values = np.asarray(rewards, dtype=np.float64)
        n = values.shape[-1]
        if n < 2:
            raise ValueError(f"a lift needs a group of at least 2 rollouts (n={n})")
        without = (as_numpy(signal(np.delete(values, i, axis=-1), k)) for i in range(n))
        return as_numpy(signal(values, k)) - np.stack([each.mean(axis=-1) for each in without], axis=-1)

    lifted.__name__ = f"lift({describe(signal)})"
    return lifted


@dataclass(frozen=True, slots=True)
class LinearSystem:
    """Equations over the rationals and their solution set, by Gaussian elimination.

    ``solution`` is the unique solution, None where there is none or more than one.
    """

    unknowns: int
    equations: int
    rank: int
    consistent: bool
    solution: tuple[Fraction, ...] | None

    @property
    def unique(self) -> bool:
        """Whether exactly one solution exists."""
        return self.solution is not None


def unbiased_and_centered(n: int, k: int, levels: int = 2) -> LinearSystem:
    r"""All rules that are unbiased for max@K and centered, on rewards 0..levels-1, as a linear system.

    By the complete class a rule unbiased for every policy is ``A_i = K q_i - b(others)``. The unknowns are
    the baselines b, one for each multiset of n-1 levels (in ``multisets`` order); the equations are
    ``sum_i A_i = 0``, one for each multiset of n levels. Uniqueness: for ``k <= n-1`` there is exactly one
    solution, and it is the canonical advantage. Impossibility: for ``k = n`` there is none.

    Cost: Gaussian elimination on C(n+L-1, L-1) x C(n+L-2, L-1) rationals; meant for n <= 10.
    """
    others = {state: column for column, state in enumerate(multisets(n - 1, levels))}
    rows, right = [], []
    for group in multisets(n, levels):
        row = [Fraction(0)] * len(others)
        total = Fraction(0)
        for i, level in enumerate(group):
            rest = group[:i] + group[i + 1 :]
            row[others[rest]] += 1
            total += k * _inclusion_value(rest, level, k)
        rows.append(row)
        right.append(total)
    return solve(rows, right)


def canonical_baseline(n: int, k: int, levels: int = 2) -> tuple[Fraction, ...]:
    """``K v(K)`` of each multiset of n-1 levels, ``k <= n-1``: the baseline of the canonical advantage.

    Raises ValueError where k is not among 1..n-1.
    """
    n = whole_number(n, "n")
    if n < 2:
        raise ValueError(f"n={n}: the canonical baseline averages over others, so it needs n >= 2")
    if as_k(k) > n - 1:
        raise ValueError(
            f"k={k}: the canonical baseline averages over k-subsets of the {n - 1} others, so it needs "
            f"1 <= k <= n-1; the nearest valid choice is k={n - 1}"
        )
    return tuple(k * _mean_max(state, k) for state in multisets(n - 1, levels))


def completeness_rank(n: int, levels: int = 2) -> tuple[int, int]:
    """Rank of the multinomial probabilities of n rollouts as functions of the policy, and their number.

    Equal: no linear relation holds between them for every policy, so E[g] = grad J for every policy leaves
    no freedom beyond a baseline that does not see its rollout (the complete class). Evaluated at as many
    rational policies as there are multisets.
    """
    states = list(multisets(n, levels))
    rows = []
    for policy in multisets(n, levels):
        # Level frequencies of a group, each raised by one so that none is 0.
        shares = [Fraction(policy.count(level) + 1, n + levels) for level in range(levels)]
        rows.append([_multinomial(state, shares) for state in states])
    return solve(rows, [Fraction(0)] * len(rows)).rank, len(states)


def multisets(n: int, levels: int) -> list[tuple[int, ...]]:
    """All multisets of n levels, each sorted."""
    return list(combinations_with_replacement(range(levels), n))


def solve(rows: Sequence[Sequence[Fraction]], right: Sequence[Fraction]) -> LinearSystem:
    """Solve a linear system over the rationals by Gauss-Jordan elimination."""
    matrix: Matrix = [[*row, value] for row, value in zip(rows, right, strict=True)]
    unknowns = len(matrix[0]) - 1
    rank = 0
    for column in range(unknowns):
        pivot = next((r for r in range(rank, len(matrix)) if matrix[r][column]), None)
        if pivot is None:
            continue
        matrix[rank], matrix[pivot] = matrix[pivot], matrix[rank]
        lead = matrix[rank][column]
        matrix[rank] = [value / lead for value in matrix[rank]]
        for r, row in enumerate(matrix):
            if r != rank and (factor := row[column]):
                matrix[r] = [a - factor * b for a, b in zip(row, matrix[rank], strict=True)]
        rank += 1
    consistent = all(row[-1] == 0 for row in matrix[rank:])
    unique = consistent and rank == unknowns
    solution = tuple(row[-1] for row in matrix[:rank]) if unique else None
    return LinearSystem(unknowns, len(matrix), rank, consistent, solution)


def _inclusion_value(rest: tuple[int, ...], level: int, k: int) -> Fraction:
    """Mean of max(level, maximum of a (k-1)-subset of the rest), from the sorted rest."""
    return (
        sum((max(level, value) * chance for value, chance in _subset_maximum(rest, k - 1)), Fraction(0))
        if k > 1
        else Fraction(level)
    )


def _mean_max(state: tuple[int, ...], k: int) -> Fraction:
    return sum((value * chance for value, chance in _subset_maximum(state, k)), Fraction(0))


def _subset_maximum(state: tuple[int, ...], k: int) -> list[tuple[int, Fraction]]:
    """Values of a sorted multiset with the chance that each place holds the maximum of a k-subset."""
    total = comb(len(state), k)
    return [(value, Fraction(comb(place, k - 1), total)) for place, value in enumerate(state)]


def _multinomial(state: tuple[int, ...], shares: Sequence[Fraction]) -> Fraction:
    counts = [state.count(level) for level in range(len(shares))]
    ways = factorial(len(state)) // prod(map(factorial, counts))
    return ways * prod((share**count for share, count in zip(shares, counts, strict=True)), start=Fraction(1))
