"""EBPO: a group's mean shrunk towards that of all rewards so far, and the batch standardised."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ....core.arrays import Array, Float, Int, Namespace, on_host, widest
from ....core.numerals import numeral
from ...claims import Claims, Laws
from ...memory import MemoryEstimator, State, of_prompts


@dataclass(frozen=True, kw_only=True, eq=False)
class GlobalPrior(MemoryEstimator):
    r"""Rewards less a baseline between the group's mean m and the mean of all rewards so far.

    .. math:: a_i = R_i - [(1 - S) m + S \mu], \qquad S = \frac{\sigma^2 / n}{\sigma^2 / n + \tau^2}, \qquad
              A_i = \frac{a_i - \bar a}{\operatorname{std}(a) + \epsilon},

    with mu and sigma^2 the mean and variance of all rewards so far, tau^2 the variance of all groups' means,
    this step's among them, and the last mean and deviation of the batch. The paper does not give the degrees
    of freedom, nor epsilon. The state keeps count, mean and sum of squared distances of both (Welford).
    """

    ddof: int
    eps: float

    @property
    def couples(self) -> bool:
        """All prompts are in the prior and in the batch's deviation."""
        return True

    def _shared(self) -> dict[str, npt.NDArray[Any]]:
        return {"rewards": np.zeros(3), "groups": np.zeros(3)}

    def _step(
        self, xp: Namespace, rewards: Array, k: int, state: State, prompts: Int
    ) -> tuple[Array, dict[str, npt.NDArray[Any]]]:
        host = on_host(rewards).astype(np.float64)
        means = host.mean(axis=1)
        new = {"rewards": _with(state["rewards"], host.ravel()), "groups": _with(state["groups"], means)}
        noise, spread = self._variance(new["rewards"]) / host.shape[1], self._variance(new["groups"])
        share = noise / (noise + spread) if noise else 0.0
        baseline = (1 - share) * means + share * new["rewards"][1]
        wide = xp.astype(rewards, widest(xp), copy=False)
        # From the first reward, so that rewards near 1000 lose nothing to their offset.
        own = (wide - wide[:1, :1]) - of_prompts(xp, wide, baseline - host[0, 0])
        centered = own - xp.mean(own)
        freedom = max(1, host.size - self.ddof)
        size = xp.sqrt(xp.sum(centered * centered) / freedom) + self.eps
        return xp.astype(centered / size, rewards.dtype, copy=False), new

    def _variance(self, seen: Float) -> float:
        count, _, squares = seen
        return float(squares / max(1.0, count - self.ddof))


def _with(seen: Any, new: Float) -> Float:
    """Count, mean and sum of squared distances with these numbers too."""
    count, mean, squares = np.asarray(seen, dtype=np.float64)
    total = count + len(new)
    apart = new.mean() - mean
    return np.array(
        [
            total,
            mean + apart * len(new) / total,
            squares + np.sum((new - new.mean()) ** 2) + apart**2 * count * len(new) / total,
        ]
    )


def ebpo(ddof: int = 1, eps: float = 1e-8) -> GlobalPrior:
    """EBPO with what its paper leaves open. ValueError: an epsilon that is not positive, another ddof."""
    if ddof not in (0, 1):
        raise ValueError(f"ebpo:ddof={ddof}: must be 0 or 1")
    if not 0 < eps < float("inf"):
        raise ValueError(f"ebpo:eps={numeral(eps)}: must be positive and finite, e.g. eps=1e-8")
    told = {"ddof": (ddof, 1), "eps": (eps, 1e-8)}
    options = ",".join(f"{key}={numeral(value)}" for key, (value, usual) in told.items() if value != usual)
    return replace(_EBPO, name=f"ebpo:{options}" if options else "ebpo", ddof=ddof, eps=eps)


_EBPO = GlobalPrior(
    name="ebpo",
    title="EBPO: empirical Bayes over all rewards so far",
    equation=(
        "A_i = (a_i - mean) / (std + eps) over the batch, a_i = R_i - [(1-S) m + S mu], "
        "S = (s2/n)/(s2/n + t2), mu and s2 of all rewards so far, t2 of the groups' means m"
    ),
    citation="arXiv 2602.05165 (EBPO) and its algorithm; ddof and eps, which it does not give, are options",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=False, centered=False),
    laws=Laws(scale="invariant"),
    degenerate="a flat group gives its distance from the prior; equal rewards from the start on give 0",
    dead_groups="both",
    ddof=1,
    eps=1e-8,
)

RULES = (_EBPO,)
#: By the name that takes parameters.
MAKERS = {
    "ebpo": ebpo,
}
