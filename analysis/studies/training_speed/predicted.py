r"""What exact moments say of training time: the linear noise approximation of SGD along the exact path.

A run is where the noise-free one is, at arc length s of the exact path, plus a deviation of covariance S.
With step size eta, P groups a step, and g, H, Sigma there,

.. math:: s' = s + \eta \big( |g| - \tfrac12 \mathrm{tr}(\partial_s H\, S) \big), \qquad
          S' = (1 - \eta H) S (1 - \eta H) + \eta^2 \Sigma / P, \qquad
          E J \approx J(s) - \tfrac12 \mathrm{tr}(H S) .

Where steps are many and small this is the diffusion limit, in which ``Sigma_B = c Sigma_A`` makes B with
step size eta / c repeat A's curve c times as slowly: the least time over eta has the ratio c. Where few large
steps are best, the signal's own curvature takes its share, and the ratio is nearer to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maxpo_lab.core.arrays import Float

from .path import Noise, Path

#: Longest prediction: what takes longer is infinite.
LONGEST = 6000
#: Step sizes of a search: decades around the curvature's own, and then closer around the best.
COARSE, FINE = np.geomspace(1e-3, 3.0, 28), np.geomspace(0.5, 2.0, 21)


@dataclass(frozen=True, eq=False)
class Forecast:
    """Steps to the target by step size, (E,) each, infinite where it is not reached; and their spread.

    ``spread`` is the standard deviation of a single run's J at the target over the rise of E J in as many
    steps: about that of the logarithm of a run's time.
    """

    sizes: Float
    steps: Float
    spread: Float

    @property
    def best(self) -> tuple[float, float, float]:
        """The best step size, its steps and their spread; the steps are infinite where no size arrives."""
        place = int(np.argmin(self.steps))
        return float(self.sizes[place]), float(self.steps[place]), float(self.spread[place])


@dataclass(frozen=True, kw_only=True)
class Run:
    """Groups of a step, the J to reach, and how sizes go on: ``size / (1 + decay * size * step)`` at a step.

    ``bowl``: whether the path leads into an optimum in which deviations stay, and S is known; else the gain
    of a step is that of the expansion on the path, ``eta |g|^2 - eta^2 (g'Hg + tr(H Sigma)/P) / 2``.
    """

    groups: int
    target: float
    decay: float = 0.0
    bowl: bool = True


def forecast(path: Path, noise: Noise, run: Run) -> Forecast:
    """Steps until E J is the target, around the best step size."""
    largest = np.linalg.eigvalsh(path.curvature)[:, -1].max()
    found = steps_at(path, noise, COARSE / largest, run)
    return steps_at(path, noise, FINE * found.best[0], run)


def steps_at(path: Path, noise: Noise, sizes: Float, run: Run) -> Forecast:
    """Steps until E J is the target at these step sizes, interpolated; in a bowl at O(E d^3) a step.

    Runs that take more than three times as long as the fastest are not waited for.
    """
    return _in_a_bowl(path, noise, sizes, run) if run.bowl else _step_by_step(path, noise, sizes, run)


def _step_by_step(path: Path, noise: Noise, sizes: Float, run: Run) -> Forecast:
    """From the gain of a step at each J; spread by what the noise along g adds up to."""
    order = np.argsort(path.objective)
    heights = np.linspace(path.objective[0], run.target, 200)
    signal = np.sum(noise.mean * path.gradient, axis=-1)
    bent = np.einsum("nij,nji->n", path.curvature, noise.covariance) / run.groups
    bent += np.einsum("ni,nij,nj->n", noise.mean, path.curvature, noise.mean)
    along = np.einsum("ni,nij,nj->n", path.gradient, noise.covariance, path.gradient) / run.groups
    signal, bent, along = (
        np.interp(heights, path.objective[order], each[order]) for each in (signal, bent, along)
    )
    steps, spread = np.full(len(sizes), np.inf), np.full(len(sizes), np.nan)
    for i, first in enumerate(sizes):
        time, variance, gain = 0.0, 0.0, 1.0
        for place, rise in enumerate(np.diff(heights), start=1):
            size = first / (1 + run.decay * first * time)
            gain = size * signal[place] - 0.5 * size**2 * bent[place]
            if gain <= 0:
                break
            time += rise / gain
            variance += size**2 * along[place] * rise / gain
        if gain > 0:
            steps[i], spread[i] = time, np.sqrt(variance) / (gain * time)
    return Forecast(sizes, steps, spread)


def _in_a_bowl(path: Path, noise: Noise, sizes: Float, run: Run) -> Forecast:
    """The linear noise approximation, step by step."""
    groups, target, decay = run.groups, run.target, run.decay
    count, d = len(sizes), path.curvature.shape[-1]
    along, spread = np.zeros(count), np.zeros((count, d, d))
    tilt = np.gradient(path.curvature, path.length, axis=0)
    # Of an unbiased rule |g|; of another what it climbs along the path.
    climb = np.sum(noise.mean * path.gradient, axis=-1) / path.slope
    reached, error = np.full(count, np.inf), np.full(count, np.nan)
    before = np.full(count, path.objective[0])
    unit, open_ = np.eye(d), np.ones(count, dtype=bool)
    for step in range(LONGEST):
        size = sizes / (1 + decay * sizes * step)
        own = np.flatnonzero(open_)
        eta = size[own, None, None]
        drift, curvature, change, covariance = (
            _between(path.length, each, along[own])
            for each in (climb, path.curvature, tilt, noise.covariance)
        )
        drift -= 0.5 * np.einsum("eij,eji->e", change, spread[own])
        shrink = unit - eta * curvature
        spread[own] = shrink @ spread[own] @ shrink + eta**2 * covariance / groups
        along[own] = np.clip(along[own] + size[own] * drift, 0.0, path.length[-1])
        height, gradient, here = (
            _between(path.length, each, along[own])
            for each in (path.objective, path.gradient, path.curvature)
        )
        bent = here @ spread[own]
        value = height - 0.5 * np.einsum("eii->e", bent)
        there = value >= target
        rise = np.where(there, value - before[own], 1.0)
        reached[own[there]] = step + ((target - before[own]) / rise)[there]
        variance = np.einsum("ei,eij,ej->e", gradient, spread[own], gradient)
        variance += 0.5 * np.einsum("eij,eji->e", bent, bent)
        error[own[there]] = (np.sqrt(variance) / rise)[there] / reached[own[there]]
        before[own] = value
        lost = ~(value > path.objective[0] - 1.0)
        open_[own[there | lost]] = False
        if not open_.any() or step > 3 * np.min(reached) + 50:
            break
    return Forecast(sizes, reached, error)


def _between(length: Float, values: Float, at: Float) -> Float:
    """Values (N, ...) of points of a path at arc lengths (E,), linearly between them."""
    place = np.clip(np.searchsorted(length, at, side="right") - 1, 0, len(length) - 2)
    share = (at - length[place]) / (length[place + 1] - length[place])
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray((1 - share) * values[place] + share * values[place + 1])
