"""The slow truth: every rule as its source defines it, subsets enumerated, in exact rationals.

Nothing here shares a line with the fast kernels; families that bring their definition with them have it in
their own file, and it does not either. Rewards are any numbers ``Fraction`` takes (floats
are exact rationals); results are lists of Fractions. Cost is stated in subsets of the group.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import combinations
from math import comb
from statistics import mean

from ...objectives import PREFIX, as_objective
from ..families import FAMILIES
from ..families.sums.l_statistic import LISTED
from ..rationals import Group, Signal, deviation, exponential, root
from ..rationals import exact as _exact
from ..rationals import without as _without
from . import sums


def _mean_max(group: Iterable[Fraction], k: int) -> Fraction:
    """Mean of the maximum over the k-subsets; 0 for k = 0, as ``v_i(0) = 0``."""
    return mean(max(subset) for subset in combinations(group, k)) if k else Fraction(0)


def value(rewards: Group, k: int) -> Fraction:
    """``rho(K)``: mean of max over all K-subsets, the unbiased estimate of J_K. Cost C(n, K)."""
    return _mean_max(_exact(rewards), k)


def inclusion_value(rewards: Group, k: int) -> list[Fraction]:
    """``q_i(K)``: mean of max over the K-subsets that contain i. Cost n C(n-1, K-1)."""
    group = _exact(rewards)
    return [
        mean(max((r, *rest)) for rest in combinations(_without(group, i), k - 1)) for i, r in enumerate(group)
    ]


def leave_one_out_value(rewards: Group, k: int) -> list[Fraction]:
    """``v_i(K)``: mean of max over the K-subsets of the others, K <= n-1. Cost n C(n-1, K)."""
    group = _exact(rewards)
    return [_mean_max(_without(group, i), k) for i in range(len(group))]


def marginal_contribution(rewards: Group, k: int) -> list[Fraction]:
    """``h_i(K) = q_i(K) - v_i(K-1)``: what max gains by adding i to K-1 others. Cost n C(n, K)."""
    pairs = zip(inclusion_value(rewards, k), leave_one_out_value(rewards, k - 1), strict=True)
    return [q - v for q, v in pairs]


def reinforce(rewards: Group, k: int) -> list[Fraction]:
    """``R_i``."""
    return _exact(rewards)


def rloo(rewards: Group, k: int) -> list[Fraction]:
    """``R_i`` minus the mean of the others. Cost n^2."""
    group = _exact(rewards)
    return [r - mean(_without(group, i)) for i, r in enumerate(group)]


def batch_mean(rewards: Group, k: int) -> list[Fraction]:
    """``R_i`` minus the mean of all."""
    group = _exact(rewards)
    return [r - mean(group) for r in group]


def pkpo_s(rewards: Group, k: int) -> list[Fraction]:
    """``K q_i(K)``. Cost n C(n-1, K-1)."""
    return [k * q for q in inclusion_value(rewards, k)]


def pkpo_loo(rewards: Group, k: int) -> list[Fraction]:
    """``K q_i(K) - K n/(n-1) v_i(K)``. Cost n C(n, K)."""
    scale = Fraction(len(rewards), len(rewards) - 1)
    pairs = zip(inclusion_value(rewards, k), leave_one_out_value(rewards, k), strict=True)
    return [k * (q - scale * v) for q, v in pairs]


def pkpo_loo1(rewards: Group, k: int) -> list[Fraction]:
    """``K h_i(K)``. Cost n C(n, K)."""
    return [k * h for h in marginal_contribution(rewards, k)]


def maxpo(rewards: Group, k: int) -> list[Fraction]:
    """MaxPO, the Leave-Two-Out baseline: ``K h_i`` minus the mean over j of ``K h_j`` without i.

    ``h_j`` is enumerated anew in each group that lacks i. Cost n^2 C(n-1, K): n <= 10 or so.
    """
    group = _exact(rewards)
    own = marginal_contribution(group, k)
    return [k * (own[i] - mean(marginal_contribution(_without(group, i), k))) for i in range(len(group))]


def predictive(rewards: Group, k: int) -> list[Fraction]:
    """``K (q_i - b_i)``: b_i averages max(R_j, max T) over j != i and (K-1)-subsets T of all the others.

    T may hold j itself. Cost n^2 C(n-1, K-1).
    """
    group = _exact(rewards)
    advantages = []
    for i, q in enumerate(inclusion_value(group, k)):
        others = _without(group, i)
        predicted = mean(max((r, *t)) for r in others for t in combinations(others, k - 1))
        advantages.append(k * (q - predicted))
    return advantages


def chebyshev(rewards: Group, k: int) -> list[Fraction]:
    """``sum_j c_j/j`` times pkpo-loo1 at j <= n, rloo at 1: ``K x^(K-1)`` is cut to ``sum_j c_j x^(j-1)``.

    Cut by taking its leading term away with the shifted Chebyshev polynomial of its degree, again and again.
    """
    weights = [Fraction(0)] * (k - 1) + [Fraction(k)]
    while len(weights) > len(rewards):
        shifted = _shifted_chebyshev(len(weights) - 1)
        weights = [a - weights[-1] * Fraction(b, shifted[-1]) for a, b in zip(weights, shifted, strict=True)]
        del weights[-1]
    advantages = [Fraction(0)] * len(rewards)
    for j, weight in enumerate(weights, start=1):
        if weight:
            part = rloo(rewards, j) if j == 1 else pkpo_loo1(rewards, j)
            advantages = [a + weight / j * b for a, b in zip(advantages, part, strict=True)]
    return advantages


def _shifted_chebyshev(degree: int) -> list[int]:
    """``T_j(2x - 1) = sum_s (-1)^(j-s) 4^s j/(j+s) C(j+s, 2s) x^s``, its coefficients."""
    if not degree:
        return [1]
    return [
        int((-1) ** (degree - s) * 4**s * Fraction(degree, degree + s) * comb(degree + s, 2 * s))
        for s in range(degree + 1)
    ]


def canonical(rewards: Group, k: int) -> list[Fraction]:
    """``K (q_i(K) - v_i(K))``. Cost n C(n, K)."""
    pairs = zip(inclusion_value(rewards, k), leave_one_out_value(rewards, k), strict=True)
    return [k * (q - v) for q, v in pairs]


def l_statistic(objective: str) -> Signal:
    """``K (q_i - v_i)`` with an L-statistic of the subset in place of its maximum. Cost n C(n, K)."""

    def signal(rewards: Group, k: int) -> list[Fraction]:
        group = _exact(rewards)
        alpha = as_objective(objective, len(group), k).weights

        def statistic(subset: Iterable[Fraction]) -> Fraction:
            return sum((a * r for a, r in zip(alpha, sorted(subset), strict=True)), Fraction(0))

        others = [_without(group, i) for i in range(len(group))]
        return [
            k
            * (
                mean(statistic((r, *rest)) for rest in combinations(others[i], k - 1))
                - mean(statistic(subset) for subset in combinations(others[i], k))
            )
            for i, r in enumerate(group)
        ]

    return signal


def max_minus_second(rewards: Group, k: int) -> list[Fraction]:
    """``n (R_max - R_second)`` for the unique winner, else 0."""
    return [len(rewards) * lead for lead in verl_grpo_passk_nostd(rewards, k)]


def verl_grpo_passk_nostd(rewards: Group, k: int) -> list[Fraction]:
    """``R_max - R_second`` for the winner, else 0."""
    group = _exact(rewards)
    return [max(r - max(_without(group, i)), Fraction(0)) for i, r in enumerate(group)]


def verl_grpo_passk(rewards: Group, k: int) -> list[Fraction]:
    """``(R_max - R_second) / (std1 + 1e-6)`` for the winner, else 0."""
    scale = deviation(_exact(rewards), 1) + Fraction(1e-6)
    return [lead / scale for lead in verl_grpo_passk_nostd(rewards, k)]


def ei_group_mean(rewards: Group, k: int) -> list[Fraction]:
    """What each adds to the maximum of the others, ``[R_i - max R_j]^+``, less the group's mean of it."""
    group = _exact(rewards)
    improvement = [max(group) - max(_without(group, i)) for i in range(len(group))]
    return [each - mean(improvement) for each in improvement]


