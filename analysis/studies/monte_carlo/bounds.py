"""When do samples contradict exact moments? Every statement as a z-score, and one bound for all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import bdtr, bdtrc, ndtri, polygamma

from maxpo_lab.core.arrays import Float

#: Chance that any statement of the study is rejected if all of them are true.
ALARM = 1e-6
#: What the intervals of the coverage part promise.
LEVEL = 0.95


def reach(statements: int) -> float:
    """Standard errors that one of this many normal z-scores exceeds with chance ``ALARM``, by Bonferroni."""
    return float(-ndtri(ALARM / statements / 2))


def score(p_value: float, sign: float) -> float:
    """The z-score with this two-sided p-value."""
    return math.copysign(float(-ndtri(min(1.0, p_value) / 2)), sign)


def binomial_score(found: int, trials: int, chance: float) -> float:
    """Z-score of a count of independent events, from the exact tail of the binomial distribution."""
    if chance <= 0 or chance >= 1:
        return 0.0 if found == round(chance) * trials else math.inf
    least, most = bdtr(found, trials, chance), bdtrc(found - 1, trials, chance) if found else 1.0
    return score(2 * min(float(least), float(most)), found - trials * chance)


def distance_score(off: Float, covariance: Float, groups: int) -> float:
    """Bound on the z-score of a sample mean that is ``off`` (d,) from the mean of N(., covariance).

    ``groups |off|^2`` is a weighted sum of squares of normals. Its tails are bounded as in Laurent and
    Massart (2000), Annals of Statistics 28, 1302-1338, Lemma 1: above its mean by ``2 sqrt(F t) + 2 w t`` or
    below by ``2 sqrt(F t)`` with chance ``exp(-t)`` at most, F the sum of the squared weights and w the
    largest. So the z-score is never too large.
    """
    weights = np.maximum(np.linalg.eigvalsh(covariance), 0.0)
    power, largest = float(weights @ weights), float(weights[-1])
    excess = groups * float(off @ off) - float(weights.sum())
    if excess > 0:
        root = (math.sqrt(power + 2 * largest * excess) - math.sqrt(power)) / (2 * largest)
    else:
        root = -excess / (2 * math.sqrt(power))
    return score(2 * math.exp(-(root**2)), excess)


def slope(groups: Sequence[int], error: Sequence[float], repetitions: int) -> tuple[float, float]:
    """Slope of log error against log groups by least squares, and its standard error.

    A root mean square of R normal errors has a logarithm of variance ``trigamma(R / 2) / 4``, at every
    number of groups the same, so that the least squares need no weights.
    """
    x = np.log(np.asarray(groups, dtype=np.float64))
    x -= x.mean()
    variance = float(polygamma(1, repetitions / 2)) / 4
    # The last bit of a product of BLAS depends on the machine, and the table is kept in full.
    square = math.fsum(x * x)
    return math.fsum(x * np.log(error)) / square, math.sqrt(variance / square)


def slopes(rows: pd.DataFrame) -> pd.DataFrame:
    """Slope of the error with its standard error, by specimen, rule and quantity."""
    errors = rows[rows.part == "error"]
    found = []
    for key, one in errors.groupby(["specimen", "estimator", "figure"], sort=False):
        value, error = slope(one.groups.tolist(), one.error.tolist(), int(one.repetitions.iloc[0]))
        found.append((*key, value, error))
    return pd.DataFrame(found, columns=["specimen", "estimator", "figure", "slope", "standard_error"])


def coverage(rows: pd.DataFrame) -> pd.DataFrame:
    """Repetitions, missed intervals and their share, by specimen, rule and quantity."""
    part = rows[rows.part == "coverage"]
    keys = ["specimen", "estimator", "figure"]
    cells = part.groupby(keys, sort=False)[["repetitions", "below", "above"]].sum().reset_index()
    cells["missed"] = cells.below + cells.above
    cells["coverage"] = 1 - cells.missed / cells.repetitions
    return cells


def pooled_coverage(rows: pd.DataFrame) -> tuple[float, float]:
    """Coverage of all intervals together, and at most its standard error if it is 95%.

    The rules of a specimen share their samples: the error is that of one rule and quantity per specimen.
    """
    cells = coverage(rows)
    samples = cells.groupby("specimen").repetitions.first().sum()
    found = 1 - cells.missed.sum() / cells.repetitions.sum()
    return float(found), math.sqrt(LEVEL * (1 - LEVEL) / float(samples))


def statements(rows: pd.DataFrame) -> pd.DataFrame:
    """All that the samples could contradict: part, specimen, estimator, quantity and z-score.

    A quantity of the agreement that rests on too few groups (``agreement.ENOUGH``) is none of it.
    """
    keys = ["part", "specimen", "estimator", "figure", "z"]
    direct = rows[rows.part.isin(["agreement", "devices", "detection"]) & rows.repetitions.gt(0)][keys]
    direct = direct[direct.z.notna() | (direct.part != "agreement")]
    rates = slopes(rows).assign(part="error")
    rates["z"] = (rates.slope + 0.5) / rates.standard_error
    cells = coverage(rows).assign(part="coverage")
    counts = zip(cells.missed, cells.repetitions, strict=True)
    cells["z"] = [-binomial_score(int(missed), int(trials), 1 - LEVEL) for missed, trials in counts]
    return pd.concat([direct, rates[keys], cells[keys]], ignore_index=True)


def contradictions(rows: pd.DataFrame) -> pd.DataFrame:
    """Statements whose z-score is beyond the bound, or is none."""
    made = statements(rows)
    return made[~(made.z.abs() <= reach(len(made)))]
