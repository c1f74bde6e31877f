"""Pass@k Training: the canonical direction on 0/1 rewards, divided by the deviation of the plug-in pass@k."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....core.arrays import Array, Namespace, widest
from ....core.coefficients import Vector, subset_share
from ....kernels.lookup import look_up
from ....kernels.tables import Column
from ...base import Estimator
from ...claims import Claims, Laws


@Column
def _all_fail(n: int, k: int) -> Vector:
    """``1 - rho = C(f,K)/C(n,K)`` by the number f of failures, 0..n."""
    return subset_share(n + 1, k)


@Column
def _all_fail_beside_one(n: int, k: int) -> Vector:
    """``C(f-1,K-1)/C(n-1,K-1)``, which is that times n/f; 0 at f = 0."""
    return np.concatenate([[0.0], subset_share(n, k - 1)])


@dataclass(frozen=True, kw_only=True, eq=False)
class PassAtKTraining(Estimator):
    r"""Pass@k Training's advantages, from the count c of successes alone.

    With ``rho = 1 - C(n-c,K)/C(n,K)`` and ``sigma = sqrt(rho (1-rho))``: a success gets
    ``(1-rho)/(sigma+eps)``, a failure ``(1 - rho - C(n-c-1,K-1)/C(n-1,K-1))/(sigma+eps)``.
    """

    eps: float

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        n = rewards.shape[-1]
        values = xp.astype(rewards, widest(xp))
        failures = n - xp.astype(xp.sum(values, axis=-1, keepdims=True), xp.int32)

        miss = look_up(_all_fail, failures, n, k, xp)
        alone = look_up(_all_fail_beside_one, failures, n, k, xp)
        scale = xp.sqrt((1 - miss) * miss) + self.eps
        advantages = xp.where(values == 1, miss, miss - alone) / scale
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

RULES = (PASSK_TRAINING,)
