"""The cells and rows of the study, and what a history's rewards may come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import nan

SEED = 260606080

#: (arms, good arms).
SPACES: Mapping[str, tuple[int, int]] = {"100 of 1,000": (1000, 100), "1 of 10": (10, 1)}
MANY, ONE = SPACES

#: The success rate of the history, from the policy's p.
RATES: Mapping[str, Callable[[float], float]] = {
    "fair": lambda p: p,
    "x 0.7": lambda p: 0.7 * p,
    "x 2": lambda p: min(2 * p, 1.0),
    "1 - p": lambda p: 1 - p,
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of a part of the study.

    ``part`` is ``"curve"`` (against the success rate, at ``points`` of it and more), ``"batch"``
    (``prompts`` of log-uniform difficulty, ``history`` one of ``RATES``), ``"path"`` (a prompt of a
    specimen, ``space``, met ``visits`` times on its way from 1% to 90%), or ``"memory"`` (``prompts`` as in a
    batch, each met ``visits`` times before, of which ``points`` histories are drawn). ``m`` is how many
    earlier rewards there are. What a part does not have is 0 or empty.
    """

    part: str
    n: int
    k: int
    m: int = 0
    space: str = MANY
    history: str = ""
    points: int = 0
    prompts: int = 0
    visits: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One rule in one cell.

    ``efficiency`` is the floor over ``tr Cov / scale^2``, of a batch that of its gradient within prompts.
    ``scale`` is ``f(p)`` over that of pass@K, on average over histories; ``believed`` is lambda, the share of
    the history in the baseline. ``error`` is the standard error of the efficiency, 0 where it is exact.

    In part ``"memory"`` all is of one prompt of the batch: ``scale`` is what its gradient is multiplied by,
    and ``error`` the standard error of that; ``bias`` is that of the batch's gradient, relative to it, and
    ``angle`` between the two in radians.
    """

    part: str
    space: str
    n: int
    k: int
    m: int
    history: str
    success: float
    prompts: int
    visits: int
    rule: str
    efficiency: float
    error: float
    scale: float
    believed: float
    bias: float = nan
    angle: float = nan

    def of_batch(self, bias: float, angle: float) -> Row:
        """With what is found of the whole batch."""
        return replace(self, bias=bias, angle=angle)
