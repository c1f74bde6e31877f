"""MaxRL and its relatives: advantages divided by the success rate instead of its deviation."""

from __future__ import annotations

from dataclasses import dataclass

from ..groups import Array, Namespace
from ..weights import Coefficients, gap_positions, subset_share
from .base import Claims, Estimator, Laws, RankLinear
from .numerals import numeral
from .standardised import deviations


@dataclass(frozen=True, kw_only=True, eq=False)
class SuccessNormalised(Estimator):
    """``A_i = (R_i - mean) / (mean + eps)`` on 0/1 rewards; a group without success gets ``all_fail``."""

    eps: float
    all_fail: float

    def _advantages(self, xp: Namespace, rewards: Array, k: int) -> Array:
        values = xp.astype(rewards, xp.float64)
        mean = xp.mean(values, axis=-1, keepdims=True)
        some = mean > 0
        normalised = (values - mean) / xp.where(some, mean + self.eps, xp.ones_like(mean))
        return xp.astype(xp.where(some, normalised, self.all_fail + 0 * values), rewards.dtype)


def maxrl(eps: float = 0.0) -> SuccessNormalised:
    """MaxRL; ``eps`` is what code adds to the mean, a factor of ``mean / (mean + eps)`` on a group.

    SkyRL's and the MaxRL repository's 1e-6 takes at most ``n 1e-6`` off: 8e-6 of the one success of eight.

    Raises ValueError for an epsilon that is negative or not finite.
    """
    if not 0 <= eps < float("inf"):
        raise ValueError(f"maxrl:eps={eps}: must be finite and not negative, e.g. eps=1e-6")
    divisor = f"(mean + {numeral(eps)})" if eps else "mean"
    return SuccessNormalised(
        name=f"maxrl:eps={numeral(eps)}" if eps else "maxrl",
        title="MaxRL",
        equation=f"A_i = (R_i - mean) / {divisor}; 0 where the mean is 0",
        citation=(
            "arXiv 2602.02710 (MaxRL); prime-rl; eps=1e-6: SkyRL 0.3.0, tajwarfahim/maxrl p_normalization"
        ),
        objective="mean",
        uses_k=False,
        claims=Claims(unbiased=False, centered=True),
        domain="binary",
        laws=Laws(shift_invariant=False, scale="none"),
        degenerate="no success: 0; all succeed: 0",
        smallest_group=2,
        eps=eps,
        all_fail=0.0,
    )


MAXRL_KEEP_FAILURES = SuccessNormalised(
    name="maxrl-keep-failures",
    title="MaxRL, failures kept",
    equation="A_i = (R_i - mean) / mean; -1 where the mean is 0",
    citation="n times the (n-c)/(c n) and -1/n of tajwarfahim/maxrl vr_cond (MaxRL, arXiv 2602.02710)",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=False, centered=False),
    domain="binary",
    laws=Laws(shift_invariant=False, scale="none"),
    degenerate="no success: -1 for every member; all succeed: 0",
    smallest_group=2,
    eps=0.0,
    all_fail=-1.0,
)


def _tail(n: int, k: int, exact: bool) -> Coefficients:
    m = gap_positions(n, exact=exact)
    return Coefficients(offset=0, above=m / (n - m), below=-(m**0))


TAILRL = RankLinear(
    name="tailrl",
    title="TailRL",
    equation="A_(r) = B_(r) - mean B, B_(r) = n sum over j <= r of (R_(j) - R_(j-1)) / (n-j+1), R_(0) = 0",
    citation="TailRL; on 0/1 rewards the numbers of maxrl",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=False, centered=True),
    table=_tail,
    smallest_group=2,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxrlPkpo(Estimator):
    r"""PKPO's binary weights, then a leave-one-out mean of the weighted rewards.

    .. math:: a_i = R_i \binom{n-c}{K-1} \Big/ \binom{n-1}{K-1}, \qquad
              A_i = \frac{n a_i - \sum_j a_j}{n-1} .

    The second step biases it: a_j depends on R_i through the count c of successes.
    """

    def _advantages(self, xp: Namespace, rewards: Array, k: int) -> Array:
        n = rewards.shape[-1]
        values = xp.astype(rewards, xp.float64)
        share = xp.asarray(subset_share(n, k - 1).copy(), device=values.device)
        failures = n - xp.astype(xp.sum(values, axis=-1, keepdims=True), xp.int64)
        # With no success every a_i is 0; the index then only has to be a valid one.
        index = xp.reshape(xp.clip(failures, None, n - 1), (-1,))
        weight = xp.reshape(xp.take(share, index, axis=0), failures.shape)
        weighted = values * weight
        advantages = (n * weighted - xp.sum(weighted, axis=-1, keepdims=True)) / (n - 1)
        return xp.astype(advantages, rewards.dtype)


MAXRL_PKPO = MaxrlPkpo(
    name="maxrl-pkpo",
    title="PKPO of the MaxRL repository",
    equation="A_i = (n a_i - sum a) / (n-1), a_i = R_i C(n-c, K-1) / C(n-1, K-1), c successes",
    citation="tajwarfahim/maxrl",
    objective="max@k",
    uses_k=True,
    claims=Claims(unbiased=False, centered=True),
    domain="binary",
    laws=Laws(shift_invariant=False, scale="none"),
    smallest_group=2,
    degenerate="no success: 0; all succeed: 0 for K >= 2",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Reweighted(Estimator):
    """RLOO times a plug-in estimate, from the others, of the pass@K weight ``K (1-p)^(K-1)``."""

    def _advantages(self, xp: Namespace, rewards: Array, k: int) -> Array:
        n = rewards.shape[-1]
        values = xp.astype(rewards, xp.float64)
        others = (xp.sum(values, axis=-1, keepdims=True) - values) / (n - 1)
        # Rounding must not turn 1 - (mean of the others) negative where all the others succeed.
        failing = xp.clip(1.0 - others, 0.0, 1.0)
        own = deviations(xp, rewards) * (n / (n - 1))
        return xp.astype(k * failing ** (k - 1) * own, rewards.dtype)


RLOO_REWEIGHTED = Reweighted(
    name="rloo-reweighted",
    title="Reweighted RLOO",
    equation="A_i = K (1 - mean of the others)^(K-1) (R_i - mean of the others)",
    citation="pass@K reweighting (family of arXiv 2510.23049) with a plug-in weight, rederived here",
    objective="max@k",
    uses_k=True,
    claims=Claims(unbiased=False, centered=False),
    domain="unit",
    laws=Laws(shift_invariant=False, scale="none"),
    smallest_group=2,
)

RULES = (maxrl(), MAXRL_KEEP_FAILURES, TAILRL, MAXRL_PKPO, RLOO_REWEIGHTED)
