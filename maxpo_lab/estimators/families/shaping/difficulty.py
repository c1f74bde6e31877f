"""GRPO-LEAD: GRPO's advantages, weighted by how few of the group succeed."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import exp
from statistics import mean

from ....core.arrays import Array, Namespace, widest
from ...base import Estimator
from ...claims import Claims, Laws
from ...paper import Paper
from ...rationals import Group, Signal, deviation, exact, exponential
from ..standardised import deviations, standard_deviation


def _weights(xp: Namespace, share: Array) -> Array:
    """``0.4 + 1.1 / (1 + e^(10 (share - 0.75)))``: from 1.5 where none succeeds down to 0.48 where all do."""
    return 0.4 + 1.1 / (1 + exp(-7.5) * xp.exp(10 * share))


@dataclass(frozen=True, kw_only=True, eq=False)
class DifficultyWeighted(Estimator):
    r"""GRPO, times w of the share of positive rewards where it is positive, of the rest elsewhere.

    .. math:: A_i = a_i\,w(\rho) \text{ for } a_i > 0, \quad a_i\,w(1 - \rho) \text{ else}, \qquad
              \rho = \frac1n \#\{j : R_j > 0\}, \quad a_i = \frac{R_i - \bar R}{\sigma_1 + 10^{-6}} .

    On 0/1 rewards rho is their mean. The code counts rewards above 0: with -1 for a failure too.
    """

    eps: float

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        centered = deviations(xp, rewards)
        own = centered / (standard_deviation(xp, centered, 1) + self.eps)
        share = xp.mean(xp.astype(rewards > 0, widest(xp)), axis=-1, keepdims=True)
        weighted = own * xp.where(own > 0, _weights(xp, share), _weights(xp, 1 - share))
        return xp.astype(weighted, rewards.dtype)


GRPO_LEAD = DifficultyWeighted(
    name="grpo-lead",
    title="GRPO-LEAD",
    equation=(
        "A_i = a_i w(s) if a_i > 0, else a_i w(1-s), a_i = (R_i - mean) / (std1 + 1e-6), s the share of "
        "R > 0, w(x) = 0.4 + 1.1 / (1 + exp(10 (x - 0.75)))"
    ),
    citation="arXiv 2504.09696 (GRPO-LEAD); aeroplanepaper/GRPO-LEAD compute_grpo_outcome_advantage",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=False, centered=False),
    laws=Laws(shift_invariant=False, scale="invariant"),
    smallest_group=2,
    eps=1e-6,
)


def _grpo_lead(rewards: Group, k: int) -> list[Fraction]:
    """GRPO's advantages times the logistic weight of the share of their sign, to 50 digits."""
    group = exact(rewards)
    share = Fraction(sum(r > 0 for r in group), len(group))

    def weight(x: Fraction) -> Fraction:
        return Fraction(0.4) + Fraction(1.1) / (1 + exponential(10 * (x - Fraction(3, 4))))

    scale = deviation(group, 1) + Fraction(1e-6)
    return [(r - mean(group)) / scale * weight(share if r > mean(group) else 1 - share) for r in group]


PAPERS = {
    "2504.09696": Paper(
        "Zhang, Jixiao and Zuo, Chunsheng",
        "GRPO-LEAD: A Difficulty-Aware Reinforcement Learning Approach for Concise Mathematical Reasoning in "
        "Language Models",
    )
}
RULES = (GRPO_LEAD,)
DEFINITIONS: dict[str, Signal] = {"grpo-lead": _grpo_lead}