def leader(alpha: float) -> Signal:
    """``(R_i - mean) + alpha (R_max - mean)`` for every winner."""

    def signal(rewards: Group, k: int) -> list[Fraction]:
        group = _exact(rewards)
        bonus = Fraction(alpha) * (max(group) - mean(group))
        return [r - mean(group) + (bonus if r == max(group) else 0) for r in group]

    return signal


def entropic(beta: float) -> Signal:
    """``e_i / (mean of the other e + 1e-12) - 1``, ``e_i = exp(beta (R_i - R_max))``, to 50 digits."""

    def signal(rewards: Group, k: int) -> list[Fraction]:
        group = _exact(rewards)
        e = [exponential(Fraction(beta) * (r - max(group))) for r in group]
        return [x / (mean(_without(e, i)) + Fraction(1e-12)) - 1 for i, x in enumerate(e)]

    return signal


def grpo(eps: float, ddof: int) -> Signal:
    """``(R_i - mean) / (std + eps)``, to 50 digits."""

    def signal(rewards: Group, k: int) -> list[Fraction]:
        group = _exact(rewards)
        return [(r - mean(group)) / (deviation(group, ddof) + Fraction(eps)) for r in group]

    return signal


def nemo_grpo(rewards: Group, k: int) -> list[Fraction]:
    """``(R_i - mean of the others) / (std1 of the others + 1e-6)``, undivided where they are equal."""
    group = _exact(rewards)
    advantages = []
    for i, r in enumerate(group):
        others = _without(group, i)
        spread = deviation(others, 1)
        advantages.append((r - mean(others)) / (spread + Fraction(1e-6) if spread else 1))
    return advantages


