"""MaxRL: advantages divided by the success rate instead of its deviation."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.arrays import Array, Namespace, widest
from ...core.numerals import numeral
from ..base import Estimator
from ..claims import Claims, Laws


@dataclass(frozen=True, kw_only=True, eq=False)
class SuccessNormalised(Estimator):
    """``A_i = (R_i - mean) / (mean + eps)`` on 0/1 rewards; a group without success gets ``all_fail``."""

    eps: float
    all_fail: float

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        values = xp.astype(rewards, widest(xp))
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
    dead_groups="all-fail",
)

RULES = (maxrl(), MAXRL_KEEP_FAILURES)
MAKERS = {"maxrl": maxrl}
