"""Multi-axis max@K: MaxPO's credit on each reward, over its standard deviation, and summed."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.arrays import Array, Namespace
from ...objectives import PER_REWARD
from ..claims import Claims, Laws
from ..families.maxpo import MAXPO
from ..families.pkpo import PKPO_LOO1
from ..families.standardised import deviations, standard_deviation
from ..vector import VectorEstimator

_EPS, _FLAT = 1e-4, 1e-8


@dataclass(frozen=True, kw_only=True, eq=False)
class MultiAxis(VectorEstimator):
    r"""The sum over rewards of a credit for max@K, standardised within the group.

    .. math:: A_i = \sum_d w_d \frac{a_{id}}{\sigma_d + 10^{-4}}, \qquad a = \text{maxpo}/K,

    with ``R - mean`` for a at K = 1, and ``h - mean of h`` at K = n, where MaxPO is not defined. sigma is
    std1 of a; below 1e-8 it counts as 1.
    """

    def parts(self, xp: Namespace, rows: Array) -> list[tuple[float, Array]]:
        weights = self.weights(rows.shape[-1])
        return [(weight, rows[..., place : place + 1]) for place, weight in enumerate(weights)]

    def of_part(self, xp: Namespace, part: Array, k: int) -> Array:
        credit = _credit(xp, part[..., 0], k)
        spread = standard_deviation(xp, credit - xp.mean(credit, axis=-1, keepdims=True), ddof=1)
        return credit / (xp.where(spread < _FLAT, xp.ones_like(spread), spread) + _EPS)


def _credit(xp: Namespace, rewards: Array, k: int) -> Array:
    n = rewards.shape[-1]
    if k == 1:
        return deviations(xp, rewards)
    if k < n:
        return MAXPO.unchecked(xp, rewards, k) / k
    improvement = PKPO_LOO1.unchecked(xp, rewards, k) / k
    return improvement - xp.mean(improvement, axis=-1, keepdims=True)


RULES = (
    MultiAxis(
        name="multi-axis-maxk",
        title="Multi-axis max@K",
        equation=(
            "A_i = sum_d w_d a_id / (std1 of a_d + 1e-4), a_d = maxpo/K on reward d (K = n: h - mean of h)"
        ),
        citation="arXiv 2607.14962 (multi-axis max@K); KuOnoda/multi-axis-maxk, axiswise_maxk_advantages",
        objective=f"{PER_REWARD}max@k",
        uses_k=True,
        claims=Claims(unbiased=False, centered=True),
        laws=Laws(scale="invariant"),
        degenerate="a reward on which the group is flat gives 0",
        smallest_group=2,
    ),
)
