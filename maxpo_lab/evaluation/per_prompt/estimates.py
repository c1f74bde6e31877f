"""Unbiased estimates of each prompt, and the variance that they have with these prompts, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ...core.arrays import Float, Int
from ...objectives import Objective
from .products import Products, settled, square_by_successes
from .prompts import Prompts
from .ranks import rank_weights, values_by_successes

#: Rewards beyond have squares whose sums overflow.
_LARGEST = 1e150


@dataclass(frozen=True, eq=False)
class PerPrompt:
    """What one pass over the rewards tells.

    Attributes
    ----------
    values
        Unbiased estimate of each prompt at each k, (K, P); NaN where it has fewer than k rollouts.
    within
        Sum over the prompts of the unbiased estimates of their variance, (K,); NaN where a prompt that has k
        rollouts has not 2k, and where there is no such estimate.
    lowest, highest
        Of all rewards.
    successes
        Whether every reward is 0 or 1.
    products
        Products of rewards of maxima, by group size.
    """

    values: Float
    within: Float
    lowest: float
    highest: float
    successes: bool
    products: Mapping[int, Products] = field(default_factory=dict)


def linear_estimates(prompts: Prompts, objectives: list[Objective], *, by_successes: bool) -> PerPrompt:
    """Estimate objectives, one a k, prompt by prompt.

    ``by_successes``: these are functions of the number of successes, not maxima; rewards must be 0 or 1.
    Cost: one sort, one matrix product and, where a k has ``2k <= n``, one more; nothing of the size of the
    rewards is kept.
    """
    values = np.full((len(objectives), len(prompts.sizes)), np.nan)
    ks = np.array([objective.size for objective in objectives])
    products: dict[int, Products] = {}
    histograms: dict[int, _Counts] = {}
    lowest, highest, successes = np.inf, -np.inf, True
    told = values_by_successes if by_successes else rank_weights
    weights: dict[int, Float] = {
        n: np.stack([told(objective, n) for objective in objectives if objective.size <= n], axis=1)
        for n in prompts.prompts_by_size
        if n >= ks.min()
    }
    for which, ranked in prompts.sorted_blocks():
        n = ranked.shape[1]
        top = ranked[:, -1:].copy()
        lowest, highest = min(lowest, float(ranked[:, 0].min())), max(highest, float(top.max()))
        refuse_largest(lowest, highest)
        successes = successes and {lowest, highest} <= {0.0, 1.0} and _all_0_or_1(ranked)
        if n not in weights:
            continue
        fits, twice = ks <= n, n >= 2 * ks.min()
        if by_successes:
            counts = _successes(ranked)
            found = weights[n][counts]
            if twice:
                histograms.setdefault(n, _Counts(n)).add(counts)
        else:
            np.subtract(ranked, top, out=ranked)  # so that equal rewards have their very value
            found = ranked @ weights[n]
            found += top
            if twice:
                if n not in products:
                    products[n] = Products(n)
                products[n].add(ranked)
        if isinstance(which, slice) and fits.all():
            values[:, which] = found.T
        else:
            values[np.ix_(fits, np.arange(values.shape[1])[which])] = found.T
    refuse_smallest(lowest, highest)
    sums: dict[int, Products | _Counts] = {**products, **histograms}
    within = np.array([_within(prompts.prompts_by_size, sums, objective) for objective in objectives])
    return PerPrompt(values, within, lowest, highest, successes, products)


def refuse_largest(lowest: float, highest: float) -> None:
    """ValueError for rewards whose squares overflow."""
    if (largest := max(-lowest, highest)) > _LARGEST:
        raise ValueError(
            f"rewards reach {largest:g}, whose square float64 does not hold: divide them by a constant"
        )


def refuse_smallest(lowest: float, highest: float) -> None:
    """ValueError for rewards that all have squares of 0."""
    if 0.0 < (largest := max(-lowest, highest)) < 1.0 / _LARGEST:
        raise ValueError(
            f"rewards reach no further than {largest:g}, whose square float64 does not hold: multiply them "
            f"by a constant"
        )


def _within(sizes: Iterable[int], sums: Mapping[int, Products | _Counts], objective: Objective) -> float:
    used = [size for size in sizes if size >= objective.size]
    if not used or min(used) < 2 * objective.size:
        return float("nan")
    total = 0.0
    for size in used:
        kept = sums[size]
        total += kept.within(objective) if isinstance(kept, _Counts) else kept.within(objective.size)
    return total


def _all_0_or_1(ranked: Float) -> bool:
    return int(np.count_nonzero(ranked == 0.0)) + int(np.count_nonzero(ranked == 1.0)) == ranked.size


def _successes(ranked: Float) -> Int:
    """Successes of each row (b,); within 0..n where rewards are no successes, which is refused later."""
    found: Int = np.clip(np.rint(ranked.sum(axis=1)), 0, ranked.shape[1]).astype(np.intp)
    return found


class _Counts:
    """How many prompts of n rollouts have c successes."""

    def __init__(self, n: int) -> None:
        self.histogram = np.zeros(n + 1)

    def add(self, counts: Int) -> None:
        self.histogram += np.bincount(counts, minlength=len(self.histogram))

    def within(self, objective: Objective) -> float:
        n = len(self.histogram) - 1
        values = values_by_successes(objective, n)
        squares, products = self.histogram @ values**2, self.histogram @ square_by_successes(objective, n)
        return settled(float(squares), float(products), n)
