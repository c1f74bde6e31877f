"""Defects of published code, kept as specimens for the audit; the catalogue is without them."""

from __future__ import annotations

from dataclasses import dataclass

from maxpo_lab.core.arrays import Array, Namespace
from maxpo_lab.estimators.base import Estimator
from maxpo_lab.estimators.claims import Claims, Laws
from maxpo_lab.estimators.families.standardised import deviations, standard_deviation


@dataclass(frozen=True, kw_only=True, eq=False)
class WinnerOverwritten(Estimator):
    """The winner's reward becomes R_max - R_second, the others keep theirs; all over ``std1 + eps``."""

    eps: float

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        values = xp.astype(rewards, xp.float64)
        scale = standard_deviation(xp, deviations(xp, rewards), 1) + self.eps
        ranked = xp.sort(values, axis=-1)
        lead = ranked[..., -1:] - ranked[..., -2:-1]
        position = xp.arange(values.shape[-1], device=values.device)
        winner = position == xp.argmax(values, axis=-1, keepdims=True)
        return xp.astype(xp.where(winner, lead, values) / scale, rewards.dtype)


#: In a group where all are correct the winner gets 0 and every other a positive advantage.
EASYR1_ISSUE_585 = WinnerOverwritten(
    name="easyr1-issue-585",
    title="EasyR1 issue 585",
    equation="A_i = (R_max - R_second for the first winner, R_i for the others) / (std1 + 1e-6)",
    citation="hiyouga/EasyR1 issue 585",
    objective="max@n",
    uses_k=False,
    smallest_group=2,
    laws=Laws(shift_invariant=False, scale="none"),
    claims=Claims(unbiased=False, centered=False),
    degenerate="all correct: the first rollout gets 0, every other one R / 1e-6",
    eps=1e-6,
)
