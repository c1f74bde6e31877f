"""AReaL's normalisation of rewards: its mean and its deviation each of the batch, of the group, or none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ....core.arguments import check_choice
from ....core.arrays import Array, Namespace, widest
from ....core.numerals import numeral
from ...batch import BatchEstimator, Statistic
from ...claims import Claims, Laws

#: Of which rewards a mean or a deviation is.
Level = Literal["batch", "group", "none"]
LEVELS: tuple[Level, ...] = ("batch", "group", "none")


@dataclass(frozen=True, kw_only=True, eq=False)
class Normalisation(BatchEstimator):
    r"""Rewards less a mean, over a deviation **from that mean**.

    .. math:: A_i = \frac{R_i - b_i}{\sigma + \epsilon}, \qquad
              \sigma^2 = \frac{1}{M - \text{ddof}} \sum_j (R_j - b_j)^2,

    b the mean of the batch, of the group, or 0, with the reward itself or without it (``leave_one_out``), and
    the sum over the M rewards of the batch or of the group; no division, and no epsilon, where ``std`` is
    none. Of one reward alone the mean without it is 0, and the deviation with ddof 1 is 1.
    """

    mean: Level
    leave_one_out: bool
    std: Level
    ddof: int
    eps: float

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        values = xp.astype(rewards, widest(xp), copy=False)
        centered = values
        if self.mean != "none":
            centered = _of(xp, values, self.mean, self._centered)
        if self.std != "none":
            size = _of(xp, centered, self.std, self._deviation)
            centered = centered / (size + self.eps)
        return xp.astype(centered, rewards.dtype, copy=False)

    def _centered(self, xp: Namespace, values: Array) -> Array:
        count = values.shape[-1]
        if self.leave_one_out and count == 1:
            return values
        # From the first reward, so that rewards near 1000 lose nothing to their offset.
        near = values - values[..., :1]
        near = near - xp.mean(near, axis=-1, keepdims=True)
        return near * (count / (count - 1)) if self.leave_one_out else near

    def _deviation(self, xp: Namespace, centered: Array) -> Array:
        count = centered.shape[-1]
        if count == 1 and self.ddof:
            return xp.ones_like(centered)
        square = xp.sum(centered * centered, axis=-1, keepdims=True) / (count - self.ddof)
        return xp.broadcast_to(xp.sqrt(square), centered.shape)


def _of(xp: Namespace, values: Array, level: Level, form: Callable[[Namespace, Array], Array]) -> Array:
    """A form of the rewards (..., M) of each group, or of the batch, in the place of each reward."""
    if level == "group":
        return form(xp, values)
    pooled = xp.reshape(values, (*values.shape[:-2], values.shape[-2] * values.shape[-1]))
    return xp.reshape(form(xp, pooled), values.shape)


def areal_norm(
    mean: Any = "batch", leave1out: int = 0, std: Any = "batch", ddof: int = 1, eps: float = 1e-5
) -> Normalisation:
    """AReaL's ``Normalization`` with the options of its ``NormConfig``.

    Raises ValueError for an option out of its range, or one that changes nothing beside the others.
    """
    check_choice("areal-norm: mean", mean, LEVELS)
    check_choice("areal-norm: std", std, LEVELS)
    for key, value in (("leave1out", leave1out), ("ddof", ddof)):
        if value not in (0, 1):
            raise ValueError(f"areal-norm:{key}={value}: must be 0 or 1")
    if not 0 < eps < float("inf"):
        raise ValueError(f"areal-norm:eps={numeral(eps)}: must be positive and finite, e.g. eps=1e-5")
    idle = {"leave1out": leave1out != 0 and mean == "none", "ddof": ddof != 1 and std == "none"}
    idle["eps"] = eps != _EPS and std == "none"
    for key, unused in idle.items():
        if unused:
            level = "mean" if key == "leave1out" else "std"
            raise ValueError(f"areal-norm:{key} changes nothing where {level}=none: leave it out")
    given = {"mean": mean, "leave1out": leave1out, "std": std, "ddof": ddof, "eps": eps}
    told = ",".join(
        f"{key}={value if isinstance(value, str) else numeral(value)}"
        for key, value in given.items()
        if value != _DEFAULTS[key]
    )
    return Normalisation(
        name=f"areal-norm:{told}" if told else "areal-norm",
        title="Normalisation of AReaL",
        equation=_equation(mean, bool(leave1out), std, ddof, eps),
        citation="AReaL 1.0.4, Normalization of utils/data",
        objective="mean",
        uses_k=False,
        claims=Claims(
            unbiased=std == "none" and (bool(leave1out) or mean == "none"), centered=mean == "group"
        ),
        laws=Laws(shift_invariant=mean != "none", scale="linear" if std == "none" else "invariant"),
        degenerate="a flat group gives 0"
        if mean == "group"
        else "a flat group is told from the batch's mean",
        dead_groups="none" if mean == "group" else "both" if mean == "batch" else "all-correct",
        smallest_group=2 if mean == "group" else 1,
        statistic=_statistic(mean, std),
        mean=mean,
        leave_one_out=bool(leave1out),
        std=std,
        ddof=ddof,
        eps=eps,
    )


def _statistic(mean: str, std: str) -> Statistic:
    """How prompts meet: from a group's mean, rewards spread by their squares, else by their sum."""
    return "advantage_rms" if (mean, std) == ("group", "batch") else "reward_sum"


def _equation(mean: str, leave_one_out: bool, std: str, ddof: int, eps: float) -> str:
    whose = {"batch": "the batch", "group": "the group", "none": ""}
    less = f" - mean of {whose[mean]}{' without R_i' if leave_one_out else ''}" if mean != "none" else ""
    if std == "none":
        return f"A_i = R_i{less}"
    about = "that mean" if less else "0"
    return f"A_i = (R_i{less}) / (std{ddof} of {whose[std]} about {about} + {numeral(eps)})"


_EPS = 1e-5
_DEFAULTS = {"mean": "batch", "leave1out": 0, "std": "batch", "ddof": 1, "eps": _EPS}

RULES = (areal_norm(),)
#: By the name that takes parameters.
MAKERS = {
    "areal-norm": areal_norm,
}
