"""A success rate by prompt as a beta distribution that forgets: SPO's baseline, DBB's mean and deviation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ....core.arrays import Array, Int, Namespace, on_host, widest
from ....core.numerals import numeral
from ...claims import Claims, Laws
from ...memory import MemoryEstimator, State, of_prompts

#: SPO adds it to the batch's deviation.
_EPS = 1e-8


@dataclass(frozen=True, kw_only=True, eq=False)
class Tracker(MemoryEstimator):
    """A beta distribution by prompt: ``a <- keep a + successes``, ``b <- keep b + failures``.

    Attributes
    ----------
    keep
        What a step leaves of the counts before it.
    prior
        a and b before the first step.
    """

    keep: float
    prior: float

    def _fresh(self, prompts: int) -> dict[str, npt.NDArray[Any]]:
        return {"successes": np.full(prompts, self.prior), "failures": np.full(prompts, self.prior)}

    def _after(
        self, xp: Namespace, rewards: Array, k: int, state: State, prompts: Int
    ) -> dict[str, npt.NDArray[Any]]:
        # The sum from a float64: on_host may come from a half type.
        won = on_host(rewards).astype(np.float64).sum(axis=1)
        found = {}
        for name, new in (("successes", won), ("failures", rewards.shape[1] - won)):
            found[name] = np.array(state[name], dtype=np.float64)
            found[name][prompts] = self.keep * found[name][prompts] + new
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class SingleStream(Tracker):
    r"""One rollout against the rate that earlier ones left, :math:`A = R - a/(a+b)`; then the counts.

    ``whiten``: these less their mean over the batch, over its std1 + 1e-8. The source keeps
    ``2^(-D/0.06)`` of the counts, in [0.875, 0.96], D the mean change of a token's log-probability since the
    prompt was last met; rewards do not tell D, so what is kept is a number.
    """

    whiten: bool

    @property
    def couples(self) -> bool:
        """Whether the batch's mean and deviation are in it."""
        return self.whiten

    def _undefined(self, n: int, k: int) -> str | None:
        if n == 1:
            return None
        return f"{self.name} takes one rollout a prompt (n={n}); n=1, or use rae, which takes any number"

    def _step(
        self, xp: Namespace, rewards: Array, k: int, state: State, prompts: Int
    ) -> tuple[Array, dict[str, npt.NDArray[Any]]]:
        wide = xp.astype(rewards, widest(xp), copy=False)
        won, lost = (np.asarray(state[name], dtype=np.float64)[prompts] for name in ("successes", "failures"))
        found = wide - of_prompts(xp, wide, won / (won + lost))
        if self.whiten:
            if (size := wide.shape[0]) < 2:
                raise ValueError(
                    f"{self.name} divides by the deviation of a step's advantages, and needs at least 2 "
                    f"prompts in "
                    f"it (P={size}); add prompts, or use spo:whiten=0"
                )
            found = found - xp.mean(found, axis=0, keepdims=True)
            square = xp.sum(found * found, axis=0, keepdims=True) / (size - 1)
            found = found / (xp.sqrt(square) + _EPS)
        return xp.astype(found, rewards.dtype, copy=False), self._after(xp, rewards, k, state, prompts)


@dataclass(frozen=True, kw_only=True, eq=False)
class Posterior(Tracker):
    r"""A group standardised by the posterior that it is itself in.

    .. math:: A_i = \frac{R_i - p}{\sqrt{p (1 - p)}}, \qquad p = \frac{a}{a + b} \text{ after the update}.
    """

    def _step(
        self, xp: Namespace, rewards: Array, k: int, state: State, prompts: Int
    ) -> tuple[Array, dict[str, npt.NDArray[Any]]]:
        wide = xp.astype(rewards, widest(xp), copy=False)
        new = self._after(xp, rewards, k, state, prompts)
        won, lost = (new[name][prompts] for name in ("successes", "failures"))
        size = np.sqrt(won * lost) / (won + lost)
        found = (wide - of_prompts(xp, wide, won / (won + lost))) / of_prompts(xp, wide, size)
        return xp.astype(found, rewards.dtype, copy=False), new


def spo(rho: float = 0.875, whiten: int = 1) -> SingleStream:
    """Single-stream policy optimisation; ``rho`` is what a step leaves of the counts.

    Raises ValueError for a rho outside [0, 1], or another whiten than 0 or 1.
    """
    if not 0 <= rho <= 1:
        raise ValueError(f"spo:rho={numeral(rho)}: must be in [0, 1], e.g. rho=0.875")
    if whiten not in (0, 1):
        raise ValueError(f"spo:whiten={whiten}: must be 0 or 1")
    told = {"rho": (rho, 0.875), "whiten": (whiten, 1)}
    options = ",".join(f"{key}={numeral(value)}" for key, (value, usual) in told.items() if value != usual)
    last = ", then less their mean over the batch, over std1 + 1e-8" if whiten else ""
    return replace(
        _SPO,
        name=f"spo:{options}" if options else "spo",
        equation=_SPO.equation + last,
        claims=Claims(unbiased=not whiten, centered=False),
        laws=Laws(shift_invariant=False, scale="none"),
        keep=float(rho),
        whiten=bool(whiten),
    )


def dbb(keep: float = 0.75) -> Posterior:
    """Discounted beta-Bernoulli rewards. ValueError: a ``keep``, the paper's lambda, outside (0, 1]."""
    if not 0 < keep <= 1:
        raise ValueError(f"dbb:keep={numeral(keep)}: must be in (0, 1], e.g. keep=0.75")
    return replace(_DBB, name="dbb" if keep == _DBB.keep else f"dbb:keep={numeral(keep)}", keep=float(keep))


_SPO = SingleStream(
    name="spo",
    title="SPO: one rollout against its prompt's rate",
    equation="A = R - a/(a+b), by prompt; a <- rho a + R, b <- rho b + 1 - R, from 1/2 each",
    citation="arXiv 2509.13232 (SPO); verl-recipe, spo, rho.type=constant and no offline values",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=False, centered=False),
    laws=Laws(shift_invariant=False, scale="none"),
    domain="unit",
    degenerate="a rollout gives its distance from the rate; whitened, equal advantages give 0",
    dead_groups="both",
    keep=0.875,
    prior=0.5,
    whiten=True,
)

_DBB = Posterior(
    name="dbb",
    title="DBB: a discounted beta-Bernoulli posterior",
    equation=(
        "A_i = (R_i - p) / sqrt(p (1-p)), p = a/(a+b) after a <- keep a + successes, b <- keep b + failures, "
        "from 1 each"
    ),
    citation="arXiv 2603.18444 (DBB) eq. 11 to 13 and Algorithm 1, in eq. 2; lambda .75 (8B) or .5 (1.7B)",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=False, centered=False),
    laws=Laws(shift_invariant=False, scale="none"),
    domain="binary",
    degenerate="a flat group gives its distance from a posterior that it has moved",
    dead_groups="both",
    keep=0.75,
    prior=1.0,
)

RULES = (spo(), _DBB)
#: By the name that takes parameters.
MAKERS = {
    "spo": spo,
    "dbb": dbb,
}
