"""Rules that weigh a rollout by a plug-in estimate of how likely the others are to fail: PKPO, reweighted."""

from __future__ import annotations

from dataclasses import dataclass

from ....core.arrays import Array, Namespace, widest
from ....core.coefficients import Vector, subset_share
from ....kernels.lookup import look_up
from ....kernels.tables import Column
from ...base import Estimator
from ...claims import Claims, Laws
from ..standardised import deviations


@Column
def _others_fail(n: int, k: int) -> Vector:
    """``C(f,K-1)/C(n-1,K-1)`` by the number f of failures among the others, 0..n-1."""
    return subset_share(n, k - 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxrlPkpo(Estimator):
    r"""PKPO's binary weights, then a leave-one-out mean of the weighted rewards.

    .. math:: a_i = R_i \binom{n-c}{K-1} \Big/ \binom{n-1}{K-1}, \qquad
              A_i = \frac{n a_i - \sum_j a_j}{n-1} .

    The second step biases it: a_j depends on R_i through the count c of successes.
    """

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        n = rewards.shape[-1]
        values = xp.astype(rewards, widest(xp))
        failures = n - xp.astype(xp.sum(values, axis=-1, keepdims=True), xp.int32)
        # With no success every a_i is 0; the index then only has to be a valid one.
        places = xp.where(failures < n, failures, xp.zeros_like(failures))
        weighted = values * look_up(_others_fail, places, n, k, xp)
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

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        n = rewards.shape[-1]
        values = xp.astype(rewards, widest(xp))
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

RULES = (MAXRL_PKPO, RLOO_REWEIGHTED)