def torchrl_grpo(rewards: Group, k: int) -> list[Fraction]:
    """``(R_i - mean) / max(std1, 1e-6)``, to 50 digits."""
    group = _exact(rewards)
    scale = max(deviation(group, 1), Fraction(1e-6))
    return [(r - mean(group)) / scale for r in group]


def rloo_standardised(rewards: Group, k: int) -> list[Fraction]:
    """``(R_i - mean of the others) / (std1 + 1e-4)``, to 50 digits."""
    scale = deviation(_exact(rewards), 1) + Fraction(1e-4)
    return [a / scale for a in rloo(rewards, k)]


def maxrl(rewards: Group, k: int) -> list[Fraction]:
    """``(R_i - mean) / mean``, 0 where the mean is 0."""
    group = _exact(rewards)
    return [(r - mean(group)) / mean(group) if any(group) else Fraction(0) for r in group]


def maxrl_keep_failures(rewards: Group, k: int) -> list[Fraction]:
    """``(R_i - mean) / mean``, -1 where the mean is 0."""
    group = _exact(rewards)
    return [(r - mean(group)) / mean(group) if any(group) else Fraction(-1) for r in group]


def tailrl(rewards: Group, k: int) -> list[Fraction]:
    """``B_(r) = n sum over j <= r of (R_(j) - R_(j-1)) / (n-j+1)``, less its group mean."""
    group = _exact(rewards)
    n = len(group)
    ranked = [Fraction(0), *sorted(group)]
    credit = {
        r: n * sum((ranked[j] - ranked[j - 1]) / (n - j + 1) for j in range(1, n + 1) if ranked[j] <= r)
        for r in set(group)
    }
    values = [Fraction(credit[r]) for r in group]
    return [b - mean(values) for b in values]


