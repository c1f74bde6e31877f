"""OPO: the baseline is the group's mean reward, weighted by the lengths of the responses."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.arrays import Array, Namespace
from ..claims import Claims
from ..vector import VectorEstimator
from .several_rewards import weighted_sum


@dataclass(frozen=True, kw_only=True, eq=False)
class LengthWeighted(VectorEstimator):
    r"""``A_i = R_i - sum_j l_j R_j / sum_j l_j``, R the weighted sum of the rewards.

    The mean is what minimises the variance where the squared norm of a score is proportional to the length
    and has nothing to do with the reward. It sees R_i and weighs it by l_i, so that its bias has another
    direction than the gradient unless lengths are equal.
    """

    def parts(self, xp: Namespace, rows: Array) -> list[tuple[float, Array]]:
        rewards = weighted_sum(xp, rows[..., :-1], self.weights(rows.shape[-1] - 1))
        return [(1.0, xp.stack([rewards, rows[..., -1]], axis=-1))]

    def of_part(self, xp: Namespace, part: Array, k: int) -> Array:
        # From the first reward, so that a flat group gives exactly 0.
        rewards, lengths = part[..., 0] - part[..., :1, 0], part[..., 1]
        total = xp.sum(lengths, axis=-1, keepdims=True)
        return rewards - xp.sum(lengths * rewards, axis=-1, keepdims=True) / total


RULES = (
    LengthWeighted(
        name="opo",
        title="OPO, the length-weighted baseline",
        equation="A_i = R_i - sum_j l_j R_j / sum_j l_j, l the lengths",
        citation="arXiv 2505.23585 (OPO); verl 0.9.1, opo",
        objective="mean",
        uses_k=False,
        claims=Claims(unbiased=False, centered=False),
        degenerate="a flat group gives 0; verl leaves a group of one its reward",
        smallest_group=2,
        takes_lengths=True,
    ),
)
