"""What paired runs say of two rules, and the difference that they could have seen.

Source: the paired t test, its power by the noncentral t distribution (Cohen, Statistical Power Analysis).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import nct, t

from .resampling import CONFIDENCE, check_confidence

#: The chance with which the smallest difference is to be seen.
POWER = 0.8


@dataclass(frozen=True)
class Paired:
    """The mean of paired differences, with its interval, and the smallest mean that they could have seen.

    Attributes
    ----------
    smallest
        Were the true mean as far from 0, the interval would exclude 0 with a chance of 80 %.
    runs
        Pairs.
    """

    estimate: float
    low: float
    high: float
    smallest: float
    runs: int

    @property
    def seen(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def paired(differences: npt.ArrayLike, *, confidence: float = CONFIDENCE, power: float = POWER) -> Paired:
    """Student's interval of the mean of differences (strata, runs) or (runs,), and what it can resolve.

    Strata have equal weight and independent runs; degrees of freedom are Welch and Satterthwaite's.
    Differences are taken as near normal as their number needs; where all are equal, the interval is a point.

    Raises
    ------
    ValueError
        Differences that are not finite, or less than two in a stratum; a confidence or a power that does not
        lie between 0 and 1, or a power that chance alone has.
    """
    array = np.atleast_2d(np.asarray(differences, dtype=np.float64))
    check_confidence(confidence)
    if array.ndim != 2 or array.shape[-1] < 2 or not np.isfinite(array).all():
        raise ValueError(
            f"differences have shape {array.shape} or are not finite: expected numbers, (strata, runs), two "
            f"runs at least"
        )
    if not 1 - confidence < power < 1:
        raise ValueError(
            f"power={power}: must lie between 1 - confidence={1 - confidence:g} and 1, e.g. power={POWER}"
        )
    strata, runs = array.shape
    squares = array.var(axis=-1, ddof=1) / runs / strata**2
    error = float(np.sqrt(squares.sum()))
    estimate = float(array.mean())
    if error == 0:
        return Paired(estimate, estimate, estimate, 0.0, runs)
    freedom = float(squares.sum() ** 2 / (squares**2 / (runs - 1)).sum())
    away = float(t.ppf((1 + confidence) / 2, freedom)) * error
    smallest = _noncentrality(freedom, confidence, power) * error
    return Paired(estimate, estimate - away, estimate + away, smallest, runs)


@cache
def _noncentrality(freedom: float, confidence: float, power: float) -> float:
    """The mean, in standard errors, that a two-sided t test sees with this power, on its own side."""
    critical = float(t.ppf((1 + confidence) / 2, freedom))

    def short(mean: float) -> float:
        return float(nct.sf(critical, freedom, mean)) - power

    return float(brentq(short, 0.0, 4 * critical))
