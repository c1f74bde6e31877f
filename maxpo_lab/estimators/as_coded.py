"""Max@K rules as public code has them: the canonical direction at another scale, or divided by a std."""

from __future__ import annotations

from dataclasses import dataclass

from ..groups import Array, Namespace
from ..weights import Coefficients, gap_positions, subset_share
from .base import Claims, Estimator, Laws, RankLinear
from .pkpo import PKPO_LOO1


def _mean_centered(n: int, k: int, exact: bool) -> Coefficients:
    m = gap_positions(n, exact=exact)
    share = subset_share(n, k - 1, exact=exact)[:-1] * k / n
    return Coefficients(offset=0, above=share * m / n, below=-share * (n - m) / n)


def _sum_scale(n: int, k: int, exact: bool) -> Coefficients:
    right = PKPO_LOO1.coefficients(n, k, exact=exact)
    return Coefficients(offset=0, above=right.above / n, below=right.below / n)


def _why_not_sum_scale(n: int, k: int) -> str | None:
    reason = PKPO_LOO1.why_not(n, k)
    return reason and reason.replace("pkpo-loo1", "pkpo-sum-scale", 1)


PKPO_MEAN_CENTERED = RankLinear(
    name="pkpo-mean-centered",
    title="PKPO, mean-centered",
    equation="A_i = (K/n) (q_i - rho) = (1 - K/n)/n canonical",
    citation="rllm pull request 743",
    objective="max@k",
    uses_k=True,
    claims=Claims(unbiased=False, centered=True),
    degenerate="0 for every group at K = n; a flat group gives 0",
    table=_mean_centered,
    smallest_group=2,
)

PKPO_SUM_SCALE = RankLinear(
    name="pkpo-sum-scale",
    title="PKPO at the sum scale",
    equation="A_i = K h_i / n = pkpo-loo1 / n",
    citation="arXiv 2505.15201 (PKPO) eq. 33, its sum-convention weights in a mean-type loss (TailRL's arm)",
    objective="max@k",
    uses_k=True,
    claims=Claims(unbiased=False, centered=False),
    smallest_group=2,
    table=_sum_scale,
    undefined=_why_not_sum_scale,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class PassAtKTraining(Estimator):
    r"""Pass@k Training's advantages, from the count c of successes alone.

    With ``rho = 1 - C(n-c,K)/C(n,K)`` and ``sigma = sqrt(rho (1-rho))``: a success gets
    ``(1-rho)/(sigma+eps)``, a failure ``(1 - rho - C(n-c-1,K-1)/C(n-1,K-1))/(sigma+eps)``.
    """

    eps: float

    def _advantages(self, xp: Namespace, rewards: Array, k: int) -> Array:
        n = rewards.shape[-1]
        values = xp.astype(rewards, xp.float64)
        failures = n - xp.astype(xp.sum(values, axis=-1, keepdims=True), xp.int64)

        def look_up(table: Array) -> Array:
            column = xp.asarray(table.copy(), device=values.device)
            return xp.reshape(xp.take(column, xp.reshape(failures, (-1,)), axis=0), failures.shape)

        # By failures f = n-c: 1 - rho = C(f,K)/C(n,K), and C(f-1,K-1)/C(n-1,K-1), which is that times n/f.
        miss_table = subset_share(n + 1, k)
        miss = look_up(miss_table)
        fail_table = miss_table * 0
        fail_table[1:] = subset_share(n, k - 1)
        scale = xp.sqrt((1 - miss) * miss) + self.eps
        advantages = xp.where(values == 1, miss, miss - look_up(fail_table)) / scale
        return xp.astype(advantages, rewards.dtype)


PASSK_TRAINING = PassAtKTraining(
    name="passk-training",
    title="Pass@k Training",
    equation=(
        "success (1-rho)/(sigma+1e-6), failure (1-rho-C(n-c-1,K-1)/C(n-1,K-1))/(sigma+1e-6), "
        "rho = 1 - C(n-c,K)/C(n,K), sigma = sqrt(rho (1-rho))"
    ),
    citation="arXiv 2508.10751 (Pass@k Training); RUCAIBox/Passk_Training",
    objective="max@k",
    uses_k=True,
    claims=Claims(unbiased=False, centered=True),
    domain="binary",
    laws=Laws(shift_invariant=False, scale="none"),
    smallest_group=2,
    degenerate="no success: 0; 0 for every group at K = n, and where fewer than K fail",
    eps=1e-6,
)

RULES = (PKPO_MEAN_CENTERED, PKPO_SUM_SCALE, PASSK_TRAINING)
