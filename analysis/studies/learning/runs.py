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

    A run has arrived at the first evaluation that finds it at the ``target`` within its ``budget``: areas and
    times are those until then. One that has diverged scores ``lowest``.

    Attributes
    ----------
    first_success
        As in ``Trace``, (seeds, prompts).
    theta
        Parameters by step, (seeds, d) each.
    ends
        Whether a run is over when it arrives, and keeps what it had then.
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
    ends: bool

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
        ends: bool = False,
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
            ends=ends,
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
        """Whether a run has arrived by then, (seeds, T)."""
        here = (self.scored(self.objective) >= self.target) & (self.rollouts <= self.budget)
        return np.logical_or.accumulate(here, axis=-1)

    @cached_property
    def _arrival(self) -> Int:
        """The evaluation that found a run arrived, T - 1 where none did, (seeds,)."""
        last = len(self.points) - 1
        return np.asarray(np.where(self._there.any(axis=-1), self._there.argmax(axis=-1), last))

    def area(self) -> Float:
        """Mean of max@K over the rollouts of the budget, in units of the target, (seeds,).

        From where a run has arrived it counts as the target.
        """
        curve = np.where(self._there, self.target, self.scored(self.objective))
        return self._over_budget(curve) / self.target

    def mean_area(self) -> Float:
        """Mean of pass@1 over the rollouts of the budget, (seeds,)."""
        last = self._arrival if self.ends else np.full(len(self.rollouts), len(self.points) - 1)
        places = np.minimum(np.arange(len(self.points)), last[:, None])
        return self._over_budget(np.take_along_axis(self.scored(self.mean_reward), places, axis=-1))

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
        if self.ends:
            latest = np.minimum(latest, self._arrival)
        return np.asarray(values[np.arange(len(values)), latest])

    def _over_budget(self, curve: Float) -> Float:
        """Trapezia over the rollouts up to the budget, cut at it, divided by it."""
        spent = np.diff(self.rollouts, axis=-1)
        within = np.diff(np.minimum(self.rollouts, self.budget), axis=-1)
        share = np.divide(within, spent, out=np.zeros_like(spent), where=spent > 0)
        start, end = curve[:, :-1], curve[:, :-1] + share * np.diff(curve, axis=-1)
        return np.asarray((within * (start + end) / 2).sum(axis=-1) / self.budget)
