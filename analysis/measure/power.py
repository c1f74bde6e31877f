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
    check_confidence(confidence)
    arrays = [np.asarray(each, dtype=np.float64) for each in strata]
    if not arrays or any(a.ndim != 1 or len(a) < 2 or not np.isfinite(a).all() for a in arrays):
        raise ValueError(
            f"strata have shapes {[each.shape for each in arrays]} or are not finite: expected numbers, "
            f"(runs,) of each, two runs at least"
        )
    if not 1 - confidence < power < 1:
        raise ValueError(
            f"power={power}: must lie between 1 - confidence={1 - confidence:g} and 1, e.g. power={POWER}"
        )
    runs = np.array([len(each) for each in arrays])
    squares = np.array([each.var(ddof=1) for each in arrays]) / runs / len(arrays) ** 2
    error = float(np.sqrt(squares.sum()))
    estimate = float(np.mean([each.mean() for each in arrays]))
    if error == 0:
        return Paired(estimate, estimate, estimate, 0.0, int(runs.sum()))
    freedom = float(squares.sum() ** 2 / (squares**2 / (runs - 1)).sum())
    away = float(t.ppf((1 + confidence) / 2, freedom)) * error
    smallest = _noncentrality(int(freedom), confidence, power) * error
    return Paired(estimate, estimate - away, estimate + away, smallest, int(runs.sum()))


@cache
def _noncentrality(freedom: int, confidence: float, power: float) -> float:
    """The mean, in standard errors, that a two-sided t test sees with this power, on its own side."""
    critical = float(t.ppf((1 + confidence) / 2, freedom))

    def short(mean: float) -> float:
        return float(nct.sf(critical, freedom, mean)) - power

    return float(brentq(short, 0.0, 4 * critical))
