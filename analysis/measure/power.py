"""What paired runs say of two rules, and the difference that they, or runs that are planned, could see.

Source: the t test, its power by the noncentral t distribution (Cohen, Statistical Power Analysis).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import nct, norm, t

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
        Pairs, of all strata.
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


def paired(*strata: npt.ArrayLike, confidence: float = CONFIDENCE, power: float = POWER) -> Paired:
    """Student's interval of the mean of differences, (runs,) of each stratum, and what it can resolve.

    Strata have equal weight and independent runs; degrees of freedom are Welch and Satterthwaite's.
    Differences are taken as near normal as their number needs; where all are equal, the interval is a point.
    The smallest is that of a whole number of degrees of freedom, not above these.

    Raises
    ------
    ValueError
        No stratum, or one whose differences are not finite, not of one axis or less than two; a confidence or
        a power that does not lie between 0 and 1, or a power that chance alone has.
    """
    _check(confidence, power)
    arrays = [np.asarray(each, dtype=np.float64) for each in strata]
    if not arrays or any(a.ndim != 1 or len(a) < 2 or not np.isfinite(a).all() for a in arrays):
        raise ValueError(
            f"strata have shapes {[each.shape for each in arrays]} or are not finite: expected numbers, "
            f"(runs,) of each, two runs at least"
        )
    runs = np.array([len(each) for each in arrays])
    squares = np.array([each.var(ddof=1) for each in arrays]) / runs / len(arrays) ** 2
    error = float(np.sqrt(squares.sum()))
    estimate = float(np.mean([each.mean() for each in arrays]))
    if error == 0:
        return Paired(estimate, estimate, estimate, 0.0, int(runs.sum()))
    freedom = float(squares.sum() ** 2 / (squares**2 / (runs - 1)).sum())
    away = float(t.ppf((1 + confidence) / 2, freedom)) * error
    smallest = smallest_seen(error, int(freedom), confidence=confidence, power=power)
    return Paired(estimate, estimate - away, estimate + away, smallest, int(runs.sum()))


def smallest_seen(
    error: float, freedom: float = math.inf, *, confidence: float = CONFIDENCE, power: float = POWER
) -> float:
    """The true mean m at which a two-sided test of an estimate excludes 0, on m's side, with this power.

    ``P(T > t) = power`` with T of the noncentral t distribution around ``m / error`` and t the quantile of
    the interval's end; of a normal estimate ``m = (z_((1 + confidence)/2) + z_power) error``.

    Parameters
    ----------
    error
        Standard error of the estimate, in its unit: of a difference of two means of ``runs`` runs each, all
        with one standard deviation, that times ``sqrt(2 / runs)``.
    freedom
        Degrees of freedom of the error, a whole number: ``2 runs - 2`` there. Infinite: it is known.

    Raises
    ------
    ValueError
        An error below 0, degrees of freedom that are none, or a confidence or power that ``paired`` refuses.
    """
    _check(confidence, power)
    if error < 0 or freedom < 1 or (freedom != math.inf and freedom % 1):
        raise ValueError(
            f"error={error} with freedom={freedom}: expected an error of at least 0, and degrees of freedom "
            f"that are a whole number, 1 at least, or math.inf"
        )
    return _noncentrality(freedom, confidence, power) * error


def _check(confidence: float, power: float) -> None:
    check_confidence(confidence)
    if not 1 - confidence < power < 1:
        raise ValueError(
            f"power={power}: must lie between 1 - confidence={1 - confidence:g} and 1, e.g. power={POWER}"
        )


@cache
def _noncentrality(freedom: float, confidence: float, power: float) -> float:
    """The mean, in standard errors, that the test sees."""
    if math.isinf(freedom):
        return float(norm.ppf((1 + confidence) / 2) + norm.ppf(power))
    critical = float(t.ppf((1 + confidence) / 2, freedom))

    def short(mean: float) -> float:
        return float(nct.sf(critical, freedom, mean)) - power

    return float(brentq(short, 0.0, 4 * critical))
