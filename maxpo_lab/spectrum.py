"""The pass@k spectrum: the mixture of pass@k objectives that a rule really climbs."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

from . import rules
from .core.arguments import as_group_size, as_k
from .core.arrays import EPS, Float
from .core.coefficients import Vector
from .estimators import Estimator
from .estimators.definitions import groups as definitions
from .estimators.families.sums.mixture import AtOwnK, Mixture
from .objectives import Objective, as_objective, increments, looks_at_k

#: Largest group whose spectrum is taken in rationals: beyond it float64 says as much, faster.
EXACT_UP_TO = 32
#: Largest group of which all 2^n orders of 0/1 rewards are looked at, for a rule that depends on the order.
ORDERED_UP_TO = 12


@dataclass(frozen=True, eq=False)
class Spectrum:
    r"""What a rule climbs on 0/1 rewards: ``sum_k lambda_k pass@k``.

    Attributes
    ----------
    weights
        ``lambda_1..lambda_n``, shape (n,), unique; Fractions where ``exact``, else float64.
    increments
        ``D_m``, m = 0..n-1: the advantage of a success less that of a failure in its place, where m of
        the n-1 others fail. ``E[g] = f(p) grad p`` with ``f(p) = E[D_m]``, m ~ Bin(n-1, 1-p).
    resolution
        How far rounding alone can move each weight, shape (n,); 0 where ``exact``.
    """

    weights: Vector
    increments: Vector
    resolution: Float

    @property
    def exact(self) -> bool:
        """Whether the weights are exact rationals."""
        return self.weights.dtype == object

    def weight_function(self, success: npt.ArrayLike) -> Float:
        """``f(p)``: weight of the gradient of p at success probability p, same shape as ``success``.

        Evaluated as the average of the increments over the other rollouts, which is stable for any n,
        not as ``sum_k lambda_k k (1-p)^(k-1)``.
        """
        return bernstein(self.increments, success)

    def surrogate(self, success: npt.ArrayLike) -> Float:
        """The objective climbed, ``sum_k lambda_k pass@k``: the integral of f from 0 to p."""
        failures = np.asarray(self.increments, dtype=np.float64)
        # A Bernstein polynomial integrates to partial sums of its coefficients, one degree higher;
        # they run over successes among the others, the increments over failures.
        partial = np.concatenate([[0.0], np.cumsum(failures[::-1])]) / len(failures)
        return bernstein(partial[::-1], success)


def pass_at_k_spectrum(estimator: str | rules.Rule, *, n: int, k: int) -> Spectrum:
    r"""Spectrum of a rule: the unique lambda with ``f(p) = sum_k lambda_k k (1-p)^(k-1)``.

    On 0/1 rewards ``E[g] = f(p) grad p``, f a polynomial of degree n-1, and the gradients of pass@1..pass@n
    are a basis. With D_m the increments of ``Spectrum``, forward differences give

    .. math:: \lambda_k = \frac1k \binom{n-1}{k-1} \Delta^{k-1} D_0 .

    A rule unbiased for pass@K has the K-th unit vector.

    Parameters
    ----------
    estimator
        A name, an ``Estimator``, or any callable ``(rewards (B, n), k) -> (B, n)``.
    n, k
        Group size and K, ``1 <= k <= n``; any ``k >= 1`` where the rule does not use it.

    Returns
    -------
    Spectrum
        In exact rationals for rank-linear rules, and for those with a rational definition up to n = 32;
        else in float64 with its resolution, which grows like ``2^k C(n-1, k-1)``.

    Raises
    ------
    TypeError, ValueError
        As ``exact_moments``: the groups' rows must be independent. A rule that depends on the order of the
        rollouts, at n > 12.

    Notes
    -----
    Cost n+1 evaluations of the rule and O(n^2) differences; 2^n evaluations of a rule that depends on the
    order, whose increments are averaged over the places of a rollout and of the others.
    """
    n = as_group_size(n)
    k = as_k(k)
    won, lost, size = advantages_by_failures(estimator, n, k)
    return from_increments(won - lost, size)


def objective_spectrum(objective: str | Objective, *, n: int, k: int) -> Spectrum:
    """Spectrum of an objective such as ``"max@k"`` or ``"l-statistic:TopM:2"``: what an unbiased rule has.

    An L-statistic of 0/1 rewards is a mixture of pass@k; exact rationals. Raises ValueError as
    ``objectives.as_objective``.
    """
    n = as_group_size(n)
    k = as_k(k, n=n if looks_at_k(objective) else None)
    return from_increments(increments(as_objective(objective, n, k), n, exact=True), 0.0)


def from_increments(steps: Vector, size: float) -> Spectrum:
    """The spectrum of these increments (n,), floats from advantages as large as ``size`` or Fractions."""
    n = len(steps)
    weights, differences = [], steps.copy()
    for order in range(1, n + 1):
        weights.append(differences[0] * comb(n - 1, order - 1) / order)
        differences = differences[1:] - differences[:-1]
    growth = [2.0 ** (order - 1) * comb(n - 1, order - 1) / order for order in range(1, n + 1)]
    return Spectrum(np.array(weights, dtype=steps.dtype), steps, 4 * EPS * size * np.array(growth))


def advantages_by_failures(estimator: str | rules.Rule, n: int, k: int) -> tuple[Vector, Vector, float]:
    """Advantages of a success, and of a failure in its place, where m of the n-1 others fail, (n,) each.

    In exact rationals where the rule has them, see ``pass_at_k_spectrum``, and then the third is 0; else from
    its output, ties averaged, and the third is the largest ``|A|``. Raises as ``pass_at_k_spectrum``.
    """
    rule = rules.admit(estimator, n, k, values=np.array([0.0, 1.0]), batch=n + 1)
    exact = _exact_advantages(rule, n, k) if n <= EXACT_UP_TO else None
    return (*exact, 0.0) if exact else _measured_advantages(rule, n, k)


def _exact_advantages(rule: rules.Rule, n: int, k: int) -> tuple[Vector, Vector] | None:
    if isinstance(rule, Mixture):
        found = [_exact_advantages(term, n, k) for _, term in rule.terms]
        parts = [part for part in found if part is not None]
        if len(parts) < len(found):
            return None
        weights = [weight for weight, _ in rule.terms]
        won, lost = (
            np.asarray(sum(weight * part[side] for weight, part in zip(weights, parts, strict=True)))
            for side in range(2)
        )
        return won, lost
    if isinstance(rule, AtOwnK):
        return _exact_advantages(rule.rule, n, rule.own_k)
    if isinstance(rule, Estimator) and (known := rule.exact_advantages(n, k)) is not None:
        return known
    name = rule.name if isinstance(rule, Estimator) else None
    if name not in definitions.RATIONAL:
        return None
    success, failure = [], []
    for failures in range(n):
        others = [0] * failures + [1] * (n - 1 - failures)
        success.append(definitions.BY_NAME[name]([*others, 1], k)[-1])
        failure.append(definitions.BY_NAME[name]([*others, 0], k)[-1])
    return np.array(success, dtype=object), np.array(failure, dtype=object)


def _measured_advantages(rule: rules.Rule, n: int, k: int) -> tuple[Float, Float, float]:
    level = np.tri(n + 1, n, -1, dtype=np.intp)[:, ::-1]  # row c: c successes, at the end
    rewards = level.astype(np.float64)
    observed = rules.equivariance(rule, rewards, level, k)
    if observed.counterexample is not None:
        if n > ORDERED_UP_TO:
            group, permuted = observed.counterexample
            raise ValueError(
                f"{rules.describe(rule)} is not permutation-equivariant ({group} and {permuted} get "
                f"different advantages, ties aside): its spectrum is an average over all orders of a group, "
                f"2^{n} of them, taken up to n={ORDERED_UP_TO}"
            )
        return _over_orders(rule, n, k)
    advantages = rules.evaluate(rule, rewards, k)
    count = np.arange(n + 1)
    success = np.sum(advantages * level, axis=1)[1:] / count[1:]
    failure = np.sum(advantages * (1 - level), axis=1)[:-1] / (n - count[:-1])
    return success[::-1], failure[::-1], float(np.abs(advantages).max())


def _over_orders(rule: rules.Rule, n: int, k: int) -> tuple[Float, Float, float]:
    """The same, averaged over all places of a rollout and of the others' failures."""
    rows = np.arange(2**n)
    success = (rows[:, None] >> np.arange(n)) & 1
    blocks = np.array_split(success.astype(np.float64), 1 + len(rows) // (n + 1))
    advantages = np.concatenate([rules.evaluate(rule, block, k) for block in blocks])
    won, lost = np.zeros(n), np.zeros(n)
    for place in range(n):
        failed = rows[success[:, place] == 0]
        others = n - 1 - success[failed].sum(axis=1)
        won += np.bincount(others, advantages[failed | (1 << place), place], minlength=n)
        lost += np.bincount(others, advantages[failed, place], minlength=n)
    ways = np.array([n * comb(n - 1, others) for others in range(n)])
    return won / ways, lost / ways, float(np.abs(advantages).max())


def bernstein(by_failures: Vector, success: npt.ArrayLike) -> Float:
    """Average of coefficients (n,), indexed by failures, over Bin(n-1, 1-p), by de Casteljau's rule."""
    p = np.asarray(success, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"success={success!r}: probabilities between 0 and 1 are needed")
    values = np.asarray(by_failures, dtype=np.float64)
    table = np.broadcast_to(values, (*p.shape, len(values)))
    while table.shape[-1] > 1:
        table = table[..., :-1] * p[..., None] + table[..., 1:] * (1 - p[..., None])
    return np.asarray(table[..., 0])
