"""Bias, angle and variance of a rule of several rewards under reference policies."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from ... import rules
from ...core.arrays import EPS, Float
from ...moments import Moments, variance_floor
from ...moments.against_gradient import angle, straight
from ...moments.exact import moments_under
from ...moments.states import number_of_counts
from ...objectives import PER_REWARD, as_vector_objective
from ...policies.objective import gradient_coefficients
from ...policies.vector_levels import VectorLevels
from ..decide.policies import SUCCESS
from .rows import RowSetting

#: The answers of a policy: every reward by itself; or specialists of one reward each, a generalist that is
#: fair at all of them, and one that is good for nothing.
KINDS = ("independent", "specialists")
#: Objectives to which an angle is told, whatever the target.
_OTHERS = ("mean", "max@k", f"{PER_REWARD}max@k")
#: What a generalist gets of each reward.
GENERALIST = 0.6
#: Groups of a policy that is measured, and unknowns of a floor that is asked for, at most.
_STATES, _UNKNOWNS = 20_000, 5_000


@dataclass(frozen=True, slots=True)
class UnderRows:
    """Moments under one policy.

    Attributes
    ----------
    answers, success
        See ``reference_rows``.
    relative_bias, scale, direction_error, resolution
        Against the target, as in ``Moments``.
    to_mean, to_sum, to_each
        Angles to the gradients of the mean of the weighted sum, of max@K of it, and of max@K of each reward.
    efficiency
        The variance floor over the noise, as in ``UnderPolicy``; None where it is not defined.
    dead_groups
        Chance of a group without any advantage.
    """

    answers: str
    success: float
    relative_bias: float
    scale: float
    direction_error: float
    resolution: float
    to_mean: float
    to_sum: float
    to_each: float
    efficiency: float | None
    dead_groups: float


def reference_rows(success: float, answers: str, rewards: int, *, lengths: bool = False) -> VectorLevels:
    """A softmax policy of 0/1 rewards of rate ``success`` each, ``independent`` of each other.

    Of ``specialists`` each reward has one answer of its own, of that chance over the number of rewards, as
    has a generalist; the rest of the chance is that of an answer without rewards. ``exclusive`` is the same
    without the generalist. With ``lengths`` answers that have the first reward are three times as long.
    """
    if answers == "independent":
        rows = np.array([*product((0.0, 1.0), repeat=rewards)])
        chance = np.prod(np.where(rows == 1, success, 1 - success), axis=1)
    else:
        kept = rewards + (answers == "specialists")
        rows = np.concatenate([np.eye(rewards), np.full((1, rewards), GENERALIST), np.zeros((1, rewards))])
        rows = rows if answers == "specialists" else np.delete(rows, rewards, axis=0)
        chance = np.array([*[success / kept] * kept, 1 - success])
    told = 1.0 + 2.0 * (rows[:, 0] == 1) if lengths else None
    return VectorLevels.from_softmax(np.log(chance), rows, lengths=told)


def under_rows(rule: rules.OfVectors, setting: RowSetting, eps: float) -> tuple[UnderRows, ...]:
    """The rule under easy, medium and hard policies of each kind that it takes."""
    d, n, k = len(setting.reward_weights), setting.n, setting.k
    kinds = ("exclusive",) if setting.exclusive else KINDS if setting.rewards == "graded" else KINDS[:1]
    found: list[UnderRows] = []
    for answers in kinds:
        policies = [reference_rows(rate, answers, d, lengths=setting.lengths) for rate in SUCCESS.values()]
        if number_of_counts(n, len(policies[0].rewards)) > _STATES:
            continue
        numbered = rules.by_number(rule, policies, n=n, k=k, target=setting.target)
        each = moments_under(numbered.policies, numbered.rule, n=n, k=k, target=numbered.target)
        for success, levels, own in zip(SUCCESS.values(), policies, each, strict=True):
            resolution = own.bias_resolution * eps / EPS
            mean, of_sum, of_each = (_angle_to(own.mean, levels, target, setting) for target in _OTHERS)
            found.append(
                UnderRows(
                    answers=answers,
                    success=success,
                    relative_bias=own.relative_bias,
                    scale=own.scale,
                    direction_error=own.direction_error,
                    resolution=resolution,
                    to_mean=mean,
                    to_sum=of_sum,
                    to_each=of_each,
                    efficiency=_efficiency(own, levels, setting, resolution),
                    dead_groups=own.dead_group_probability,
                )
            )
    return tuple(found)


def _angle_to(mean: Float, levels: VectorLevels, target: str, setting: RowSetting) -> float:
    """The angle of a mean gradient to that of another objective; NaN where either is 0."""
    objective = as_vector_objective(
        target, setting.n, setting.k, weights=setting.reward_weights, table=levels.rewards
    )
    gradient = gradient_coefficients(levels.by_number, objective) @ levels.mean_scores
    length = float(np.linalg.norm(gradient))
    if not length or not mean.any():
        return float("nan")
    along = float(mean @ gradient) / length
    return angle(float(np.linalg.norm(mean - along * gradient / length)), along)


def _efficiency(own: Moments, levels: VectorLevels, setting: RowSetting, resolution: float) -> float | None:
    if not straight(own.direction_error, resolution) or not own.scale or not own.trace_covariance:
        return None
    if number_of_counts(setting.n - 1, len(levels.rewards)) > _UNKNOWNS:
        return None
    floor = variance_floor(
        levels, n=setting.n, k=setting.k, target=setting.target, reward_weights=setting.reward_weights
    )
    return None if floor.degenerate else floor.trace_covariance * own.scale**2 / own.trace_covariance