def maxrl_pkpo(rewards: Group, k: int) -> list[Fraction]:
    """``(n a_i - sum a) / (n-1)`` with ``a_i = R_i C(n-c, K-1) / C(n-1, K-1)``."""
    group = _exact(rewards)
    n, successes = len(group), sum(group)
    a = [r * Fraction(comb(n - int(successes), k - 1), comb(n - 1, k - 1)) for r in group]
    return [(n * x - sum(a)) / (n - 1) for x in a]


def rloo_reweighted(rewards: Group, k: int) -> list[Fraction]:
    """``K (1 - mean of the others)^(K-1) (R_i - mean of the others)``."""
    group = _exact(rewards)
    others = [mean(_without(group, i)) for i in range(len(group))]
    return [k * (1 - v) ** (k - 1) * (r - v) for r, v in zip(group, others, strict=True)]


def pkpo_mean_centered(rewards: Group, k: int) -> list[Fraction]:
    """``(K/n) (q_i - rho)``. Cost C(n, K) + n C(n-1, K-1)."""
    rho = value(rewards, k)
    return [Fraction(k, len(rewards)) * (q - rho) for q in inclusion_value(rewards, k)]


def pkpo_sum_scale(rewards: Group, k: int) -> list[Fraction]:
    """``K h_i / n``. Cost n C(n, K)."""
    return [a / len(rewards) for a in pkpo_loo1(rewards, k)]


def passk_training(rewards: Group, k: int) -> list[Fraction]:
    """Pass@k Training's closed form in the number of successes, to 50 digits."""
    group = _exact(rewards)
    n, c = len(group), int(sum(group))
    rho = 1 - Fraction(comb(n - c, k), comb(n, k))
    scale = root(rho * (1 - rho)) + Fraction(1e-6)
    fail = 1 - rho - (Fraction(comb(n - c - 1, k - 1), comb(n - 1, k - 1)) if c < n else 0)
    return [((1 - rho) if r else fail) / scale for r in group]


#: The definition of each rule, by the registry's name; parametrised ones at their defaults.
BY_NAME: dict[str, Signal] = {
    "reinforce": reinforce,
    "rloo": rloo,
    "batch-mean": batch_mean,
    "grpo": grpo(1e-6, 1),
    "nemo-grpo": nemo_grpo,
    "maxrl": maxrl,
    "maxrl-keep-failures": maxrl_keep_failures,
    "tailrl": tailrl,
    "maxrl-pkpo": maxrl_pkpo,
    "rloo-reweighted": rloo_reweighted,
    "pkpo-s": pkpo_s,
    "pkpo-loo": pkpo_loo,
    "pkpo-loo1": pkpo_loo1,
    "maxpo": maxpo,
    "canonical": canonical,
    "predictive": predictive,
    **{f"{PREFIX}{preset}": l_statistic(f"{PREFIX}{preset}") for preset in LISTED},
    "max-minus-second": max_minus_second,
    "verl-grpo-passk": verl_grpo_passk,
    "verl-grpo-passk-nostd": verl_grpo_passk_nostd,
    "leader": leader(0.5),
    "entropic": entropic(2.0),
    "pkpo-mean-centered": pkpo_mean_centered,
    "pkpo-sum-scale": pkpo_sum_scale,
    "passk-training": passk_training,
    "chebyshev": chebyshev,
    "torchrl-grpo": torchrl_grpo,
    "rloo-standardised": rloo_standardised,
    "ei-group-mean": ei_group_mean,
    **sums.BY_NAME,
    **{name: signal for family in FAMILIES for name, signal in getattr(family, "DEFINITIONS", {}).items()},
}
#: Rules whose definition is a rational function of the rewards: no root, no exponential, no epsilon.
RATIONAL: frozenset[str] = frozenset(BY_NAME) - {
    *("grpo", "nemo-grpo", "torchrl-grpo", "rloo-standardised"),
    *("verl-grpo-passk", "entropic", "passk-training"),
    *(name for family in FAMILIES for name in getattr(family, "DEFINITIONS", {})),
} | {name for family in FAMILIES for name in getattr(family, "RATIONAL", ())}
