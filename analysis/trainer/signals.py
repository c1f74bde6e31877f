"""How much of a step is signal: exact moments of a rule's batch gradient at one policy met in training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import maxpo_lab as ml
from envs.base.specimen import ExactSpecimen
from maxpo_lab.rules.calling import Rule


@dataclass(frozen=True)
class Signal:
    """Signal and noise of the gradient that a step is made of.

    Attributes
    ----------
    snr
        ``|E g|^2 / tr Cov(g)`` of a batch of groups whose prompts are drawn.
    cosine
        Cosine between E g and grad J_K.

    Both are NaN where E g or grad J_K is 0 to rounding, as on a solved task.
    """

    snr: float
    cosine: float


def signal(
    specimen: ExactSpecimen, theta: npt.ArrayLike, rule: str | Rule, *, n: int, k: int, groups: int
) -> Signal:
    """The signal at parameters theta, entries in C order, from ``maxpo_lab.batch_moments``.

    Cost: exact levels and moments of every prompt.
    """
    point = np.asarray(theta, dtype=np.float64).reshape(specimen.theta.shape)
    levels = [specimen.levels(point, prompt, covariances=None) for prompt in range(specimen.prompts)]
    moments = ml.batch_moments(rule, levels, n=n, k=k, batch=groups)
    cosine = float(np.cos(moments.direction_error))
    if np.isnan(cosine):
        return Signal(snr=float("nan"), cosine=float("nan"))
    return Signal(snr=float(moments.mean @ moments.mean) / moments.trace_covariance, cosine=cosine)
