"""Whitened rules by the names of the frameworks that ship them: each is a ``whitened:`` rule, as is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.arrays import Array, Namespace
from ....core.numerals import numeral
from ...base import Estimator
from ...batch import Pooled
from ...claims import Laws
from ..mean_reward import BATCH_MEAN, REINFORCE, RLOO
from ..standardised import deviations, grpo
from .batch_scaled import written
from .whitened import DEFAULTS, whitened

#: What OpenRLHF clips at, after the baseline and before it whitens: the default of ``reward.clip_range``.
_CLIP = 10.0


def _named(name: str, own: Estimator, *, title: str, equation: str, citation: str, **options: Any) -> Pooled:
    """``whitened:options:own`` under a name of its own.

    On two levels rewards meet in their sum, and so do their deviations from the batch's mean.
    """
    given = DEFAULTS | {"eps": 0.0} | options
    of_rewards = not own.laws.shift_invariant
    return replace(
        whitened(own, **given),
        name=name,
        title=title,
        equation=equation,
        citation=citation,
        degenerate="a batch of equal rewards gives 0" if of_rewards else "a flat group gives 0",
        dead_groups="both" if of_rewards else "none",
        laws=Laws(scale="invariant"),
        statistic="reward_sum" if of_rewards else "advantage_rms",
    )


def _clipped(xp: Namespace, rewards: Array) -> Array:
    return xp.clip(rewards, -_CLIP, _CLIP)


def _clipped_deviations(xp: Namespace, rewards: Array) -> Array:
    return _clipped(xp, deviations(xp, rewards))


def _of_openrlhf(name: str, own: Estimator, *, title: str, equation: str) -> Pooled:
    """Clipped, less the batch's mean, over a deviation of which the square is at least 1e-8."""
    found = _named(
        name,
        own,
        title=title,
        equation=equation,
        citation=f"OpenRLHF 0.11.2, {name.removeprefix('openrlhf-').replace('-', '_')}",
        scale="std0",
        mean=1,
        floor=1e-8,
    )
    # Clipped, no group sums to 0 for certain, and nothing is linear.
    return replace(
        found,
        claims=replace(found.claims, centered=False),
        laws=Laws(scale="none", shift_invariant=own.laws.shift_invariant),
    )


def verl_reinforce_plus_plus(tokens: int = 1) -> Pooled:
    """REINFORCE++ of verl on rollouts of so many tokens. ValueError: fewer than one."""
    return _of_verl("verl-reinforce-plus-plus", REINFORCE, "R", tokens)


def verl_reinforce_plus_plus_baseline(tokens: int = 1) -> Pooled:
    """REINFORCE++ with the group's mean as baseline, of verl. ValueError: fewer tokens than one."""
    return _of_verl("verl-reinforce-plus-plus-baseline", BATCH_MEAN, "a", tokens)


def _of_verl(name: str, own: Estimator, letter: str, tokens: int) -> Pooled:
    if tokens < 1:
        raise ValueError(f"{name}:tokens={tokens}: must be at least 1, the tokens of a rollout")
    what = "" if own is REINFORCE else ", a_i = R_i - mean"
    return _named(
        name if tokens == 1 else f"{name}:tokens={tokens}",
        own,
        title="REINFORCE++ of verl" + (" with a baseline" if what else ""),
        equation=(
            f"A_i = ({letter}_i - mean of {letter}) / sqrt(std1^2 + 1e-8) over the batch of "
            f"{tokens} token{'s' if tokens > 1 else ''} a rollout{what}"
        ),
        citation=(
            f"arXiv 2501.03262 (REINFORCE++); verl 0.9.1, {name.removeprefix('verl-').replace('-', '_')}"
        ),
        scale="std1",
        mean=1,
        eps=1e-8,
        tokens=tokens,
    )


