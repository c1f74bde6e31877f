"""A-GRAE: GRPO weighted by the group's success rate and by the batch's, wins less than losses."""

from __future__ import annotations

from dataclasses import dataclass

from ....core.arrays import Array, Namespace, widest
from ...batch import BatchEstimator
from ...claims import Claims, Laws
from ..standardised import deviations, standard_deviation

#: Of the weights and of GRPO's deviation.
_EPS = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Asymmetric(BatchEstimator):
    r"""GRPO's y, towards easy or hard groups by the mean mu of the groups' means m.

    .. math:: A_i = \frac{y_i}{2} \Big[\frac{1-\mu}{1 - \sqrt m + \epsilon}
              + \frac{\mu}{\sqrt m + \epsilon}\Big], \qquad \text{times } \min(1, \mu) \text{ where positive}.
    """

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        values = xp.astype(rewards, widest(xp), copy=False)
        centered = deviations(xp, values)
        own = centered / (standard_deviation(xp, centered, 1) + _EPS)
        mean = xp.mean(values, axis=-1, keepdims=True)
        batch = xp.mean(mean, axis=-2, keepdims=True)
        root = xp.sqrt(xp.clip(mean, 0.0, 1.0))
        weight = 0.5 * ((1 - batch) / (1 - root + _EPS) + batch / (root + _EPS))
        found = own * weight
        return xp.astype(xp.where(found > 0, found * batch, found), rewards.dtype, copy=False)


A_GRAE = Asymmetric(
    name="a-grae",
    title="A-GRAE: asymmetric advantages",
    equation=(
        "A_i = .5 y_i [(1-mu)/(1 - sqrt m + 1e-6) + mu/(sqrt m + 1e-6)], times mu where positive, y of grpo, "
        "m the group's mean, mu that of the batch's groups"
    ),
    citation="arXiv 2602.05548 (A-GRAE), its code at Yu7-code/A-GRAE",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=False, centered=False),
    laws=Laws(shift_invariant=False, scale="none"),
    domain="unit",
    smallest_group=2,
    statistic="reward_sum",
)

RULES = (A_GRAE,)
