"""Means over prompts as a sample, with their errors, whether prompts stand alone or in clusters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...core.arrays import Float, Int


class Summary(NamedTuple):
    """Mean, standard error, independent units and prompts of each row of values, (K,) each.

    The error is NaN where there are fewer than two units. ``units`` are the prompts; of clusters of unequal
    size the number of equal ones that would weigh as much, ``P^2 / sum_c P_c^2``.
    """

    mean: Float
    error: Float
    units: Float
    prompts: Int


def summarise(values: Float, clusters: Int | None) -> Summary:
    r"""Mean over prompts of values (K, P), NaN where a prompt takes no part.

    The variance of the mean is ``sum_x (v_x - mean)^2 / (P (P-1))``, unbiased for prompts drawn independently
    whatever they are; of C clusters of prompts, drawn as wholes,

    .. math:: \frac{C}{C-1} \frac{1}{P^2} \sum_c \Big(\sum_{x \in c} (v_x - \bar v)\Big)^2 ,

    which is unbiased where they are equally large. ``clusters`` (P,): the number of each prompt's.
    """
    rows = [_row(row, clusters) for row in values]
    mean, error, units, prompts = (np.array(each) for each in zip(*rows, strict=True))
    return Summary(mean, error, units.astype(np.float64), prompts.astype(np.intp))


def _row(row: Float, clusters: Int | None) -> tuple[float, float, float, int]:
    used = ~np.isnan(row)
    if not used.all():
        row, clusters = row[used], None if clusters is None else clusters[used]
    if not len(row):
        return np.nan, np.nan, 0.0, 0
    deviation = row - row[0]  # so that equal values have their very mean
    shift = float(deviation.mean())
    mean = float(row[0]) + shift
    deviation -= shift
    if clusters is None:
        count, units, square = len(row), float(len(row)), float(deviation @ deviation)
    else:
        _, code, size = np.unique(clusters, return_inverse=True, return_counts=True)
        sums = np.bincount(code, weights=deviation)
        count, units, square = len(size), len(row) ** 2 / float(size @ size), float(sums @ sums)
    error = np.sqrt(square * count / (count - 1)) / len(row) if count > 1 else np.nan
    return mean, float(error), units, len(row)
