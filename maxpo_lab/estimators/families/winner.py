"""Rules that pay the best rollout of the group: max minus second, as coded in verl, and its kin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ...core.arrays import Array, Namespace, widest
from ...core.coefficients import Coefficients, gap_positions
from ...core.numerals import numeral
from ..base import Estimator, RankLinear
from ..claims import Claims, Laws
from .standardised import deviations, standard_deviation


def _top_gap(scale_by_n: bool, n: int, k: int, exact: bool) -> Coefficients:
    m = gap_positions(n, exact=exact)
    above = 0 * m
    above[-1] += n if scale_by_n else 1
    return Coefficients(offset=0, above=above, below=0 * m)


MAX_MINUS_SECOND = RankLinear(
    name="max-minus-second",
    title="Max minus second",
    equation="A_i = n (R_max - R_second) for the unique winner, else 0",
    citation="arXiv 2503.19595; pkpo-loo1 at K = n",
    objective="max@n",
    uses_k=False,
    claims=Claims(unbiased=True, centered=False),
    degenerate="a tie at the top gives 0 to all",
    table=partial(_top_gap, True),
    smallest_group=2,
)

VERL_GRPO_PASSK_NOSTD = RankLinear(
    name="verl-grpo-passk-nostd",
    title="verl grpo_passk, no std",
    equation="A_i = R_max - R_second for the winner, else 0",
    citation="verl 0.9.1 compute_grpo_passk_outcome_advantage with norm_adv_by_std_in_grpo=False",
    objective="max@n",
    uses_k=False,
    claims=Claims(unbiased=False, centered=False),
    degenerate="a tie at the top gives 0 to all",
    table=partial(_top_gap, False),
    smallest_group=2,
)


def _less_its_mean(n: int, k: int, exact: bool) -> Coefficients:
    m = gap_positions(n, exact=exact)
    top = 0 * m
    top[-1] += 1
    return Coefficients(offset=0, above=top * m / n, below=-top * (n - m) / n)


EI_GROUP_MEAN = RankLinear(
    name="ei-group-mean",
    title="Expected improvement, less its mean",
    equation="A_i = h_i(n) - mean of h(n), h_i(n) = [R_i - max of the others]^+; maxpo at K = n-1, over n",
    citation="KuOnoda/multi-axis-maxk axiswise_maxk_advantages at k = m, one axis, not normalised",
    objective="max@n",
    uses_k=False,
    claims=Claims(unbiased=False, centered=True),
    degenerate="a tie at the top gives 0 to all",
    table=_less_its_mean,
    smallest_group=2,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class StandardisedWinner(Estimator):
    """``(R_max - R_second) / (std1 + eps)`` for the winner, 0 for the others."""

    eps: float

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        scale = standard_deviation(xp, deviations(xp, rewards), 1) + self.eps
        lead = VERL_GRPO_PASSK_NOSTD.unchecked(xp, xp.astype(rewards, widest(xp)), k)
        return xp.astype(lead / scale, rewards.dtype)


VERL_GRPO_PASSK = StandardisedWinner(
    name="verl-grpo-passk",
    title="verl grpo_passk",
    equation="A_i = (R_max - R_second) / (std1 + 1e-6) for the winner, else 0",
    citation="verl 0.9.1 compute_grpo_passk_outcome_advantage; EasyR1 (arXiv 2503.19595)",
    objective="max@n",
    uses_k=False,
    claims=Claims(unbiased=False, centered=False),
    degenerate="a tie at the top gives 0 to all",
    smallest_group=2,
    laws=Laws(scale="invariant"),
    eps=1e-6,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Leader(Estimator):
    """The group-centered reward, plus ``alpha (R_max - mean)`` for every winner, ties included."""

    alpha: float

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        centered = deviations(xp, rewards)
        best = xp.max(rewards, axis=-1, keepdims=True)
        lead = xp.max(centered, axis=-1, keepdims=True)
        bonus = xp.where(rewards == best, self.alpha * lead, xp.zeros_like(centered))
        return xp.astype(centered + bonus, rewards.dtype)


def leader(alpha: float = 0.5) -> Leader:
    """Leader Reward with bonus ``alpha``; ValueError where it is not finite."""
    if not abs(alpha) < float("inf"):
        raise ValueError(f"leader:alpha={alpha}: must be finite, e.g. alpha=0.5")
    return Leader(
        name="leader" if alpha == 0.5 else f"leader:alpha={numeral(alpha)}",
        title="Leader Reward",
        equation=f"A_i = (R_i - mean) + {numeral(alpha)} (R_max - mean) for every winner",
        citation="arXiv 2405.13947 (Leader Reward)",
        objective="max@n",
        uses_k=False,
        claims=Claims(unbiased=False, centered=alpha == 0),
        smallest_group=2,
        alpha=alpha,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Entropic(Estimator):
    """``e_i / (mean of the other e + 1e-12) - 1`` with ``e_i = exp(beta (R_i - R_max))``."""

    beta: float

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        n = rewards.shape[-1]
        values = xp.astype(rewards, widest(xp))
        weights = xp.exp(self.beta * (values - xp.max(values, axis=-1, keepdims=True)))
        others = (xp.sum(weights, axis=-1, keepdims=True) - weights) / (n - 1)
        return xp.astype(weights / (others + 1e-12) - 1, rewards.dtype)


def entropic(beta: float = 2.0) -> Entropic:
    """The entropic advantage at inverse temperature ``beta``; ValueError where not positive and finite."""
    if not 0 < beta < float("inf"):
        raise ValueError(f"entropic:beta={beta}: must be positive and finite, e.g. beta=2")
    return Entropic(
        name="entropic" if beta == 2 else f"entropic:beta={numeral(beta)}",
        title="Entropic",
        equation=f"A_i = e_i / (mean of the other e + 1e-12) - 1, e_i = exp({numeral(beta)} (R_i - R_max))",
        citation="arXiv 2601.16175 (TTT-Discover)",
        objective="mean",
        uses_k=False,
        claims=Claims(unbiased=False, centered=False),
        smallest_group=2,
        laws=Laws(scale="none"),
        degenerate="a flat group gives -1e-12, its epsilon",
        beta=beta,
    )


RULES = (MAX_MINUS_SECOND, VERL_GRPO_PASSK, VERL_GRPO_PASSK_NOSTD, EI_GROUP_MEAN, leader(), entropic())
MAKERS = {"leader": leader, "entropic": entropic}
