"""GRPO: the mean reward, standardised by the group's own standard deviation."""

from __future__ import annotations

from dataclasses import dataclass

from ..groups import Array, Namespace
from .base import Claims, Estimator
from .mean_reward import needs_two


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupStandardised(Estimator):
    r"""Rewards standardised within their group.

    .. math:: A_i = \frac{R_i - \bar R}{\sigma + \epsilon}, \qquad
              \sigma^2 = \frac{1}{n - \text{ddof}} \sum_j (R_j - \bar R)^2 .

    A flat group gives 0. The result's condition number is 1/sigma: an error of one ulp in the rewards
    moves the advantages by that much.
    """

    eps: float
    ddof: int

    def _undefined(self, n: int, k: int) -> str | None:
        return needs_two(self.name, "reinforce") if n < 2 else None

    def _advantages(self, xp: Namespace, rewards: Array, k: int) -> Array:
        values = xp.astype(rewards, xp.float64)
        # Taken from the first reward, so that a flat group deviates by exactly 0 from its mean
        # and rewards near 1000 lose nothing to their offset.
        values = values - values[..., :1]
        centered = values - xp.mean(values, axis=-1, keepdims=True)
        freedom = rewards.shape[-1] - self.ddof
        variance = xp.sum(centered * centered, axis=-1, keepdims=True) / freedom
        return xp.astype(centered / (xp.sqrt(variance) + self.eps), rewards.dtype)


GRPO = GroupStandardised(
    name="grpo",
    title="GRPO",
    equation="A_i = (R_i - mean) / (std1 + 1e-6)",
    citation="arXiv 2402.03300 (DeepSeekMath) eq. 3; verl 0.9.1 compute_grpo_outcome_advantage",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=False, centered=True),
    eps=1e-6,
    ddof=1,
)

RULES = (GRPO,)