def gdpo(eps: float = 1e-6, add: float = 0.0) -> Pooled:
    """GDPO of one reward: GRPO with ``eps``, whitened over the batch.

    ``add`` is added to the batch's deviation; where it is 0, 1e-8 to the square of that, as in verl.
    Raises ValueError for an eps that is not positive, or an ``add`` below 0.
    """
    if not (0 <= add < float("inf")):
        raise ValueError(
            f"gdpo-single-reward:add={numeral(add)}: must be finite and at least 0, e.g. add=1e-4"
        )
    own = grpo(eps)
    told = {"eps": (eps, 1e-6), "add": (add, 0.0)}
    options = ",".join(f"{key}={numeral(value)}" for key, (value, usual) in told.items() if value != usual)
    below = f"(std1 + {numeral(add)})" if add else "sqrt(std1^2 + 1e-8)"
    return _named(
        f"gdpo-single-reward:{options}" if options else "gdpo-single-reward",
        own,
        title="GDPO of one reward",
        equation=(
            f"A_i = (z_i - mean of z) / {below} over the batch, z = (R - mean) / (std1 + {numeral(eps)})"
        ),
        citation=(
            "arXiv 2601.05242 (GDPO); verl 0.9.1, gdpo; TRL 1.16, normalize_then_sum: eps=1e-4,add=1e-4; "
            "ms-swift 4.6, gdpo: eps=1e-8,add=1e-8"
        ),
        scale="std1",
        mean=1,
        add=add,
        eps=0.0 if add else 1e-8,
    )


PRPO = _named(
    "prpo",
    REINFORCE,
    title="PRPO of rllm",
    equation="A_i = (R_i - mean) / (std0 + 1e-6), mean and std0 of all rewards of the batch",
    citation="rllm, prpo",
    scale="std0",
    mean=1,
    add=1e-6,
)

RLLM = _named(
    "rllm-reinforce-plus-plus-baseline",
    BATCH_MEAN,
    title="REINFORCE++ with a baseline, of rllm",
    equation="A_i = a_i / (std0 of a over the batch + 1e-6), a_i = R_i - mean",
    citation="rllm, reinforce_plus_plus_baseline",
    scale="std0",
    add=1e-6,
)

TRL_RLOO = _named(
    "trl-rloo-normalised",
    RLOO,
    title="RLOO of TRL, normalised",
    equation="A_i = (a_i - mean of a) / (std1 of a over the batch + 1e-4), a_i of rloo",
    citation="TRL 1.16, RLOOTrainer with normalize_advantages",
    scale="std1",
    mean=1,
    add=1e-4,
)

MS_SWIFT = _named(
    "ms-swift-reinforce-plus-plus",
    BATCH_MEAN,
    title="REINFORCE++ of ms-swift",
    equation="A_i = a_i / (std1 of a over the batch + 1e-4), a_i = R_i - mean",
    citation="ms-swift 4.6, reinforce_plus_plus with scale_rewards='batch'",
    scale="std1",
    add=1e-4,
)

OPENRLHF_REINFORCE = _of_openrlhf(
    "openrlhf-reinforce",
    written(REINFORCE, _clipped),
    title="REINFORCE of OpenRLHF",
    equation=(
        "A_i = (a_i - mean of a) / sqrt(max(std0^2, 1e-8)) over the batch, a_i = R_i clipped to [-10, 10]"
    ),
)

OPENRLHF_REINFORCE_BASELINE = _of_openrlhf(
    "openrlhf-reinforce-baseline",
    written(BATCH_MEAN, _clipped_deviations),
    title="REINFORCE with a baseline, of OpenRLHF",
    equation=(
        "A_i = (a_i - mean of a) / sqrt(max(std0^2, 1e-8)) over the batch, "
        "a_i = R_i - mean, clipped to [-10, 10]"
    ),
)

RULES = (
    PRPO,
    RLLM,
    verl_reinforce_plus_plus(),
    verl_reinforce_plus_plus_baseline(),
    OPENRLHF_REINFORCE,
    OPENRLHF_REINFORCE_BASELINE,
    TRL_RLOO,
    MS_SWIFT,
    gdpo(),
)
#: By the name that takes parameters.
MAKERS = {
    "verl-reinforce-plus-plus": verl_reinforce_plus_plus,
    "verl-reinforce-plus-plus-baseline": verl_reinforce_plus_plus_baseline,
    "gdpo-single-reward": gdpo,
}
