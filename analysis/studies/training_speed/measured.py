"""Times to a target from curves, at each rule's own best step size, and their ratios with intervals.

A time is that at which the mean over seeds of the exact J passes the target, between the steps that were
evaluated linearly. Gain a step is ``a eta - b eta^2`` where noise is quick and less where it is slow, so
1/(eta time) is fitted by a parabola of the step size. Half of the seeds choose its best size and the other
half say how fast the rule is there, and the other way round: no seed is used to choose what it reports. The
bootstrap draws seeds again, the same for both rules, and does all of this anew, the choice too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from maxpo_lab.core.arrays import Float

from ...measure.power import smallest_seen

RESAMPLES, SEED = 600, 260606080
#: A curve is fitted to the sizes at which a rule takes at most so many times its least time.
NEAR = 2.0


@dataclass(frozen=True, eq=False)
class Curves:
    """Exact J of a rule's runs: sizes (E,), steps (T,), values (E, seeds, T)."""

    sizes: Float
    steps: Float
    values: Float

    @property
    def seeds(self) -> int:
        """How many runs there are of each size."""
        return int(self.values.shape[1])


@dataclass(frozen=True)
class Ratio:
    """A ratio of times with its 95 % interval, and the standard error of its logarithm.

    ``resolvable`` is the smallest ratio above 1 that such an error sees in four of five repetitions.
    """

    estimate: float
    low: float
    high: float
    error: float

    @property
    def resolvable(self) -> float:
        """``exp(2.8 standard errors)``: the logarithm is near normal."""
        return math.exp(smallest_seen(self.error))


def times(curves: Curves, target: float, weights: Float) -> Float:
    """Steps until the weighted mean over seeds is at the target: weights (R, seeds) to (R, E).

    Infinite where it never is. A run that diverged counts as the lowest value of the others' starts.
    """
    values = np.where(np.isfinite(curves.values), curves.values, curves.values[:, :, :1].min())
    mean = np.einsum("rs,est->ret", weights / weights.sum(axis=1, keepdims=True), values)
    there = mean >= target
    first = np.maximum(there.argmax(axis=-1), 1)
    high, low = (np.take_along_axis(mean, each[..., None], axis=-1)[..., 0] for each in (first, first - 1))
    share = np.clip((target - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    found = curves.steps[first - 1] + share * (curves.steps[first] - curves.steps[first - 1])
    return np.where(there.any(axis=-1), found, np.inf)


def fitted(sizes: Float, steps: Float) -> tuple[Float, Float, Float]:
    """Coefficients (R, 3) of 1/(size time) as a parabola of the size, highest first, and the sizes fitted.

    By least squares over the sizes at which a rule takes at most ``NEAR`` times its least time, from the
    first to the last of these, (R,) each; NaN where fewer than three do.
    """
    near = np.isfinite(steps) & (steps <= NEAR * steps.min(axis=1, keepdims=True))
    powers = near[..., None] * np.stack([sizes**2, sizes, np.ones_like(sizes)], axis=-1)
    normal = np.einsum("rei,rej->rij", powers, powers)
    right = np.einsum("rei,re->ri", powers, np.where(near, 1 / (sizes * steps), 0.0))
    enough = near.sum(axis=1) >= 3
    normal[~enough] = np.eye(3)
    found = np.where(enough[:, None], np.linalg.solve(normal, right[..., None])[..., 0], np.nan)
    return found, np.where(near, sizes, np.inf).min(axis=1), np.where(near, sizes, 0.0).max(axis=1)


def at_best(curves: Curves, target: float, weights: Float) -> tuple[Float, Float]:
    """Time and step size of a rule at its own best, (R,) each, by halves of the seeds; NaN: not known.

    A best that lies outside of the sizes of the other half's fit is taken to be at their end.
    """
    halves = np.arange(curves.seeds) % 2 == np.arange(2)[:, None]
    fits = [_of_half(curves, target, weights * half) for half in halves]
    sizes = [_top(*fit) for fit in fits]
    logs = []
    for (fit, low, high), size in zip(fits, reversed(sizes), strict=True):
        at = np.clip(size, low, high)
        rate = at * (fit[:, 0] * at**2 + fit[:, 1] * at + fit[:, 2])
        with np.errstate(invalid="ignore"):
            logs.append(-np.log(np.where(rate > 0, rate, np.nan)))
    return np.exp(np.mean(logs, axis=0)), np.exp(np.mean(np.log(sizes), axis=0))


def _of_half(curves: Curves, target: float, weights: Float) -> tuple[Float, Float, Float]:
    """Fits to the weighted runs, NaN where none of them was drawn."""
    alive = weights.sum(axis=1) > 0
    fit, low, high = (np.full((len(weights), *shape), np.nan) for shape in ((3,), (), ()))
    fit[alive], low[alive], high[alive] = fitted(curves.sizes, times(curves, target, weights[alive]))
    return fit, low, high


def _top(fit: Float, low: Float, high: Float) -> Float:
    """The size between low and high at which the fitted 1/time is largest, (R,)."""
    wide = np.where(high > low, high - low, np.nan)
    sizes = np.where(np.isfinite(low), low, np.nan)[:, None] + wide[:, None] * np.linspace(0.0, 1.0, 101)
    rates = sizes * (fit[:, :1] * sizes**2 + fit[:, 1:2] * sizes + fit[:, 2:])
    place = np.where(np.isfinite(rates), rates, -np.inf).argmax(axis=1)
    return np.asarray(np.take_along_axis(sizes, place[:, None], axis=1)[:, 0])


def resampled(seeds: int, *, stream: int) -> Float:
    """Weights of the seeds: all alike first, then how often each is drawn in every resample."""
    rng = np.random.default_rng([SEED, stream])
    drawn = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES).astype(np.float64)
    return np.concatenate([np.ones((1, seeds)), drawn])


def ratio(one: Float, other: Float) -> Ratio | None:
    """Of times of the sample and its resamples (R,): one over other, None where the sample has no time.

    Resamples without a time are left out; where more than one in twenty has none, nothing is said.
    """
    with np.errstate(invalid="ignore"):
        found = np.log(one) - np.log(other)
    kept = found[1:][np.isfinite(found[1:])]
    if not np.isfinite(found[0]) or len(kept) < 0.95 * (len(found) - 1):
        return None
    low, high = np.exp(np.quantile(kept, (0.025, 0.975)))
    return Ratio(float(np.exp(found[0])), float(low), float(high), float(kept.std()))
