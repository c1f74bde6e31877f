r"""The exact path from a start to the best policy, and what a rule's gradient is along it.

Along the gradient flow, at arc length s: the policy, J, ``g = grad J``, ``H`` the negative Hessian of J; and
of every rule the covariance ``Sigma`` of the gradient of one group whose prompt is drawn,

.. math:: \Sigma = E_x \mathrm{Cov}(g \mid x) + \mathrm{Cov}_x(E[g \mid x]) .
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from maxpo_lab import RewardLevels
from maxpo_lab.core.arrays import Float
from maxpo_lab.moments import Moments
from maxpo_lab.moments.exact import moments_under
from maxpo_lab.rules import Rule

from ...trainer import World, objective
from .subjects import AGAIN, PLANTED, REMEMBERING, noisier, remembered
from .worlds import Subject

#: Points of a path, and of its search: closer together than anything on it changes.
POINTS, FINE = 12, 400
#: The flow ends where what is left to gain, ``|g|^2 / (2 curvature)``, is this share of what was gained.
LEFT = 1e-3


@dataclass(frozen=True, eq=False)
class Path:
    """Points of the gradient flow: parameters (N, d), J and arc length (N,), gradients and H (N, d, d).

    ``surface`` is J and its gradient at any parameters, (M, d) to (M,) and (M, d).
    """

    theta: Float
    objective: Float
    length: Float
    gradient: Float
    curvature: Float
    surface: Callable[[Float], tuple[Float, Float]]

    @property
    def slope(self) -> Float:
        """``|g|``, (N,)."""
        return np.asarray(np.linalg.norm(self.gradient, axis=-1))

    def curved(self) -> Float:
        """``g' H g``, (N,)."""
        return np.asarray(np.einsum("ni,nij,nj->n", self.gradient, self.curvature, self.gradient))

    def sharpest(self) -> float:
        """The largest eigenvalue of H anywhere on the path."""
        return float(np.linalg.eigvalsh(self.curvature)[:, -1].max())


def exact_path(world: World, k: int, *, step: float, steps: int) -> Path:
    """The flow from the world's start, in steps of the exact gradient, thinned to points even in J's rise.

    It ends after ``steps``, or where the last tenth of them had less than ``LEFT`` of the rise.
    """
    surface = partial(values_and_gradients, world, k)
    theta = world.start.numpy()
    (height,), (gradient,) = surface(theta[None])
    found, heights = [theta], [height]
    for _ in range(steps):
        theta = theta + step * gradient
        (height,), (gradient,) = surface(theta[None])
        found.append(theta)
        heights.append(height)
        back = max(1, len(heights) // 10)
        if len(heights) > 20 and heights[-1] - heights[-1 - back] < LEFT * (heights[-1] - heights[0]):
            break
    walked = np.stack(found)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(walked, axis=0), axis=1))])
    places = np.unique(np.searchsorted(length, np.linspace(0, length[-1], POINTS), side="left"))
    thinned = walked[np.minimum(places, len(walked) - 1)]
    values, gradients, curvatures = zip(*(derivatives(world, each, k) for each in thinned), strict=True)
    return Path(
        theta=thinned,
        objective=np.array(values),
        length=length[np.minimum(places, len(walked) - 1)],
        gradient=np.stack(gradients),
        curvature=np.stack(curvatures),
        surface=surface,
    )


def values_and_gradients(world: World, k: int, theta: Float) -> tuple[Float, Float]:
    """J_K and its gradient at policies (M, d): (M,) and (M, d)."""
    leaf = torch.tensor(theta, requires_grad=True)
    values = _objective(world, leaf, k)
    gradient = torch.autograd.grad(values.sum(), leaf)[0]
    return values.detach().numpy(), gradient.numpy()


def derivatives(world: World, theta: Float, k: int) -> tuple[float, Float, Float]:
    """J_K, its gradient, and its negative Hessian at one policy (d,)."""
    (value,), (gradient,) = values_and_gradients(world, k, theta[None])
    hessian = torch.autograd.functional.hessian(  # type: ignore[no-untyped-call]
        lambda leaf: _objective(world, leaf[None], k)[0], torch.from_numpy(theta)
    )
    return float(value), gradient, -hessian.numpy()


