r"""What exact moments say of training time: where the cloud of all runs is, step by step.

The runs of a rule at one step size are a cloud in the space of the parameters, here a normal one. Its sigma
points stand for it (third-degree cubature: Arasaratnam and Haykin 2009, IEEE TAC 54, 1254). At these J and
its gradient g are exact; every point takes the step of the optimiser, and the exact covariance of a step's
gradient is added,

.. math:: \theta_j' = \theta_j + \eta\, d(g(\theta_j)), \qquad
          S' = \mathrm{Cov}_j(\theta_j') + B \Sigma B^T / P, \qquad
          E J \approx \mathrm{mean}_j\, J(\theta_j),

d the direction of the optimiser and B what it makes of noise in a gradient. So J may bend as it does, Adam
leaves the path of the gradient flow, and its running means are part of the state. Only Sigma, and the bias of
a rule that has one, are looked up: at the point of the exact path that has the same J.

Where steps are many and small this is the diffusion limit, in which ``Sigma_B = c Sigma_A`` makes B with
step size eta / c repeat A's curve c times as slowly under SGD: the least time over eta has the ratio c. Where
few large steps are best, the signal's own curvature takes its share, and the ratio is nearer to 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np

from maxpo_lab.core.arrays import Bool, Float

from ...trainer import SGD, Adam
from .path import Noise, Path

#: Longest prediction: what takes longer is infinite.
LONGEST = 6000
#: Sizes of a search in a bowl, around the best so far, which goes on while that is the first or the last.
WIDE, CLOSE = 2.0 ** np.linspace(-1.0, 1.0, 5), 2.0 ** np.linspace(-0.375, 0.375, 7)
#: Searches until no step size is said to arrive.
SEARCHES = 24
#: Sizes of a search elsewhere: decades around the curvature's own, and then closer around the best.
COARSE, FINE = np.geomspace(1e-3, 3.0, 28), np.geomspace(0.5, 2.0, 21)
#: A run is not waited for when it takes so many times as long as the fastest of its search,
FACTOR, MORE = 2.5, 20
#: or has risen by less than this share of the way in the latter half of its moves, at one of these.
STALLED, LOOKS = 2e-2, 64 * 2 ** np.arange(7)
#: Steps of SGD are taken together up to this share of what the largest curvature allows; half of it is lost.
SHORT = 0.03


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

    ``bowl``: whether the path leads into an optimum in which the cloud stays, see above; else the gain of a
    step is that of the expansion on the path, ``eta |g|^2 - eta^2 (g'Hg + tr(H Sigma)/P) / 2``.
    """

    groups: int
    target: float
    decay: float = 0.0
    bowl: bool = True
    optimiser: SGD | Adam = field(default_factory=SGD)


def forecast(path: Path, noise: Noise, run: Run) -> Forecast:
    """Steps until E J is the target, around the best step size."""
    if not run.bowl:
        found = steps_at(path, noise, COARSE / path.sharpest(), run)
        return steps_at(path, noise, FINE * found.best[0], run)
    size = _guess(path, noise, run)
    for _ in range(SEARCHES):
        found = steps_at(path, noise, size * WIDE, run)
        place = int(np.argmin(found.steps))
        if np.isinf(found.steps[place]):
            size = float(found.sizes[0] / 4)
        elif 0 < place < len(WIDE) - 1:
            break
        else:
            size = float(found.sizes[place])
    return steps_at(path, noise, found.best[0] * CLOSE, run)


def _guess(path: Path, noise: Noise, run: Run) -> float:
    """Less than the expansion's best where J is halfway to the target, and than what could still arrive.

    The cloud of a constant step eta hangs about ``eta tr(Sigma) / (4 P)`` below the optimum in a bowl: where
    that is more than lies between target and optimum, none arrives. In Adam's scale if it walks.
    """
    half = (path.objective[0] + run.target) / 2
    covariance = noise.covariance / run.groups
    bent = path.curved() + np.einsum("nij,nji->n", path.curvature, covariance)
    traces = np.einsum("nii->n", covariance)
    slope, bent, trace = (
        float(np.interp(half, path.objective, each)) for each in (path.slope**2, bent, traces)
    )
    size = 2 * (path.objective[-1] - run.target) / np.interp(run.target, path.objective, traces)
    if bent > 0:
        size = min(size, slope / bent)
    if isinstance(run.optimiser, Adam):
        size *= np.sqrt((slope + trace) / path.theta.shape[1])
    return float(size)


