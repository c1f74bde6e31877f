"""What a policy's levels must satisfy to be consistent, and what is said where they are not."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..core.arrays import Float
from ..core.precision import as_real

CovarianceForm = Literal["projected", "full"] | None

#: Sums of probabilities and of mean scores are met to rounding, not to the user's good intentions:
#: the exact moments are reported to 1e-10.
TOLERANCE = 1e-12


def real(
    name: str,
    value: Any,
    *,
    ndim: int | None = None,
    shape: tuple[int, ...] | None = None,
    length: int | None = None,
) -> Float:
    """A read-only float64 copy, checked to be real, finite and of the stated shape."""
    array = as_real(value, name)
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} have shape {array.shape}: expected {shape}")
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} have {array.ndim} dimensions (shape {array.shape}): expected {ndim}")
    if length is not None and len(array) != length:
        raise ValueError(f"{name} have {len(array)} rows: expected {length}, one per level or outcome")
    if not array.size:
        raise ValueError(f"{name} are empty: at least one level is needed")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name}{list(where)} is {array[where]}: every entry must be finite")
    array.setflags(write=False)
    return array


def check_form(covariances: Any) -> None:
    """Refuse anything but the three forms of covariances."""
    if covariances not in ("projected", "full", None):
        raise ValueError(f'covariances={covariances!r}: must be "projected", "full" or None')


def check_distribution(probabilities: Float, *, allow_zero: bool) -> None:
    """Refuse probabilities (L,) that are negative, not 1 in sum or, unless allowed, 0."""
    lowest = probabilities.min()
    if lowest < 0 or (lowest == 0 and not allow_zero):
        rule = "at least 0" if allow_zero else "positive: leave out a level that cannot occur"
        where = int(probabilities.argmin())
        raise ValueError(f"probabilities[{where}] is {lowest}: every one must be {rule}")
    total = float(probabilities.sum())
    if abs(total - 1) > TOLERANCE:
        raise ValueError(
            f"probabilities sum to {total!r}: they must sum to 1 within {TOLERANCE:g}; compute them in "
            f"float64, or divide them by their sum if that is what is meant"
        )


def check_levels(values: Float, probabilities: Float, mean_scores: Float, second: Float) -> None:
    """Refuse levels out of order, mean scores that do not average to 0, second moments below ``|G|^2``."""
    if not (np.diff(values) > 0).all():
        raise ValueError(
            f"values {values.tolist()} must be strictly ascending: sort the levels and merge equal "
            f"ones (RewardLevels.from_outcomes does both)"
        )
    check_distribution(probabilities, allow_zero=False)
    weighted = probabilities[:, None] * mean_scores
    norms = np.linalg.norm(mean_scores, axis=1)
    off, size = np.linalg.norm(weighted.sum(axis=0)), probabilities @ norms
    if off > TOLERANCE * max(size, np.finfo(np.float64).tiny):
        raise ValueError(
            f"mean_scores do not average to 0: |sum p_l G_l| is {off:.3g} where sum p_l |G_l| is "
            f"{size:.3g}; a score, the gradient of a log-probability, has mean 0 under its policy. "
            f"RewardLevels.from_sums takes what rounding leaves of it"
        )
    short = second - norms**2
    # A recursion rounds the scores of a level at the size that scores have on the way, not at their own.
    scale = np.maximum(second, probabilities @ np.maximum(second, 0.0)) + norms**2
    if (short < -TOLERANCE * scale).any():
        level = int(short.argmin())
        raise ValueError(
            f"score_second_moments[{level}] is {second[level]:.6g}, below |G_{level}|^2 = "
            f"{norms[level] ** 2:.6g}: E|s|^2 is at least |E s|^2"
        )


def check_covariances(covariances: Float, probabilities: Float, second: Float, mean_scores: Float) -> None:
    """Refuse matrices that are not symmetric, or whose traces are not the spread of the scores."""
    traces = np.trace(covariances, axis1=1, axis2=2)
    if not np.allclose(covariances, covariances.transpose(0, 2, 1), rtol=0, atol=1e-9 * second.max()):
        raise ValueError("score_covariances must be symmetric matrices, one per level")
    expected = second - np.sum(mean_scores**2, axis=1)
    if (abs(traces - expected) > 1e-9 * np.maximum(second, probabilities @ second)).any():
        level = int(abs(traces - expected).argmax())
        raise ValueError(
            f"score_covariances[{level}] has trace {traces[level]:.6g}: the trace of Cov(s | l) must be "
            f"S_l - |G_l|^2 = {expected[level]:.6g} (pass covariances, not second moments)"
        )
