"""The slow truth of the rules with history: subsets enumerated, systems solved, in exact rationals.

Nothing here shares a line with the fast code. Rewards and weights are any numbers that ``Fraction`` takes;
results are lists of Fractions. A history is its rewards y and their weights w.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations
from math import comb
from statistics import mean
from typing import Any

from . import groups as definitions

Numbers = Sequence[Any]
Exact = list[Fraction]


def excess(x: Fraction, others: Sequence[Fraction], k: int) -> Fraction:
    """``Phi(x)``: mean over (K-1)-subsets T of the others of ``(x - max T)^+``; x itself at K = 1."""
    if k == 1:
        return x
    return mean(max(x - max(subset), Fraction(0)) for subset in combinations(others, k - 1))


def without_history(rewards: Numbers, k: int) -> Exact:
    """A0: maxpo, pkpo-loo1 at K = n, the reward itself at n = 1."""
    if len(rewards) == 1:
        return [Fraction(rewards[0])]
    return (definitions.pkpo_loo1 if k == len(rewards) else definitions.maxpo)(rewards, k)


def hist(rewards: Numbers, k: int, y: Numbers, w: Numbers) -> Exact:
    """``K (Phi_i(R_i) - sum w Phi_i(y) / W)``; A0 where W = 0. Cost n (m+1) C(n-1, K-1)."""
    group, past, weights = ([Fraction(x) for x in each] for each in (rewards, y, w))
    if not sum(weights):
        return without_history(rewards, k)
    advantages = []
    for i, r in enumerate(group):
        others = group[:i] + group[i + 1 :]
        shares = (a * excess(x, others, k) for x, a in zip(past, weights, strict=True))
        baseline = sum(shares, Fraction(0)) / sum(weights)
        advantages.append(k * (excess(r, others, k) - baseline))
    return advantages


def fair(n: int, k: int, w: Numbers) -> Fraction:
    """``W / (n-K+W)``, and 0 where W = 0."""
    weight = sum(map(Fraction, w))
    return weight / (n - k + weight) if weight else Fraction(0)


def replay(rewards: Numbers, k: int, y: Numbers, w: Numbers, lam: Any = None) -> Exact:
    """``(1 - lam) A0 + lam HIST``, the fair lambda where none is given."""
    share = fair(len(rewards), k, w) if lam is None else Fraction(lam)
    pairs = zip(without_history(rewards, k), hist(rewards, k, y, w), strict=True)
    return [(1 - share) * plain + share * past for plain, past in pairs]


def centered_replay(rewards: Numbers, k: int, y: Numbers, w: Numbers) -> Exact:
    """``n/(n-1) (HIST - mean HIST)``; without history maxpo, at K = n the same of pkpo-loo1."""
    n = len(rewards)
    if k < n and not any(w):
        return without_history(rewards, k)
    values = hist(rewards, k, y, w)
    return [Fraction(n, n - 1) * (a - mean(values)) for a in values]


def pooled(rewards: Numbers, k: int, y: Numbers, w: Numbers) -> Exact:
    """The rule maxpo on the group and the rewards of weight 1, of the group's own rollouts."""
    pool = [*rewards, *(x for x, a in zip(y, w, strict=True) if a)]
    return definitions.maxpo(pool, k)[: len(rewards)]


def plug_in_floor(rewards: Numbers, k: int, y: Numbers, w: Numbers) -> Exact:
    """``g(c') R_i - beta(c')``, beta the least variance of one good outcome at ``p = H / (W + 1/2)``."""
    weight, group = sum(map(Fraction, w)), [Fraction(r) for r in rewards]
    rate = sum(Fraction(x) * Fraction(a) for x, a in zip(y, w, strict=True)) / (weight + Fraction(1, 2))
    n = len(group)
    beta = least_variance(n, k, rate)
    others = [int(sum(group) - r) for r in group]
    return [
        r * k * Fraction(comb(n - 1 - c, k - 1), comb(n - 1, k - 1)) - beta[c]
        for r, c in zip(group, others, strict=True)
    ]


def least_variance(n: int, k: int, p: Fraction) -> Exact:
    """The baseline of one good outcome among many: ``E|g|^2`` as a quadratic form over the counts, minimised.

    With mean scores ``G_1 = (1-p) D``, ``G_0 = -p D``, |D| = 1, and variances 0 and 1 of the scores inside
    the two levels. At p = 0, where nothing pays for a baseline, 0.
    """
    if not p:
        return [Fraction(0)] * n
    matrix = [[Fraction(0)] * n for _ in range(n)]
    right = [Fraction(0)] * n
    for successes in range(n + 1):
        chance = comb(n, successes) * p**successes * (1 - p) ** (n - successes)
        # The length of g along D is ``line . beta + start``.
        line, start = [Fraction(0)] * n, Fraction(0)
        if successes:
            others = successes - 1
            gain = k * Fraction(comb(n - 1 - others, k - 1), comb(n - 1, k - 1))
            start = successes * (1 - p) * gain
            line[others] -= successes * (1 - p)
        if successes < n:
            line[successes] += (n - successes) * p
            matrix[successes][successes] += chance * (n - successes)
        for a in range(n):
            right[a] -= chance * line[a] * start
            for b in range(n):
                matrix[a][b] += chance * line[a] * line[b]
    return _solved(matrix, right)


def _solved(matrix: list[Exact], right: Exact) -> Exact:
    """The solution of a positive definite system, by Gauss-Jordan elimination."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for i in range(len(rows)):
        rows[i] = [x / rows[i][i] for x in rows[i]]
        for j in range(len(rows)):
            if j != i:
                rows[j] = [x - rows[j][i] * pivot for x, pivot in zip(rows[j], rows[i], strict=True)]
    return [row[-1] for row in rows]


#: The definition of each rule, by its name.
BY_NAME: dict[str, Callable[[Numbers, int, Numbers, Numbers], Exact]] = {
    "replay": replay,
    "centered-replay": centered_replay,
    "pooled": pooled,
    "plug-in-floor": plug_in_floor,
}
