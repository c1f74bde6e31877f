"""The trainer: arms x seeds of one world, stepped together and evaluated exactly."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from maxpo_lab.core.arguments import as_group_size, whole_number
from maxpo_lab.core.arrays import Bool, Float

from .arms import Arm
from .ascent import Ascent, Batches
from .optimisers import Optimiser
from .protocol import Uniforms, World, objective


@dataclass(frozen=True, kw_only=True, eq=False)
class Trace:
    """What became of every arm and seed. Nothing here is sampled but the path of the parameters.

    Attributes
    ----------
    points
        Steps at which the policies were evaluated, (T,).
    objective, mean_reward
        J_K at the K of the evaluation, and J_1: (arms, seeds, T), averaged over the prompts; NaN from where
        a run has diverged.
    entropy, diversity
        As ``Spread``, (arms, seeds, T).
    rollouts
        Drawn before each evaluation, (arms, seeds, T): what an arm draws again counts, ``EXACT`` draws none.
    first_success
        Rollouts at the end of the batch in which a prompt first earned its highest reward, (arms, seeds,
        prompts); NaN where it never did.
    theta
        Parameters at the steps that were to be kept, (arms, seeds, d) each.
    """

    points: tuple[int, ...]
    objective: Float
    mean_reward: Float
    entropy: Float
    diversity: Float
    rollouts: Float
    first_success: Float
    theta: Mapping[int, Float]

    @property
    def diverged(self) -> Bool:
        """Runs whose parameters or objective ceased to be finite, (arms, seeds)."""
        return np.asarray(~np.isfinite(self.objective).all(axis=-1))

    def area(self) -> Float:
        """Area under the curve of J_K over the steps, divided by the last step, (arms, seeds): trapezia."""
        return np.asarray(np.trapezoid(self.objective, self.points, axis=-1) / self.points[-1])

    def steps_to(self, level: float) -> Float:
        """First evaluated step with J_K at least ``level``, (arms, seeds); NaN where there is none."""
        there = self.objective >= level
        first = np.asarray(self.points, dtype=np.float64)[there.argmax(axis=-1)]
        return np.where(there.any(axis=-1), first, np.nan)


def train(
    world: World,
    arms: Sequence[Arm],
    *,
    n: int,
    groups: int,
    steps: int,
    seeds: Sequence[int],
    optimiser: Optimiser,
    evaluate_k: int,
    points: Sequence[int],
    keep: Collection[int] = (),
    epochs: int = 1,
    lag: int = 0,
    budget: float = float("inf"),
    spacing: float = 0.0,
) -> Trace:
    """Train every arm with every seed, all from ``world.start``.

    A step walks ``step_size`` times the optimiser's direction of the update of the arm's loss over ``groups``
    groups of n: of the mean of ``g = (1/n) sum_i A_i s_i`` where the loss is the identity. Arms share the
    uniform numbers that a seed's rollouts are drawn with, by inversion: as long as two arms have the same
    policy they see the same rollouts. ``EXACT`` arms follow the gradient of J_K and draw nothing, so one seed
    tells all of them.

    Parameters
    ----------
    arms
        What is compared, in the order of the trace.
    n, groups
        Rollouts in a group, and groups in a step.
    steps
        How many.
    seeds
        Roots of the random streams. A seed's rollouts do not depend on the other seeds.
    evaluate_k
        K of the objective in the trace, whatever K the arms climb.
    points
        Steps in ascending order after which the policies are evaluated: the first 0, the start, and the last
        ``steps``, so that areas are of the whole run.
    keep
        Those of the points at which the parameters are kept.
    epochs
        Steps that are made with the same rollouts.
    lag
        How many steps before a batch's first one the policy was that draws it: the ratios of a loss are taken
        against that policy. The identity ignores them and is biased where there are any.
    budget
        Rollouts of a run: one that has drawn as many before a batch draws no more and stays where it is.
    spacing
        Every step ends on the nearest multiples of it; 0: on any number of float64. What processors and
        versions round differently would grow where a step size is too large for its rule, run by run: with a
        spacing far above rounding it is gone before.

    Returns
    -------
    The trace; equal to the bit whenever it is run again with one torch thread, on one machine.

    Raises
    ------
    ValueError
        No arms, no seeds or two equal ones; ``evaluate_k`` or ``epochs`` below 1, ``lag`` below 0, no
        ``budget`` or a negative ``spacing``; points out of order or range, or ``keep`` not among them; a rule
        that is not defined at n and its K, or on the world's rewards, with the reason; one that is random,
        remembers earlier calls, or couples groups, and with them seeds and arms.
    TypeError
        Points, or sizes that are counted, that are no integers.
    """
    n = as_group_size(n)
    _check_sizes(arms, seeds, steps, groups)
    for name, value, least in (("evaluate_k", evaluate_k, 1), ("epochs", epochs, 1), ("lag", lag, 0)):
        if whole_number(value, name) < least:
            raise ValueError(f"{name}={value}: at least {least} is needed")
    if not budget > 0:
        raise ValueError(f"budget={budget}: must be positive, in rollouts, e.g. budget={steps * groups * n}")
    if not 0 <= spacing < float("inf"):
        raise ValueError(f"spacing={spacing}: must be 0 or positive and finite, e.g. spacing=2**-18")
    points = _checked_points(points, steps, keep)
    theta = world.start.expand(len(arms), len(seeds), -1).clone()
    first, decay = (
        torch.tensor(each, dtype=torch.float64)[:, None, None]
        for each in ([arm.step_size for arm in arms], [arm.decay for arm in arms])
    )
    uniforms, direction = Uniforms(seeds), optimiser.begin()
    ascent = Ascent(
        world, tuple(arms), uniforms, n=n, groups=groups, batches=Batches(epochs, lag), budget=budget
    )
    spent: list[torch.Tensor] = []
    found: list[tuple[torch.Tensor, ...]] = []
    kept: dict[int, Float] = {}
    for step in range(steps + 1):
        if step in points:
            found.append(_evaluated(world, theta, evaluate_k))
            spent.append(ascent.spent.rollouts.clone())
            if step in keep:
                kept[step] = theta.numpy().copy()
        if step < steps:
            step_size = first / (1 + decay * first * step)
            moved = theta + step_size * direction(ascent.gradient(theta, step))
            if spacing:
                moved = (moved / spacing).round() * spacing
            theta = torch.where(ascent.over[..., None], theta, moved)
    objectives, means, entropies, diversities = (
        torch.stack(each, dim=-1).numpy() for each in zip(*found, strict=True)
    )
    return Trace(
        points=points,
        objective=objectives,
        mean_reward=means,
        entropy=entropies,
        diversity=diversities,
        rollouts=torch.stack(spent, dim=-1).double().numpy(),
        first_success=ascent.spent.first.numpy(),
        theta=kept,
    )


def _evaluated(world: World, theta: torch.Tensor, k: int) -> tuple[torch.Tensor, ...]:
    """J_K, J_1, entropy and diversity, (arms, seeds) each; all NaN where theta is not finite."""
    finite = torch.isfinite(theta).all(dim=-1)
    with torch.no_grad():
        masses, spread = world.measured(theta)
        found = (
            objective(world.values, masses, k),
            objective(world.values, masses, 1),
            spread.entropy,
            spread.diversity,
        )
    return tuple(each.masked_fill(~finite, float("nan")) for each in found)


def _check_sizes(arms: Sequence[Arm], seeds: Sequence[int], steps: int, groups: int) -> None:
    if not arms:
        raise ValueError("arms are empty: give at least one, e.g. Arm(rule='maxpo', ...)")
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds={list(seeds)}: at least one is needed, and no two alike")
    for name, value in (("steps", steps), ("groups", groups)):
        if whole_number(value, name) < 1:
            raise ValueError(f"{name}={value}: at least 1 is needed")


def _checked_points(points: Sequence[int], steps: int, keep: Collection[int]) -> tuple[int, ...]:
    ordered = tuple(sorted({whole_number(point, "points") for point in points}))
    if not points or tuple(points) != ordered or (ordered[0], ordered[-1]) != (0, steps):
        raise ValueError(
            f"points={list(points)}: ascending steps are needed, the first 0 and the last steps={steps}"
        )
    if missing := sorted(set(keep) - set(ordered)):
        raise ValueError(f"keep={missing}: only points can be kept, {list(ordered)}")
    return ordered
