"""Standard errors of moments that were estimated draw by draw."""

from __future__ import annotations

import numpy as np

from ...core.arrays import Float
from ...objectives import Objective, VectorObjective
from ...policies.objective import gradient_coefficients
from .coupled import Errors
from .meeting import Meeting
from .result import StandardErrors


def standard_errors(
    errors: Errors, meeting: Meeting, objective: Objective | VectorObjective
) -> StandardErrors:
    """From the spread of the draws; of the trace by linearisation, ``E|G|^2 - 2 <E G, G>`` of a draw."""
    means = errors.means / meeting.n
    gradients = np.stack(
        [
            gradient_coefficients(levels, objective) @ own[: len(levels.values)]
            for levels, own in zip(meeting.prompts, meeting.coordinates, strict=True)
        ]
    )
    batch, gradient = means.mean(axis=1), gradients.mean(axis=0)
    traces = errors.traces / (meeting.n * len(meeting.places)) ** 2
    return StandardErrors(
        mean=float(np.sqrt(np.sum(_error(batch) ** 2))),
        scale=float(_error(batch @ gradient) / (gradient @ gradient or np.nan)),
        weights=_along(means, gradients),
        trace_covariance=float(_error(traces - 2 * batch @ batch.mean(axis=0))),
    )


def _along(means: Float, gradients: Float) -> Float:
    squares = np.sum(gradients**2, axis=1)
    squares = np.where(squares == 0, np.nan, squares)
    return _error(np.einsum("dpr,pr->dp", means, gradients) / squares)


def _error(draws: Float) -> Float:
    """Standard error of the mean of draws (D, ...)."""
    return np.asarray(draws.std(axis=0, ddof=1) / np.sqrt(len(draws)))
