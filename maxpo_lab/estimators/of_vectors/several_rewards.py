"""A group rule on several rewards: on their weighted sum, or on each, and then summed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ...core.arrays import Array, Namespace
from ...objectives import PER_REWARD
from ..base import Estimator
from ..families.maxpo import MAXPO
from ..families.standardised import GRPO
from ..vector import VectorEstimator


@dataclass(frozen=True, kw_only=True, eq=False)
class Summed(VectorEstimator):
    r"""Sum, then the rule: ``A = rule(sum_d w_d R_d)``. A reward that a rollout lacks adds nothing."""

    own: Estimator

    def why_not(self, n: int, k: int) -> str | None:
        """As the group rule."""
        return self.own.why_not(n, k)

    def parts(self, xp: Namespace, rows: Array) -> list[tuple[float, Array]]:
        return [(1.0, weighted_sum(xp, rows, self.weights(rows.shape[-1]))[..., None])]

    def of_part(self, xp: Namespace, part: Array, k: int) -> Array:
        return self.own.unchecked(xp, part[..., 0], k)


@dataclass(frozen=True, kw_only=True, eq=False)
class PerReward(VectorEstimator):
    r"""The rule on each reward, then the sum: ``A = sum_d w_d rule(R_d)``."""

    own: Estimator

    def why_not(self, n: int, k: int) -> str | None:
        """As the group rule."""
        return self.own.why_not(n, k)

    def parts(self, xp: Namespace, rows: Array) -> list[tuple[float, Array]]:
        weights = self.weights(rows.shape[-1])
        return [(weight, rows[..., place : place + 1]) for place, weight in enumerate(weights)]

    def of_part(self, xp: Namespace, part: Array, k: int) -> Array:
        return self.own.unchecked(xp, part[..., 0], k)


def weighted_sum(xp: Namespace, rows: Array, weights: tuple[float, ...]) -> Array:
    """``sum_d w_d R_d`` of rewards (..., d) over those that are there; NaN where none is. Added in order."""
    total, missing = xp.zeros_like(rows[..., 0]), None
    for place, weight in enumerate(weights):
        column = rows[..., place]
        lacking = xp.isnan(column)
        total = total + weight * xp.where(lacking, xp.zeros_like(column), column)
        missing = lacking if missing is None else missing & lacking
    return xp.where(missing, xp.full_like(total, float("nan")), total)


@cache
def summed(rule: Estimator) -> Summed:
    """``summed:RULE``."""
    return Summed(
        name=f"summed:{rule.name}",
        title=f"{rule.title} of the summed rewards",
        equation=f"A_i of {rule.name}, R_i = sum_d w_d R_id",
        citation=f"TRL 1.16, multi_objective_aggregation='sum_then_normalize'; {rule.citation}",
        objective=rule.objective,
        uses_k=rule.uses_k,
        claims=rule.claims,
        laws=rule.laws,
        domain=rule.domain,
        degenerate=rule.degenerate,
        dead_groups=rule.dead_groups,
        smallest_group=rule.smallest_group,
        largest_k=rule.largest_k,
        own=rule,
    )


@cache
def per_reward(rule: Estimator) -> PerReward:
    """``per-reward:RULE``. A rule of the mean reward is measured against the mean of the weighted sum."""
    return PerReward(
        name=f"per-reward:{rule.name}",
        title=f"{rule.title} of each reward, summed",
        equation=f"A_i = sum_d w_d A_id, A_id of {rule.name} on reward d",
        citation=f"{_FROM.get(rule.name.partition(':')[0], 'this laboratory, maxpo-lab')}; {rule.citation}",
        objective=rule.objective if rule.objective == "mean" else f"{PER_REWARD}{rule.objective}",
        uses_k=rule.uses_k,
        claims=rule.claims,
        laws=rule.laws,
        domain=rule.domain,
        degenerate=f"each reward by itself: {rule.degenerate}",
        dead_groups=rule.dead_groups,
        smallest_group=rule.smallest_group,
        largest_k=rule.largest_k,
        own=rule,
    )


#: Where the sum over rewards of a rule comes from.
_FROM = {
    "grpo": "arXiv 2601.05242 (GDPO), before the batch is whitened",
    "nemo-grpo": "NeMo-RL, its GDPO before the batch is whitened",
    "maxpo": "arXiv 2607.14962 (multi-axis max@K), without its division by a standard deviation",
}

RULES = (summed(GRPO), summed(MAXPO), per_reward(GRPO), per_reward(MAXPO))
