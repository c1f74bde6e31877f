"""The row that all parts of the study share."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One quantity of one rule under one policy; what a part does not use is NaN or 0.

    Attributes
    ----------
    part
        ``agreement``, ``error``, ``coverage``, ``devices`` or ``detection``.
    groups, repetitions
        Groups of a sample, and samples; 0 where nothing was sampled.
    exact, sampled, standard_error, z
        The quantity, its estimate, the estimate's standard error, and how many of them lie between the two.
        No z-score where the quantity rests on too few groups to be judged. For several samples their mean;
        for ``devices`` the quantity on ``device`` less that on the CPU.
    error, error_expected
        Root mean square relative error of the samples, and what it should be.
    below, above
        Samples whose 95% interval lies wholly below or above the exact value.
    needed, seen
        Groups at which the scale is 3 standard errors from 1, and how many samples of so many had it so. For
        ``scale_one_percent`` the groups for a bias of 1 %, which the rule does not have.
    """

    part: str
    specimen: str
    success: float
    n: int
    k: int
    estimator: str
    figure: str
    groups: int
    repetitions: int
    device: str = "cpu"
    exact: float = math.nan
    sampled: float = math.nan
    standard_error: float = math.nan
    z: float = math.nan
    error: float = math.nan
    error_expected: float = math.nan
    below: int = 0
    above: int = 0
    needed: float = math.nan
    seen: int = 0
