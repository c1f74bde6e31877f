"""The bias of a batch's gradient at P = 2, 4, 8, ..., and what of it comes back through the batch.

The prompts are a third each hard, medium and easy, drawn. With ``G(P)`` the mean gradient of the batch, the
steps ``|G(2P) - G(P)|`` tell the order in P; with it ``G(inf)`` is extrapolated from the last two sizes.
``G(P) - G(inf)`` is the bias through the batch; ``G(inf)`` against the exact gradient is that of the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import get_args

import numpy as np

from ... import rules
from ...core.arrays import EPS, Float
from ...estimators import BatchEstimator
from ...estimators.batch import Statistic
from ...moments import BatchMoments, batch_moments, side_by_side
from ...moments.batches.result import Method
from ...objectives import Objective, VectorObjective
from ...policies.levels import RewardLevels
from ..decide.policies import SUCCESS, reference_policy

#: Prompts of the batches that are measured.
SIZES = (2, 4, 8, 16, 32, 64)
#: More of them, for the order in P, where they are exact and cost little.
_FAR = (128, 256)
#: Draws of the other prompts where nothing is exact, of the catalogue's rules and of a user's.
_DRAWS, _DRAWS_OF_CALLABLES = 512, 64
#: Prompts of the largest batch of a user's rule that is not found by a quadrature, which takes few calls.
_LARGEST_CALLED = 32
#: The same of any rule of rows.
_LARGEST_OF_ROWS = 8
#: An order below this is none, and steps that are smaller than this share of the first are rounding.
_NO_ORDER, _ROUNDING = 0.2, 1e-9
#: Steps that an order is fitted to, and how far from a whole number it may be to be taken for it.
_FITTED, _WHOLE = 3, 0.35


@dataclass(frozen=True, slots=True)
class AtSize:
    """The gradient of a batch of ``size`` prompts, drawn from a hard, a medium and an easy one.

    Attributes
    ----------
    relative_bias, scale, direction_error
        Of the mean gradient against the exact one, as in ``BatchMoments``.
    weights
        What the rule multiplies the gradient of each prompt by, in the order of ``SUCCESS``.
    through
        ``|G(P) - G(inf)| / |grad J|``: the bias through the batch; None where there is no limit.
    error
        Standard error of the mean gradient, relative to the exact one; None where all is exact.
    dead
        Chance of a batch without any advantage.
    method
        How it was found, see ``BatchMoments``.
    """

    size: int
    relative_bias: float
    scale: float
    direction_error: float
    weights: tuple[float, ...]
    through: float | None
    error: float | None
    dead: float
    method: Method


@dataclass(frozen=True, slots=True)
class Limit:
    """The rule at large P, extrapolated: its gradient against the exact one, as in ``AtSize``."""

    relative_bias: float
    scale: float
    direction_error: float
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class OverSizes:
    """What is measured over P.

    Attributes
    ----------
    statistic
        How prompts meet on 0/1 rewards in the largest batch, as far as moments know; None: in another way.
    order
        s of ``P^-s``, by which the bias through the batch falls, fitted to the last steps; a whole number
        where it is near one. None where there is none to be seen.
    vanishes
        Whether it falls; None where nothing is seen of it: there is none, or less than is resolved.
    limit
        The rule at large P; None where the bias does not vanish.
    """

    rows: tuple[AtSize, ...]
    statistic: Statistic | None
    order: float | None
    vanishes: bool | None
    limit: Limit | None


def over_sizes(
    rule: rules.Rule,
    *,
    n: int,
    k: int,
    target: Objective | VectorObjective,
    extra: int | None = None,
    prompts: Sequence[RewardLevels] = (),
) -> OverSizes:
    """Measure a rule at all sizes, and at one more. Raises the errors of ``batch_moments``.

    ``prompts``: others than those of one right answer in ten, in the order of ``SUCCESS``, of rows by number:
    a sum of numbers is nothing there, and batches beyond ``_LARGEST_OF_ROWS`` are measured by quadrature.
    """
    of_rows = bool(prompts)
    if not prompts:
        prompts = [reference_policy(success, "one", np.array([0.0, 1.0])) for success in SUCCESS.values()]
    prompts = side_by_side(prompts)
    sizes = [size for size in SIZES if not isinstance(rule, BatchEstimator) or not rule.why_not_batch(size)]
    every: list[Statistic] = ["advantage_rms"] if of_rows else [*get_args(Statistic)]
    ways = [*every]
    many = isinstance(rule, BatchEstimator) and not of_rows
    largest, draws = (
        (_LARGEST_OF_ROWS if of_rows else _LARGEST_CALLED),
        (_DRAWS if many else _DRAWS_OF_CALLABLES),
    )
    found: list[tuple[BatchMoments, Statistic | None]] = []
    for size in sizes:
        found.append(_moments(rule, prompts, ways, n=n, k=k, target=target, size=size, draws=draws))
        cheap = many or found[-1][0].method == "quadrature"
        if size >= largest and not cheap:
            break
    sizes = sizes[: len(found)]
    if found[-1][0].method == "quadrature" or (many and found[-1][1]):
        sizes += _FAR
        found += [
            _moments(rule, prompts, ways, n=n, k=k, target=target, size=size, draws=draws) for size in _FAR
        ]
    eps = rules.precision_of(rule).eps
    order, vanishes, last = _order([each for each, _ in found], eps)
    limit = None if last is None else _against(last, found[0][0], prompts)
    statistic = found[-1][1]
    if extra is not None and extra not in sizes:
        sizes.append(extra)
        ways = [*every]  # what holds in small batches is another rule
        found.append(_moments(rule, prompts, ways, n=n, k=k, target=target, size=extra, draws=draws))
        if not _equal(found[-1][0].mean, found[-2][0].mean, eps):
            order, vanishes, limit, last, statistic = None, None, None, None, found[-1][1]
    rows = tuple(_row(size, each, last) for size, (each, _) in zip(sizes, found, strict=True))
    return OverSizes(rows, statistic, order, vanishes, limit)


def of_statistic(rule: rules.Rule, statistic: Statistic | None) -> BatchEstimator | rules.BatchRule:
    """The rule, said to meet in this way."""
    if isinstance(rule, BatchEstimator):
        return replace(rule, statistic=statistic)
    return rules.batch_rule(rule, statistic=statistic)


def _moments(
    rule: rules.Rule,
    prompts: Sequence[RewardLevels],
    ways: list[Statistic],
    *,
    n: int,
    k: int,
    target: Objective | VectorObjective,
    size: int,
    draws: int,
) -> tuple[BatchMoments, Statistic | None]:
    """By the first statistic that the rule keeps to, else in any way; those that it does not are dropped."""
    for statistic in tuple(ways):
        try:
            said = of_statistic(rule, statistic)
            return batch_moments(said, prompts, n=n, k=k, batch=size, target=target), statistic
        except rules.CoupledRowsError:
            ways.remove(statistic)
    said = of_statistic(rule, None)
    return batch_moments(said, prompts, n=n, k=k, batch=size, target=target, draws=draws), None


def _order(found: Sequence[BatchMoments], eps: float) -> tuple[float | None, bool | None, Float | None]:
    """The order in P, whether the bias vanishes, and the mean gradient at large P."""
    means = [each.mean for each in found]
    steps = np.array([np.linalg.norm(b - a) for a, b in pairwise(means)])
    size = max(float(np.linalg.norm(mean)) for mean in means)
    noise = np.array([4 * each.standard_errors.mean if each.standard_errors else 0.0 for each in found[1:]])
    seen = steps > np.maximum(noise, max(_ROUNDING, 64 * eps) * size)
    count = int(np.argmin(seen)) if not seen.all() else len(seen)  # up to where noise hides them
    if count < 2:
        return None, None, means[-1]
    used = np.arange(count)[-_FITTED:]
    order = float(-np.polyfit(used, np.log2(steps[used]), 1)[0])
    if order < _NO_ORDER:
        return order, False, None
    order = round(order) if abs(order - round(order)) < _WHOLE and round(order) else order
    left = 1 / (2.0**order - 1) if count == len(steps) else 0.0
    return float(order), True, means[-1] + left * (means[-1] - means[-2])


def _equal(a: Float, b: Float, eps: float) -> bool:
    return bool(np.linalg.norm(a - b) <= max(_ROUNDING, 64 * eps) * np.linalg.norm(a))


def _row(size: int, each: BatchMoments, limit: Float | None) -> AtSize:
    length = float(np.linalg.norm(each.gradient))
    off = None if limit is None else float(np.linalg.norm(each.mean - limit)) / length
    return AtSize(
        size=size,
        relative_bias=each.relative_bias,
        scale=each.scale,
        direction_error=each.direction_error,
        weights=tuple(each.weights.tolist()),
        through=off,
        error=each.standard_errors.mean / length if each.standard_errors else None,
        dead=each.dead_batch_probability,
        method=each.method,
    )


def _against(mean: Float, any_size: BatchMoments, prompts: Sequence[RewardLevels]) -> Limit:
    gradient = any_size.gradient
    length, size = float(np.linalg.norm(gradient)), float(np.linalg.norm(mean))
    parts = np.split(mean, len(prompts))  # side by side: equal numbers of parameters
    exact = np.split(gradient, len(prompts))
    cosine = float(mean @ gradient) / (length * size) if size else np.nan
    return Limit(
        relative_bias=float(np.linalg.norm(mean - gradient)) / length,
        scale=float(mean @ gradient) / length**2,
        direction_error=float(np.arccos(np.clip(cosine, -1.0, 1.0))) if abs(1 - cosine) > 8 * EPS else 0.0,
        weights=tuple(float(a @ b / (b @ b)) for a, b in zip(parts, exact, strict=True)),
    )