def steps_at(path: Path, noise: Noise, sizes: Float, run: Run) -> Forecast:
    """Steps until E J is the target at these step sizes, interpolated.

    In a bowl at the cost of ``2 d`` gradients of J a step and size, and twice as many under Adam. What takes
    more than ``FACTOR`` times as long as the fastest, or stalls, is infinite.
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
    """The cloud, step by step."""
    order = np.argsort(path.objective)
    heights, covariances = path.objective[order], noise.covariance[order] / run.groups
    biases = (noise.mean - path.gradient)[order]
    reached, error = np.full(len(sizes), np.inf), np.full(len(sizes), np.nan)
    own, cloud = np.arange(len(sizes)), Cloud.at(path.theta[0], len(sizes), run.optimiser)
    before = earlier = np.full(len(sizes), path.objective[0])
    together = _together(path, sizes, run)
    for move, step in enumerate(range(0, LONGEST, together)):
        points = cloud.points()
        value, gradient = path.surface(points[..., : cloud.d].reshape(-1, cloud.d))
        value, gradient = value.reshape(points.shape[:2]), gradient.reshape(*points.shape[:2], cloud.d)
        mean = value.mean(axis=1)
        there = mean >= run.target
        rise = np.where(there, mean - before, 1.0)
        reached[own[there]] = step + together * ((run.target - before) / rise - 1)[there]
        error[own[there]] = together * (value.std(axis=1) / rise)[there] / reached[own[there]]
        going = ~there
        if move in LOOKS:
            going &= mean - earlier > STALLED * (run.target - path.objective[0])
            earlier = mean
        if not going.any() or step > FACTOR * reached.min() + MORE:
            break
        own, cloud, before, earlier = own[going], cloud.kept(going), mean[going], earlier[going]
        size = sizes[own] / (1 + run.decay * sizes[own] * step)
        covariance, bias = (_between(heights, each, before) for each in (covariances, biases))
        pulls = gradient[going] + bias[:, None]
        cloud = cloud.moved(points[going], pulls, covariance / together, together * size)
    return Forecast(sizes, reached, error)


def _together(path: Path, sizes: Float, run: Run) -> int:
    """Steps that are taken as one of their summed size, with as much noise: Adam's, each by itself."""
    if isinstance(run.optimiser, Adam):
        return 1
    return max(1, int(SHORT / (path.sharpest() * sizes.max())))


@dataclass(frozen=True, eq=False)
class Cloud:
    """Normal laws of the state, for every step size: mean (E, s) and covariance (E, s, s).

    The state is theta, and under Adam its running mean of gradients too, s = d or 2 d. ``square`` (E, d) is
    the expected running mean of Adam's squares, which is an average over so many steps that it hardly strays.
    """

    d: int
    optimiser: SGD | Adam
    mean: Float
    covariance: Float
    square: Float
    step: int = 0

    @classmethod
    def at(cls, theta: Float, count: int, optimiser: SGD | Adam) -> Self:
        """All runs at one point, for so many step sizes."""
        d = len(theta)
        width = 2 * d if isinstance(optimiser, Adam) else d
        mean = np.zeros((count, width))
        mean[:, :d] = theta
        return cls(d, optimiser, mean, np.zeros((count, width, width)), np.zeros((count, d)))

    def kept(self, which: Bool) -> Self:
        """The laws of some of the step sizes."""
        return type(self)(
            self.d,
            self.optimiser,
            self.mean[which],
            self.covariance[which],
            self.square[which],
            self.step,
        )

    def points(self) -> Float:
        """Two sigma points for each dimension, (E, 2 s, s): mean and covariance of all are the law's."""
        values, vectors = np.linalg.eigh(self.covariance)
        away = np.sqrt(self.mean.shape[1] * np.clip(values, 0.0, None))[:, None] * vectors
        sides = np.swapaxes(away, 1, 2)
        return np.asarray(self.mean[:, None] + np.concatenate([sides, -sides], axis=1))

    def moved(self, points: Float, gradient: Float, covariance: Float, size: Float) -> Self:
        """After a step at these sizes (E,), from gradients at the points and their noise's covariance."""
        d, step, square = self.d, self.step + 1, self.square
        theta, momentum = points[..., :d], points[..., d:]
        if isinstance(self.optimiser, Adam):
            one, two = self.optimiser.beta1, self.optimiser.beta2
            expected = np.mean(gradient**2, axis=1) + np.einsum("eii->ei", covariance)
            square = two * square + (1 - two) * expected
            size_of = np.sqrt(square / (1 - two**step)) + self.optimiser.eps
            momentum = one * momentum + (1 - one) * gradient
            gain = size[:, None] / size_of / (1 - one**step)
            made = np.concatenate([theta + gain[:, None] * momentum, momentum], axis=-1)
            entering = (1 - one) * np.concatenate([gain, np.ones_like(gain)], axis=-1)
            noisy = np.tile(covariance, (1, 2, 2)) * entering[:, :, None] * entering[:, None, :]
        else:
            made = theta + size[:, None, None] * gradient
            noisy = size[:, None, None] ** 2 * covariance
        mean = made.mean(axis=1)
        away = made - mean[:, None]
        spread = np.einsum("epi,epj->eij", away, away) / made.shape[1] + noisy
        return type(self)(d, self.optimiser, mean, spread, square, step)


def _between(heights: Float, values: Float, at: Float) -> Float:
    """Values (N, ...) at rising heights (N,), at others (E,): linearly between them, and none beyond."""
    at = np.clip(at, heights[0], heights[-1])
    place = np.clip(np.searchsorted(heights, at, side="right") - 1, 0, len(heights) - 2)
    share = (at - heights[place]) / (heights[place + 1] - heights[place])
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray((1 - share) * values[place] + share * values[place + 1])
