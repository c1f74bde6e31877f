"""The stratified bootstrap: runs are drawn again inside their stratum, in blocks, and quantiles taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from maxpo_lab.core.arrays import Float, Int

#: Resamples of an interval: its ends move by about 2 % of its width from one seed to another.
RESAMPLES = 2000
CONFIDENCE = 0.95
#: Numbers of a block of resampled scores: 64 MiB.
_BLOCK = 1 << 23


@dataclass(frozen=True)
class Interval:
    """An estimate, scalar or array, with the ends of its percentile interval."""

    estimate: Float
    low: Float
    high: Float


def percentile_interval(
    estimate: Float,
    resample: Callable[[np.random.Generator, int], Float],
    *,
    numbers: int,
    seed: int,
    resamples: int,
    confidence: float,
) -> Interval:
    """The percentile interval of resampled statistics, made in blocks."""
    check_confidence(confidence)
    if resamples < 1:
        raise ValueError(f"resamples={resamples}: at least 1 is needed, e.g. resamples={RESAMPLES}")
    rng = np.random.default_rng(seed)
    size = max(1, _BLOCK // numbers)
    sizes = [min(size, resamples - start) for start in range(0, resamples, size)]
    found = np.concatenate([resample(rng, each) for each in sizes])
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return Interval(estimate, np.asarray(low), np.asarray(high))


def indices(rng: np.random.Generator, size: int, strata: int, runs: int) -> Int:
    """Runs drawn with replacement in each stratum, (size, strata, runs)."""
    return rng.integers(runs, size=(size, strata, runs))


def drawn(scores: Float, places: Int) -> Float:
    """Scores (..., strata, runs) at places (size, strata, runs): (size, ..., strata, runs)."""
    stratum = np.arange(scores.shape[-2])[:, None]
    return np.asarray(np.moveaxis(scores[..., stratum, places], -3, 0))


def check_confidence(confidence: float) -> None:
    """ValueError unless it lies between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence}: must lie between 0 and 1, e.g. confidence=0.95")
