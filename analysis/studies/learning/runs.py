"""Runs of one contestant at one step size over several seeds, and their scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from maxpo_lab.core.arrays import Bool, Float, Int

from ...trainer import Trace


@dataclass(frozen=True, eq=False)
class Runs:
    """What was evaluated of each seed, (seeds, T), and the rollouts it had drawn by then.

    What is above the ``target`` counts as the target, and a run has arrived where it is at the target and
    stays there until its ``budget`` is spent. One that has diverged scores ``lowest``.

    Attributes
    ----------
    first_success
        As in ``Trace``, (seeds, prompts).
    theta
        Parameters by step, (seeds, d) each.
    """

    points: tuple[int, ...]
    rollouts: Float
    objective: Float
    mean_reward: Float
    entropy: Float
    diversity: Float
    first_success: Float
    theta: Mapping[int, Float]
    budget: int
    target: float
    lowest: float

    @classmethod
    def of(
        cls,
        trace: Trace,
        arm: int,
        *,
        rollouts: Float,
        budget: int,
        target: float,
        lowest: float,
    ) -> Runs:
        """An arm of a trace; ``rollouts`` (seeds, T)."""
        return cls(
            points=trace.points,
            rollouts=rollouts,
            objective=trace.objective[arm],
            mean_reward=trace.mean_reward[arm],
            entropy=trace.entropy[arm],
            diversity=trace.diversity[arm],
            first_success=np.where(trace.first_success[arm] <= budget, trace.first_success[arm], np.nan),
            theta={step: theta[arm] for step, theta in trace.theta.items()},
            budget=budget,
            target=target,
            lowest=lowest,
        )

    @property
    def diverged(self) -> Bool:
        """Runs that ceased to be finite, (seeds,)."""
        return np.asarray(~np.isfinite(self.objective).all(axis=-1))

    def scored(self, values: Float) -> Float:
        """The lowest reward where a run has diverged."""
        return np.where(np.isfinite(values), values, self.lowest)

    @cached_property
    def _there(self) -> Bool:
        """Whether a run is at the target from then on until the budget is spent, (seeds, T)."""
        within = self.rollouts <= self.budget
        here = (self.scored(self.objective) >= self.target) | ~within
        return np.asarray(np.logical_and.accumulate(here[:, ::-1], axis=-1)[:, ::-1] & within)

    @cached_property
    def _arrival(self) -> Int:
        """The evaluation that found a run arrived, T - 1 where none did, (seeds,)."""
        last = len(self.points) - 1
        return np.asarray(np.where(self._there.any(axis=-1), self._there.argmax(axis=-1), last))

    def area(self) -> Float:
        """Mean of max@K up to the target, over the rollouts of the budget, in units of the target."""
        curve = np.minimum(self.scored(self.objective), self.target)
        return self._over_budget(curve) / self.target

    def mean_area(self) -> Float:
        """Mean of pass@1 over the rollouts of the budget, (seeds,)."""
        return self._over_budget(self.scored(self.mean_reward))

    def to_target(self) -> Float:
        """Rollouts until a run arrives, between evaluations along a line; NaN where it does not, (seeds,)."""
        seed, at = np.arange(len(self.rollouts)), self._arrival
        before = np.maximum(at - 1, 0)
        low, high = (self.scored(self.objective)[seed, place] for place in (before, at))
        first, last = (self.rollouts[seed, place] for place in (before, at))
        share = np.divide(self.target - low, high - low, out=np.ones_like(low), where=high > low)
        found = first + np.clip(share, 0, 1) * (last - first)
        return np.where(self._there.any(axis=-1), found, np.nan)

    def on_arrival(self, values: Float) -> Float:
        """Values (seeds, T) at the evaluation that found a run arrived, NaN where none did, (seeds,)."""
        found = values[np.arange(len(values)), self._arrival]
        return np.where(self._there.any(axis=-1), found, np.nan)

    def after(self, rollouts: float, values: Float) -> Float:
        """Values (seeds, T) at the latest evaluation by then, (seeds,)."""
        latest = (self.rollouts <= rollouts).sum(axis=-1) - 1
        return np.asarray(values[np.arange(len(values)), latest])

    def _over_budget(self, curve: Float) -> Float:
        """Trapezia over the rollouts up to the budget, cut at it, divided by it."""
        spent = np.diff(self.rollouts, axis=-1)
        within = np.diff(np.minimum(self.rollouts, self.budget), axis=-1)
        share = np.divide(within, spent, out=np.zeros_like(spent), where=spent > 0)
        start, end = curve[:, :-1], curve[:, :-1] + share * np.diff(curve, axis=-1)
        return np.asarray((within * (start + end) / 2).sum(axis=-1) / self.budget)
