"""The mean reward, divided by a standard deviation of the group: GRPO, and as other frameworks have it."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.arrays import Array, Namespace, widest
from ...core.numerals import numeral
from ..base import Estimator
from ..claims import Claims, Laws


def deviations(xp: Namespace, rewards: Array) -> Array:
    """Rewards less their group mean, in float64.

    Taken from the first reward, so that a flat group deviates by exactly 0 and rewards near 1000 lose
    nothing to their offset.
    """
    values = xp.astype(rewards, widest(xp))
    values = values - values[..., :1]
    return values - xp.mean(values, axis=-1, keepdims=True)


def standard_deviation(xp: Namespace, centered: Array, ddof: int) -> Array:
    """Standard deviation (..., 1) of centered values (..., n), with ``n - ddof`` in its denominator."""
    freedom = centered.shape[-1] - ddof
    return xp.sqrt(xp.sum(centered * centered, axis=-1, keepdims=True) / freedom)


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupStandardised(Estimator):
    r"""Rewards standardised within their group.

    .. math:: A_i = \frac{R_i - \bar R}{\sigma + \epsilon}, \qquad
              \sigma^2 = \frac{1}{n - \text{ddof}} \sum_j (R_j - \bar R)^2 .

    With ``from_others`` the mean is that of the other rewards, ``n/(n-1)`` times as far away; sigma is that
    of the group all the same. The result's condition number is 1/sigma: an error of one ulp in the rewards
    moves the advantages by that much.
    """

    eps: float
    ddof: int
    from_others: bool = False

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        n = rewards.shape[-1]
        centered = deviations(xp, rewards)
        scale = standard_deviation(xp, centered, self.ddof) + self.eps
        return xp.astype(centered * (n / (n - 1) if self.from_others else 1.0) / scale, rewards.dtype)


def grpo(eps: float = 1e-6, ddof: int = 1) -> GroupStandardised:
    """GRPO with the epsilon and degrees of freedom of a framework's code.

    Raises ValueError for an epsilon that is not positive and finite, or another ddof than 0 or 1.
    """
    if not 0 < eps < float("inf"):
        raise ValueError(f"grpo:eps={eps}: must be positive and finite, e.g. eps=1e-6")
    if ddof not in (0, 1):
        raise ValueError(f"grpo:ddof={ddof}: must be 0 or 1")
    return GroupStandardised(
        name="grpo" if (eps, ddof) == (1e-6, 1) else f"grpo:eps={numeral(eps)},ddof={ddof}",
        title="GRPO",
        equation=f"A_i = (R_i - mean) / (std{ddof} + {numeral(eps)})",
        citation=(
            "arXiv 2402.03300 (DeepSeekMath); verl 0.9.1, SkyRL: eps=1e-6; TRL 1.16: eps=1e-4; OpenRLHF: "
            "eps=1e-9; rllm: ddof=0"
        ),
        objective="mean",
        uses_k=False,
        claims=Claims(unbiased=False, centered=True),
        smallest_group=2,
        laws=Laws(scale="invariant"),
        degenerate=(
            "a flat group gives 0; in float32 verl and TRL divide the rounding of their mean by the epsilon "
            "instead (eight rewards of 0.7: 0.056 and 0.0006)"
        ),
        eps=eps,
        ddof=ddof,
    )


RLOO_STANDARDISED = GroupStandardised(
    name="rloo-standardised",
    title="RLOO, standardised",
    equation="A_i = (R_i - mean of the others) / (std1 + 1e-4) = n/(n-1) grpo:eps=1e-4",
    citation="modelscope/ms-swift 4.6 compute_advantages with advantage_estimator=rloo, scale_rewards=group",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=False, centered=True),
    smallest_group=2,
    laws=Laws(scale="invariant"),
    eps=1e-4,
    ddof=1,
    from_others=True,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class FloorStandardised(Estimator):
    """``(R_i - mean) / max(std1, least)``: nothing is added to a standard deviation that is large enough."""

    least: float

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        centered = deviations(xp, rewards)
        scale = xp.clip(standard_deviation(xp, centered, 1), self.least, None)
        return xp.astype(centered / scale, rewards.dtype)


TORCHRL_GRPO = FloorStandardised(
    name="torchrl-grpo",
    title="GRPO of torchrl",
    equation="A_i = (R_i - mean) / max(std1, 1e-6)",
    citation="pytorch/rl 0.14.1 MCAdvantage, a trajectory of one step",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=False, centered=True),
    smallest_group=2,
    laws=Laws(scale="invariant"),
    degenerate=(
        "a flat group gives 0; in float32 the rounding of its mean is divided by 1e-6 instead (eight rewards "
        "of 0.7: 0.06)"
    ),
    least=1e-6,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class OthersStandardised(Estimator):
    r"""Each reward standardised by the others: ``A_i = (R_i - mean_-i) / (std1_-i + eps)``.

    Where the others have no spread there is no division.
    """

    eps: float

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        n = rewards.shape[-1]
        centered = deviations(xp, rewards)
        # Sum of squares of the others about their own mean, by removing one value from the group's.
        total = xp.sum(centered * centered, axis=-1, keepdims=True)
        others = total - centered * centered * (n / (n - 1))
        spread = xp.sqrt(xp.clip(others, 0.0, None) / (n - 2))
        flat = spread <= 1e-7 * xp.max(xp.abs(centered), axis=-1, keepdims=True)
        scale = xp.where(flat, xp.ones_like(spread), spread + self.eps)
        return xp.astype(centered * (n / (n - 1)) / scale, rewards.dtype)


NEMO_GRPO = OthersStandardised(
    name="nemo-grpo",
    title="GRPO of NeMo-RL",
    equation="A_i = (R_i - mean of the others) / (std1 of the others + 1e-6)",
    citation="NeMo-RL, its default (leave-one-out baseline and std)",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=False, centered=False),
    smallest_group=3,
    laws=Laws(scale="none"),
    degenerate="others that are all equal: no division; a flat group gives 0",
    eps=1e-6,
)

GRPO = grpo()

RULES = (GRPO, RLOO_STANDARDISED, TORCHRL_GRPO, NEMO_GRPO)
MAKERS = {"grpo": grpo}
