"""The mean reward with a number of the whole batch: TRL's scale, verl's GPG, FlashREINFORCE's baseline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import isfinite

from ....core.arrays import Array, Namespace
from ....core.numerals import numeral
from ...base import Estimator
from ...batch import Couple, Pooled
from ...claims import Claims, Laws
from ..mean_reward import BATCH_MEAN, REINFORCE
from ..standardised import deviations

_EPS = 1e-4


@dataclass(frozen=True, kw_only=True, eq=False)
class Written(Estimator):
    """A rule of the catalogue by the form that its source writes it in, which needs no sort."""

    form: Callable[[Namespace, Array], Array]

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        return self.form(xp, rewards)


def written(rule: Estimator, form: Callable[[Namespace, Array], Array]) -> Written:
    """A rule of the catalogue, by this form."""
    return Written(**{each.name: getattr(rule, each.name) for each in fields(Estimator)}, form=form)


def _over_deviation(eps: float, ddof: int) -> Couple:
    def couple(xp: Namespace, own: Array, rewards: Array) -> Array:
        # From the first reward, so that rewards near 1000 lose nothing to their offset.
        values = rewards - rewards[..., :1]
        values = values - xp.mean(values, axis=-1, keepdims=True)
        square = xp.sum(values * values, axis=-1, keepdims=True) / max(1, rewards.shape[-1] - ddof)
        return own / (xp.sqrt(square) + eps)

    return couple


def _by_share_of_rewards(xp: Namespace, own: Array, rewards: Array) -> Array:
    count = xp.sum(xp.astype(rewards != 0, own.dtype), axis=-1, keepdims=True)
    return own * (rewards.shape[-1] / xp.where(count == 0, xp.ones_like(count), count))


def _less_mean(xp: Namespace, own: Array, rewards: Array) -> Array:
    return own - xp.mean(rewards, axis=-1, keepdims=True)


def trl_batch(eps: float = _EPS, ddof: int = 1) -> Pooled:
    """Deviations from the group's mean over the deviation of all rewards of the batch, plus ``eps``.

    ValueError: an eps that is not positive and finite, a ddof other than 0 and 1.
    """
    if not (eps > 0 and isfinite(eps)):
        raise ValueError(f"trl-batch:eps={numeral(eps)}: must be positive and finite, e.g. eps=1e-4")
    if ddof not in (0, 1):
        raise ValueError(f"trl-batch:ddof={ddof}: must be 0 or 1")
    told = {"eps": (eps, _EPS), "ddof": (ddof, 1)}
    options = ",".join(f"{key}={numeral(value)}" for key, (value, usual) in told.items() if value != usual)
    return Pooled(
        name=f"trl-batch:{options}" if options else "trl-batch",
        title="GRPO with the batch's deviation (TRL)",
        equation=f"A_i = (R_i - mean) / (std{ddof} of all rewards of the batch + {_shown(eps)})",
        citation=(
            "TRL 1.16, GRPOTrainer with scale_rewards='batch'; ms-swift 4.6; Trinity-RFT 0.6.0, "
            "std_cal_level='batch': eps=1e-6; stateset-agents 0.69.0, batch_norm: eps=1e-8,ddof=0"
        ),
        objective="mean",
        uses_k=False,
        claims=Claims(unbiased=False, centered=True),
        laws=Laws(scale="invariant"),
        smallest_group=2,
        statistic="reward_sum",
        own=written(BATCH_MEAN, deviations),
        couple=_over_deviation(eps, ddof),
    )


def _shown(eps: float) -> str:
    return "1e-4" if eps == _EPS else numeral(eps)


VERL_GPG = Pooled(
    name="verl-gpg",
    title="GPG of verl",
    equation="A_i = (R_i - mean) N / (number of rewards of the batch that are not 0)",
    citation="arXiv 2504.02546 (GPG); verl 0.9.1, gpg",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=False, centered=True),
    laws=Laws(shift_invariant=False),
    degenerate="a flat group gives 0; a batch of rewards 0 is not scaled",
    smallest_group=2,
    statistic="reward_sum",
    own=written(BATCH_MEAN, deviations),
    couple=_by_share_of_rewards,
)

FLASH_REINFORCE = Pooled(
    name="flash-reinforce",
    title="REINFORCE with the batch's mean",
    equation="A_i = R_i - mean of all rewards of the batch",
    citation="OpenRLHF 0.11.2, flash_reinforce",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=False, centered=False),
    degenerate="a batch of equal rewards gives 0",
    statistic="reward_sum",
    own=written(REINFORCE, lambda xp, rewards: rewards),
    couple=_less_mean,
    dead_groups="both",
)

RULES = (trl_batch(), VERL_GPG, FLASH_REINFORCE)
#: By the name that takes parameters.
MAKERS = {"trl-batch": trl_batch}
