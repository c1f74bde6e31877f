"""The variance of a paired difference on a prompt: between prompts, and within them at any number n."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

from ...core.arrays import Float
from ..result import PassAtK


@dataclass(frozen=True)
class Variances:
    """Variance of the difference on a prompt: as it is at hand, between prompts, and within them by n.

    That at hand holds what prompts of a cluster have in common; ``per_unit`` prompts count as one.
    ``within`` holds the shared products of either model, (2, k+1); None where there are too few rollouts.
    """

    prompts: int
    per_unit: float
    at_hand: float
    between: float
    within: Float | None

    def at(self, n: int) -> float:
        """The variance with n rollouts of each model."""
        if self.within is None:
            return self.at_hand
        return max(self.between + float(sum(variance_at(each, n) for each in self.within)), 0.0)


def variances(result: PassAtK, place: int, k: int) -> Variances:
    """What a result tells of the differences at its k in this place; see ``plan``."""
    compared = result.comparison
    models = models_of(result)
    shares = [shared(each, k) for each in (models[0], models[-1])]
    within = None if shares[0] is None or shares[1] is None else np.stack([shares[0], shares[1]])
    own = np.nan
    if within is not None:
        pairs = zip((models[0], models[-1]), within, strict=True)
        own = sum(_mean_variance(each, share, k) for each, share in pairs)
    source = result if compared is None else compared
    prompts = int(source.prompts[place])
    per_unit = prompts / float(source.units[place])
    if compared is None:
        between = np.nan if within is None else 0.0
        return Variances(prompts, per_unit, max(own, 0.0), between, within)
    measured = float(compared.standard_error[place]) ** 2 * prompts
    return Variances(prompts, per_unit, measured, max(measured - own, 0.0), within)


def models_of(result: PassAtK) -> tuple[PassAtK, ...]:
    """The model, and the one that it is compared with."""
    return (result,) if result.comparison is None else (result, result.comparison.other)


def shared(result: PassAtK, k: int) -> Float | None:
    """theta_0..theta_k, mean over prompts; None where a prompt that has k rollouts has not 2k."""
    used = {n: each for n, each in result.products.items() if n >= k}
    if any(result.rollouts[result.rollouts >= k] < 2 * k):
        return None
    prompts = sum(each.prompts for each in used.values())
    return np.array([sum(each.of_maxima(k, c) for each in used.values()) / prompts for c in range(k + 1)])


def variance_at(products: Float, n: int) -> float:
    """Variance within prompts at n rollouts."""
    k = len(products) - 1
    chances = np.array([comb(k, c) * comb(n - k, k - c) / comb(n, k) for c in range(k + 1)])
    return float(chances @ (products - products[0]))


def _mean_variance(result: PassAtK, products: Float, k: int) -> float:
    """Variance within prompts at the rollouts that each prompt has."""
    sizes, counts = np.unique(result.rollouts[result.rollouts >= k], return_counts=True)
    found = [variance_at(products, int(size)) for size in sizes]
    return float(np.average(found, weights=counts))
