"""Several updates from the same rollouts: the exact path of inner epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import rules
from ...core.arguments import finite_number, whole_number
from ...core.arrays import Float
from ...losses import Loss
from .exact import Policy, update_moments
from .result import UpdateMoments

#: Outcomes at parameters ``theta`` of groups that the policy at ``behaviour`` drew: of a prompt, or of
#: several.
OutcomesAt = Callable[[Float, Float], "Policy | Sequence[Policy]"]


@dataclass(frozen=True, eq=False)
class UpdateStep:
    """An inner epoch: the parameters it starts from, how far these have gone, and its moments there.

    ``divergence`` is KL(behaviour || current) in nats, averaged over the prompts.
    """

    theta: Float
    divergence: float
    moments: UpdateMoments


def update_path(
    estimator: str | rules.Rule | rules.RatioRule,
    loss: str | Loss,
    outcomes: OutcomesAt,
    theta: Any,
    *,
    n: int,
    k: int,
    step_size: float,
    epochs: int,
    **settings: Any,
) -> tuple[UpdateStep, ...]:
    r"""Moments of each of several updates that are made with the same rollouts.

    The policy at ``theta`` draws; epoch e is measured at ``theta_e``, and
    ``theta_(e+1) = theta_e + step_size E[u_e]``: the path of expected updates, which for small steps is the
    path of the mean. Ratios are taken against the first policy.

    Parameters
    ----------
    estimator, loss, n, k
        As in ``update_moments``, which also takes the other ``settings``.
    outcomes
        ``(theta (d,), behaviour (d,)) -> Outcomes`` at ``theta``, drawn by the policy at ``behaviour``: of a
        prompt, or a sequence for those of a batch. Of a specimen:
        ``lambda theta, behaviour: specimen.outcomes(theta, behaviour=behaviour)``.
    theta
        Where it starts, in any shape; steps are added in C order.
    step_size, epochs
        Length of a step in units of the update, and how many epochs.

    Returns
    -------
    tuple of ``UpdateStep``, one an epoch.

    Raises
    ------
    TypeError, ValueError
        As ``update_moments``; fewer than one epoch.
    """
    if whole_number(epochs, "epochs") < 1:
        raise ValueError(f"epochs={epochs}: at least 1 is needed")
    size = finite_number(step_size, "step_size")
    start = np.asarray(theta, dtype=np.float64)
    here, steps = start, []
    for _ in range(epochs):
        found = outcomes(here, start)
        prompts = [found] if isinstance(found, Policy) else list(found)
        moments = update_moments(estimator, loss, prompts, n=n, k=k, **settings)
        divergence = float(np.mean([each.divergence for each in prompts]))
        steps.append(UpdateStep(here, divergence, moments))
        here = here + size * moments.mean.reshape(here.shape)
    return tuple(steps)
