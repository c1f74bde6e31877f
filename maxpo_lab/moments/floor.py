"""The variance floor: the least variance that any unbiased rule can have on a given policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.arguments import as_group_size, as_k
from ..core.arrays import Float, Int
from ..core.coefficients import subset_share
from ..objectives import (
    PER_REWARD,
    Objective,
    VectorObjective,
    as_objective,
    as_vector_objective,
    drawn_below,
    increments,
    looks_at_k,
)
from ..policies.checks import real
from ..policies.levels import RewardLevels
from ..policies.vector_levels import VectorLevels
from . import states
from .least_variance import optimal_shift, trace_covariance

#: Unknowns of the least-squares problem at most.
MAX_UNKNOWNS = 200_000
#: A floor below this share of pkpo-loo1's trace covariance is 0 to rounding.
DEGENERATE = 1e-12


@dataclass(frozen=True, eq=False)
class VarianceFloor:
    r"""The least trace covariance of an unbiased rule on one policy, and the rule that has it.

    Attributes
    ----------
    trace_covariance
        The floor.
    degenerate
        The floor is below 1e-12 of pkpo-loo1's trace covariance, 0 to rounding: the scores of a level do not
        vary (or all but 1e-12 of the rollouts succeed), and efficiencies are undefined.
    baseline
        The optimal ``b`` of ``A_i = K q_i(K) - b(others)``, q_i the mean of the objective's statistic over
        the K-subsets that hold i; one for each row of ``others``, shape (U,).
    others
        Counts of the reward levels among the n-1 others, shape (U, L), ``U = C(n+L-2, L-1)``.
    values
        The reward levels, shape (L,).
    n, k
        Group size and K.
    objective
        What the rules of this floor are unbiased for.
    """

    trace_covariance: float
    degenerate: bool
    baseline: Float
    others: Int
    values: Float
    n: int
    k: int
    objective: Objective | VectorObjective

    def rule(self, rewards: Any, k: int) -> Float:
        """The optimal rule as a callable ``(rewards (B, n), k) -> (B, n)``, on this policy's levels alone.

        Raises ValueError for another n, another k or rewards that are not levels of the policy.
        """
        rewards = np.asarray(rewards, dtype=np.float64)
        if rewards.ndim == 0:
            raise ValueError("rewards are a scalar: they must have shape (..., n)")
        if rewards.shape[-1] != self.n or k != self.k:
            raise ValueError(f"this baseline is for n={self.n}, k={self.k}, not n={rewards.shape[-1]}, k={k}")
        level = np.searchsorted(self.values, rewards).clip(max=len(self.values) - 1)
        if not (self.values[level] == rewards).all():
            raise ValueError(f"this baseline is for rewards {self.values.tolist()} alone")
        size = len(self.values)
        counts = np.sum(level[..., None] == np.arange(size), axis=-2)
        others = counts[..., None, :] - (level[..., None] == np.arange(size))
        index = _Index(self.others)(others.reshape(-1, size)).reshape(level.shape)
        signal, reference = _contributions(self.others, self.values, self.n, self.objective)
        return np.asarray(signal[index, level] + reference[index] - self.baseline[index])


def variance_floor(
    levels: RewardLevels | VectorLevels,
    *,
    n: int,
    k: int,
    target: str | Objective = "max@k",
    reward_weights: Sequence[float] | None = None,
    max_unknowns: int = MAX_UNKNOWNS,
) -> VarianceFloor:
    r"""Least trace covariance that an unbiased rule for an objective can have on a policy.

    By the complete class the unbiased rules are ``A_i = K q_i(K) - b(others)``, b free, q_i the mean of the
    objective's statistic over the K-subsets that hold i. With
    ``a_l(c) = K q_l - b(c - e_l)`` for a member of level l in a group with counts c, the floor minimises

    .. math:: \sum_c P(c) \frac1{n^2} \Big( \sum_l c_l a_l^2 (S_l - |G_l|^2)
              + \big|\sum_l c_l a_l G_l\big|^2 \Big),

    a sparse least-squares problem in one unknown for each multiset of n-1 levels; tridiagonal for 0/1
    rewards. E[g] is the same for every b, so the minimum is one of the variance.

    The same holds of rollouts that carry rows of rewards, whose levels are any rows: the unbiased rules for
    ``per-reward:max@k`` are ``A_i = sum_d w_d K q_i(K) of reward d - b(others)``.

    Parameters
    ----------
    levels
        The policy.
    n, k
        Group size and K, ``1 <= k <= n``.
    target, reward_weights
        The objective, of at most n rewards: see ``objectives.as_objective``. Under ``VectorLevels`` a name,
        of the weighted sum, or ``per-reward:`` and a name; weights are 1 each unless told.
    max_unknowns
        Refuse beyond this many unknowns.

    Returns
    -------
    VarianceFloor

    Raises
    ------
    TypeError, ValueError
        Bad arguments; an objective of more than n rewards; more than ``max_unknowns`` unknowns.

    Notes
    -----
    The floor depends on the policy, and so does the baseline that reaches it: it is a bound, not a rule to
    train with. Cost: one sparse factorisation with ``C(n+L-2, L-1)`` unknowns.
    """
    n = as_group_size(n)
    k = as_k(k, n=n if looks_at_k(target) else None)
    objective: Objective | VectorObjective
    if isinstance(levels, VectorLevels):
        rewards = levels.rewards
        weights = real("reward_weights", reward_weights or (1.0,) * rewards.shape[1], shape=rewards.shape[1:])
        objective = as_vector_objective(target, n, k, weights=tuple(weights.tolist()), table=rewards)
        levels = levels.by_number
    elif reward_weights is not None or str(target).startswith(PER_REWARD):
        raise ValueError(
            f"target={target!r}, reward_weights={reward_weights}: of several rewards, VectorLevels"
        )
    else:
        objective = as_objective(target, n, k, argument="target")
    if not isinstance(levels, RewardLevels):
        raise TypeError(f"levels is a {type(levels).__name__}: it must be a RewardLevels or a VectorLevels")
    size = len(levels.values)
    unknowns = states.number_of_counts(n - 1, size)
    if unknowns > max_unknowns:
        raise ValueError(
            f"{unknowns:,} unknowns for n={n} and {size} reward levels, more than max_unknowns="
            f"{max_unknowns:,}: use a smaller group, merge reward levels, or raise max_unknowns"
        )
    others = states.counts(n - 1, size)
    signal, reference = _contributions(others, levels.values, n, objective)
    groups, chance = states.count_table(n, levels.probabilities)
    # Where in ``others`` a group lands without one member of level l; any row where it has none.
    present = groups > 0
    index = np.zeros(groups.shape, dtype=np.intp)
    find = _Index(others)
    for level in range(size):
        rows = present[:, level]
        index[rows, level] = find(groups[rows] - (np.arange(size) == level))
    gain = np.where(present, signal[index, np.arange(size)], 0.0)

    shift = optimal_shift(levels, groups, chance, index, gain)
    floor = trace_covariance(levels, groups, chance, gain - np.where(present, shift[index], 0.0))
    # No shift is pkpo-loo1; at K = 1, where it is not defined, the reward above the lowest level.
    own = trace_covariance(levels, groups, chance, gain)
    return VarianceFloor(
        trace_covariance=floor,
        degenerate=floor <= DEGENERATE * own,
        baseline=reference + shift,
        others=others,
        values=levels.values,
        n=n,
        k=k,
        objective=objective,
    )


def _contributions(
    others: Int, values: Float, n: int, objective: Objective | VectorObjective
) -> tuple[Float, Float]:
    """``K (q_l - q_1)`` of a rollout at level l, by the multiset of others, (U, L), and ``K q_1``, (U,).

    For max@K these are the marginal contributions ``K h`` and ``K v(K-1)``: they vanish with the variance, so
    that nothing large is subtracted where success is frequent. Their sum is ``K q``. Of several rewards the
    weighted sums of each.
    """
    if isinstance(objective, Objective):
        return _of_one(others, values, n, objective)
    signal, reference = np.zeros(others.shape), np.zeros(len(others))
    for weight, rewards in objective.terms():
        own = rewards[values.astype(np.intp)]
        order = np.argsort(own)
        found, base = _of_one(others[:, order], own[order], n, objective.objective)
        signal[:, order] += weight * found
        reference += weight * base
    return signal, reference


def _of_one(others: Int, values: Float, n: int, objective: Objective) -> tuple[Float, Float]:
    """``_contributions`` of one reward, its values ascending; equal ones are a step of 0."""
    below, gaps = np.cumsum(others, axis=1)[:, :-1], np.diff(values)
    paid, kept, whole = _shares(objective, n)
    steps = gaps * paid[below]
    signal = np.concatenate([np.zeros((len(others), 1)), np.cumsum(steps, axis=1)], axis=1)
    reference = whole * values[0] + (gaps * kept[below]).sum(axis=1)
    return signal, reference


def _shares(objective: Objective, n: int) -> tuple[Float, Float, float]:
    """What a rollout adds above a gap with m others below it; what these have without it; of the whole.

    The first two for m = 0..n-1; all three times K.
    """
    if (size := objective.maximum_of) is not None:
        if size > n:
            raise ValueError(f"the objective looks at {size} rollouts, the group has n={n}: k <= n is needed")
        chance = subset_share(n, size - 1)
        return size * chance, size * (1 - chance), float(size)
    paid, size = increments(objective, n), objective.size
    above = np.cumsum(objective.vector()[::-1])[::-1]  # of the ranks above b, from 0 on
    return paid, size * (drawn_below(n, size - 1) @ np.append(above[1:], 0.0)), float(size * above[0])


class _Index:
    """Row number of each multiset, by a hash of its counts that tells all of them apart."""

    def __init__(self, counts: Int) -> None:
        rng = np.random.default_rng(0)
        while True:
            self.weights = rng.integers(-(2**62), 2**62, size=counts.shape[1])
            keys = counts @ self.weights  # wraps around, as a hash may
            self.order = np.argsort(keys)
            self.keys = keys[self.order]
            if (self.keys[1:] != self.keys[:-1]).all():
                return

    def __call__(self, counts: Int) -> Int:
        return np.asarray(self.order[np.searchsorted(self.keys, counts @ self.weights)])
