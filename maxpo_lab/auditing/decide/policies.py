"""Bias and variance under reference policies: easy, medium and hard, with many right answers or one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ... import rules
from ...core.arrays import EPS, Float
from ...estimators import get_estimator
from ...moments import Moments, exact_moments, variance_floor
from ...moments.against_gradient import straight
from ...moments.exact import moments_under
from ...objectives import Objective
from ...policies.levels import RewardLevels

#: Chance that a rollout gets the highest reward.
SUCCESS: Mapping[str, float] = {"easy": 0.7, "medium": 0.2, "hard": 0.02}
#: Answers in all, and those with the highest reward, all equally likely within their class.
ANSWERS: Mapping[str, tuple[int, int]] = {"many": (1000, 100), "one": (10, 1)}


@dataclass(frozen=True, slots=True)
class UnderPolicy:
    """Moments under one policy.

    ``noise`` is ``tr Cov / c^2``, c the scale: the variance at the step size that makes the rule's mean step
    the gradient's. ``to_maxpo``, ``to_pkpo_loo1`` compare it with these rules, ``efficiency`` is the variance
    floor over it; each None where it is not defined: a direction that is not the gradient's, a rule that does
    not exist at (n, K), an objective that is not a maximum, a floor of 0. The floor is that of unbiased
    rules: one whose scale depends on the policy may come below it.
    """

    rewards: str
    difficulty: str
    success: float
    right_answers: str
    relative_bias: float
    scale: float
    direction_error: float
    resolution: float
    noise: float | None
    to_maxpo: float | None
    to_pkpo_loo1: float | None
    efficiency: float | None
    dead_groups: float


def reference_policy(success: float, answers: str, values: Float) -> RewardLevels:
    """A softmax policy: the right answers share ``success``, the rest, of the other rewards, what is left."""
    arms, good = ANSWERS[answers]
    top = np.arange(arms) < good
    rewards = np.where(top, values[-1], np.resize(values[:-1], arms))
    probability = np.where(top, success / good, (1 - success) / (arms - good))
    return RewardLevels.from_softmax(np.log(probability), rewards)


def under_policies(
    rule: rules.Rule, values: Float, *, n: int, k: int, target: Objective, rewards: str, eps: float
) -> tuple[UnderPolicy, ...]:
    """Moments under every reference policy on these levels. ``eps``: of the type the rule computes in."""
    places = [(answers, difficulty) for answers in ANSWERS for difficulty in SUCCESS]
    policies = [reference_policy(SUCCESS[difficulty], answers, values) for answers, difficulty in places]
    each = moments_under(policies, rule, n=n, k=k, target=target)
    found = []
    for (answers, difficulty), moments in zip(places, each, strict=True):
        success = SUCCESS[difficulty]
        resolution = moments.bias_resolution * eps / EPS
        noise = _noise(moments, resolution)
        maxpo, loo1, least = _yardsticks(success, answers, tuple(values.tolist()), n, target)
        found.append(
            UnderPolicy(
                rewards=rewards,
                difficulty=difficulty,
                success=success,
                right_answers=answers,
                relative_bias=moments.relative_bias,
                scale=moments.scale,
                direction_error=moments.direction_error,
                resolution=resolution,
                noise=noise,
                to_maxpo=_ratio(noise, maxpo),
                to_pkpo_loo1=_ratio(noise, loo1),
                efficiency=_ratio(least, noise),
                dead_groups=moments.dead_group_probability,
            )
        )
    return tuple(found)


def _noise(moments: Moments, resolution: float) -> float | None:
    if not straight(moments.direction_error, resolution) or not moments.scale:
        return None
    return moments.trace_covariance / moments.scale**2


@lru_cache(maxsize=1024)
def _yardsticks(
    success: float, answers: str, values: tuple[float, ...], n: int, target: Objective
) -> tuple[float | None, float | None, float | None]:
    """Tr Cov of maxpo, of pkpo-loo1 and of the floor under a policy, None where not defined; made once."""
    k = target.maximum_of
    if (k or target.size) > n:
        return None, None, None
    levels = reference_policy(success, answers, np.array(values))
    floor = variance_floor(levels, n=n, k=k or target.size, target=target)
    return (
        _of_rule("maxpo", levels, n, k) if k else None,
        _of_rule("pkpo-loo1", levels, n, k) if k else None,
        None if floor.degenerate else floor.trace_covariance,
    )


def _of_rule(name: str, levels: RewardLevels, n: int, k: int) -> float | None:
    if get_estimator(name).why_not(n, k):
        return None
    return exact_moments(name, levels, n=n, k=k).trace_covariance


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else one / other
