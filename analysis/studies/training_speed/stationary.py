r"""The loss that a constant step size leaves near an optimum: closed form, exact chain, and the trainer.

Deviations from an optimum inside have the stationary covariance

.. math:: S = (1 - \eta H) S (1 - \eta H) + \eta^2 \Sigma / P, \qquad
          J^* - E J \approx \tfrac12 \mathrm{tr}(H S),

exact as eta goes to 0. With one parameter a step is one of finitely many, whose chances are binomial: the
stationary law of the chain is solved on a grid, and says how good the closed form is at each eta.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.linalg import solve_discrete_lyapunov

from maxpo_lab import rules
from maxpo_lab.core.arrays import Float
from maxpo_lab.core.binomial import binomial
from maxpo_lab.integrations.schedules import KSteps

from ...trainer import SGD, Arm, World, train
from ...trainer.linear import LinearWorld
from .design import Cell
from .path import derivatives, noise_at
from .rows import Row
from .worlds import Subject

#: Group size, K, and groups a step, few enough that all steps can be listed.
N, K, GROUPS = 4, 2, 2
RULES = ("maxpo", "pkpo-loo1", "pkpo-s")
#: Step sizes over the inverse of the largest curvature.
SIZES = (0.02, 0.05, 0.1, 0.2, 0.4)
#: Points of the grid, and how many standard deviations it reaches.
GRID, REACH = 801, 12.0
#: Relaxation times of the slowest direction that are left out, and that are averaged over.
BURN, KEPT = 5.0, 15.0
#: Features of the three parameters: outcomes lie at the corners of a box with these sides.
SIDES = (1.0, 0.8, 0.6)


def opposed(sides: tuple[float, ...]) -> LinearWorld:
    """Two prompts for every side of a box: one is solved at one end of it, one at the other.

    Outcomes are the corners, the same for all prompts, so each side's two prompts pull its parameter in
    opposite directions, and the best policy for any K > 1 is the uniform one, parameters 0.
    """
    d = len(sides)
    corners = np.indices((2,) * d).reshape(d, -1).T
    rewards = np.concatenate([corners.T, 1 - corners.T]).astype(np.float64)
    features = np.broadcast_to((corners - 0.5) * np.array(sides), (2 * d, *corners.shape))
    return LinearWorld.of(features, rewards, np.zeros(d))


def measure(cell: Cell) -> list[Row]:
    """Excess loss by step size, of every rule."""
    sides = (1.0,) if cell.policy == "one parameter" else SIDES
    world = opposed(sides)
    return [row for rule in RULES for row in _rows(cell, world, rule)]


def _rows(cell: Cell, world: LinearWorld, rule: str) -> Iterator[Row]:
    best, _, curvature = derivatives(world, world.start.numpy(), K)
    covariance = noise_at(Subject(world, world.levels), world.start.numpy(), rule, n=N, k=K)[1]
    rates = np.linalg.eigvalsh(curvature)
    for share in SIZES:
        size = share / rates[-1]
        loss = closed_form(curvature, covariance / GROUPS, size)
        mean, error = simulated(world, rule, size, best, slowest=rates[0], seeds=cell.seeds)
        yield Row(
            kind="stationary",
            regime=cell.regime,
            policy=cell.policy,
            rule=rule,
            against="closed form",
            n=N,
            k=K,
            groups=GROUPS,
            seeds=cell.seeds,
            x=share,
            size=float(size),
            predicted=loss,
            exact=exact_chain(rule, float(size), scale=np.sqrt(2 * loss / rates[0]))
            if len(rates) == 1
            else None,
            realised=mean,
            error=error,
        )


def closed_form(curvature: Float, covariance: Float, size: float) -> float:
    """``tr(H S) / 2`` of the stationary S of steps of this size, whose noise has this covariance."""
    shrink = np.eye(len(curvature)) - size * curvature
    stationary = solve_discrete_lyapunov(shrink, size**2 * covariance)
    return float(np.trace(curvature @ stationary) / 2)


def exact_chain(rule: str, size: float, *, scale: float) -> float:
    """``J* - E J`` of one parameter under the stationary law, by the chain on a grid of ``REACH`` scales.

    A step leads between points of the grid: functions are carried there by cubic interpolation, whose error
    falls with the fourth power of the spacing.
    """
    points = np.linspace(-REACH, REACH, GRID) * scale
    moves, chances = steps_of(rule, points)
    landed = np.clip(points[:, None] + size * moves, points[0], points[-1])
    places, weights = _cubic(points, landed)
    matrix = np.zeros((GRID, GRID))
    np.add.at(matrix, (np.arange(GRID)[:, None, None], places), weights * chances[..., None])
    # The law is the left vector of eigenvalue 1; one of its equations follows from the others.
    system = matrix.T - np.eye(GRID)
    system[GRID // 2] = 1.0
    law = np.linalg.solve(system, np.eye(GRID)[GRID // 2])
    success = 1 / (1 + np.exp(-points))
    height = 1 - ((1 - success) ** K + success**K) / 2
    return float(law @ (height[GRID // 2] - height))


def steps_of(rule: str, theta: Float) -> tuple[Float, Float]:
    """Every step's direction and chance at parameters theta (N,): (N, moves) each, of ``GROUPS`` groups.

    An outcome is A with chance ``sigma(theta)``, else B; the score is 1 - sigma, or -sigma. A group is of the
    prompt that A solves or of that which B solves, each with chance one half.
    """
    counts = np.arange(N + 1)
    groups = (np.arange(N) < counts[:, None]).astype(np.float64)
    advantages = np.asarray(rules.resolve(rule, N, K)(groups, K))
    won, lost = (np.sum(advantages * own, axis=1) for own in (groups, 1 - groups))
    success = 1 / (1 + np.exp(-theta))
    chance = np.stack([binomial(N, p, 1 - p) for p in success])
    a, b = 1 - success[:, None], -success[:, None]
    move = np.concatenate([won * a + lost * b, won * b + lost * a], axis=1) / N
    likely = np.concatenate([chance, chance[:, ::-1]], axis=1) / 2
    moves, chances = np.zeros((len(theta), 1)), np.ones((len(theta), 1))
    for _ in range(GROUPS):
        moves = (moves[:, :, None] + move[:, None, :] / GROUPS).reshape(len(theta), -1)
        chances = (chances[:, :, None] * likely[:, None, :]).reshape(len(theta), -1)
    return moves, chances


def simulated(
    world: World, rule: str, size: float, best: float, *, slowest: float, seeds: int
) -> tuple[float, float]:
    """The trainer's own mean of ``J* - J`` after it has settled, with its standard error over the seeds."""
    relaxation = 1 / (size * slowest)
    burn, steps = round(BURN * relaxation), round((BURN + KEPT) * relaxation)
    points = sorted({0, *np.linspace(burn, steps, 60).round().astype(int).tolist()})
    found = train(
        world,
        [Arm(rule=rule, step_size=float(size), schedule=KSteps({0: K}))],
        n=N,
        groups=GROUPS,
        steps=steps,
        seeds=range(seeds),
        optimiser=SGD(),
        evaluate_k=K,
        points=points,
    )
    means = best - found.objective[0, :, 1:].mean(axis=1)
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(seeds))


def _cubic(points: Float, at: Float) -> tuple[np.ndarray, Float]:
    """Places (..., 4) and weights of cubic interpolation at points of a uniform grid."""
    spacing = points[1] - points[0]
    first = np.clip(np.floor((at - points[0]) / spacing).astype(int) - 1, 0, len(points) - 4)
    x = (at - points[first]) / spacing
    knots = np.arange(4)
    weights = np.stack(
        [np.prod([(x - m) / (j - m) for m in knots if m != j], axis=0) for j in knots], axis=-1
    )
    return first[..., None] + knots, np.asarray(weights)