def _objective(world: World, theta: torch.Tensor, k: int) -> torch.Tensor:
    return objective(world.values, world.masses(theta[None]), k)[0]


@dataclass(frozen=True, eq=False)
class Noise:
    """A rule's gradient of one group along a path: its mean (N, d), and its covariance (N, d, d)."""

    mean: Float
    covariance: Float


def noises(
    subject: Subject, path: Path, names: Sequence[str], *, n: int, k: int, amount: float, reference: str
) -> dict[str, Noise]:
    """The noise of every rule along the path, exactly; of rules with a memory at fair histories."""
    found: dict[str, list[tuple[Float, Float]]] = {name: [] for name in names}
    for theta in path.theta:
        levels = subject.levels(theta)
        for name in names:
            given: str | Rule = noisier(reference, amount) if name == PLANTED else name
            given = reference if name == AGAIN else given
            own = (
                _at_histories(levels, name, n=n, k=k)
                if name in REMEMBERING
                else [[each] for each in _moments(levels, given, n=n, k=k)]
            )
            found[name].append(_of_drawn_prompts(own))
    return {
        name: Noise(np.stack([mean for mean, _ in each]), np.stack([covariance for _, covariance in each]))
        for name, each in found.items()
    }


def noise_at(subject: Subject, theta: Float, rule: str | Rule, *, n: int, k: int) -> tuple[Float, Float]:
    """Mean (d,) and covariance (d, d) of the gradient of a group whose prompt is drawn, without memory."""
    return _of_drawn_prompts([[each] for each in _moments(subject.levels(theta), rule, n=n, k=k)])


def planted_amount(subject: Subject, reference: str, ratio: float, *, n: int, k: int) -> float:
    """The amount of noise with which the planted rule has ``ratio`` times the reference's trace at the start.

    The trace is a quadratic in the amount: three exact traces have it. The root is the positive one.
    """
    start = subject.world.start.numpy()

    def trace(amount: float) -> float:
        return float(np.trace(noise_at(subject, start, noisier(reference, amount), n=n, k=k)[1]))

    minus, none, plus = (trace(amount) for amount in (-1.0, 0.0, 1.0))
    square, linear = (plus + minus) / 2 - none, (plus - minus) / 2
    return float((-linear + np.sqrt(linear**2 + 4 * square * (ratio - 1) * none)) / (2 * square))


def _moments(levels: Sequence[RewardLevels], rule: str | Rule, *, n: int, k: int) -> list[Moments]:
    """Of every prompt, those of the same reward levels together."""
    alike: dict[bytes, list[int]] = {}
    for place, each in enumerate(levels):
        alike.setdefault(each.values.tobytes(), []).append(place)
    found: dict[int, Moments] = {}
    for places in alike.values():
        own = moments_under([levels[place] for place in places], rule, n=n, k=k, covariance=True)
        found |= zip(places, own, strict=True)
    return [found[place] for place in range(len(levels))]


def _at_histories(levels: Sequence[RewardLevels], name: str, *, n: int, k: int) -> list[list[Moments]]:
    return [
        [
            moments_under([each], rule, n=n, k=k, covariance=True)[0]
            for rule in remembered(name, each.probabilities, each.values)
        ]
        for each in levels
    ]


def _of_drawn_prompts(own: Sequence[Sequence[Moments]]) -> tuple[Float, Float]:
    """Mean and covariance of the gradient of a group whose prompt is drawn, and its history too."""
    means = np.stack([[each.mean for each in prompt] for prompt in own])
    covariances = [_covariance(each) for prompt in own for each in prompt]
    flat = means.reshape(-1, means.shape[-1])
    centre = flat - flat.mean(axis=0)
    return flat.mean(axis=0), np.mean(covariances, axis=0) + centre.T @ centre / len(flat)


def _covariance(moments: Moments) -> Float:
    if moments.covariance is None:
        raise ValueError("covariances were not asked for")
    return moments.covariance
