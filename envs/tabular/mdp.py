"""Finite-horizon tabular decision processes: what they are, and what makes none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from maxpo_lab.core.arguments import whole_number
from maxpo_lab.core.arrays import EPS, Bool, Float, Int

from .units import Units

#: Steps at most: returns of 12 digits per step fit int64.
MAX_HORIZON = 1_000_000


@dataclass(frozen=True, eq=False)
class TabularMDP:
    """A tabular decision process that ends after at most ``horizon`` steps.

    Attributes
    ----------
    source, action, target, probability, reward, terminated
        The transitions, shape (E,) each: from a state, by an action, to a state, with a probability, a
        reward, and whether the episode ends there. The probabilities of one state and action sum to 1.
    observation
        What the policy sees of each state, shape (S,): states of equal observation share their parameters.
    starts
        For each prompt the states an episode starts in, with their probabilities, which sum to 1.
    horizon
        Steps at most; an episode that has not ended by then is cut, and keeps its return.
    observations, actions
        Sizes O and A of the policy's table of logits.

    Raises
    ------
    TypeError, ValueError
        A horizon below 1, probabilities that do not sum to 1, an action without transitions, a start or a
        target that does not exist; with the state and what to change.
    """

    source: Int
    action: Int
    target: Int
    probability: Float
    reward: Float
    terminated: Bool
    observation: Int
    starts: tuple[Mapping[int, float], ...]
    horizon: int
    observations: int
    actions: int

    def __post_init__(self) -> None:
        if not 1 <= whole_number(self.horizon, "horizon") <= MAX_HORIZON:
            raise ValueError(
                f"horizon={self.horizon}: an episode has 1 to {MAX_HORIZON:,} steps, e.g. horizon=50"
            )
        edges, states = (len(self.source),), len(self.observation)
        for name in ("source", "action", "target", "probability", "reward", "terminated"):
            if (shape := np.shape(getattr(self, name))) != edges:
                raise ValueError(f"{name} has shape {shape}: expected {edges}, one entry per transition")
        for name, index, size in (
            ("source", self.source, states),
            ("target", self.target, states),
            ("action", self.action, self.actions),
            ("observation", self.observation, self.observations),
        ):
            if not len(index):
                raise ValueError(f"{name} is empty: a process needs at least one state and one transition")
            if index.min() < 0 or index.max() >= size:
                raise ValueError(f"{name} runs from {index.min()} to {index.max()}: must be 0 to {size - 1}")
        if not np.isfinite(self.reward).all():
            raise ValueError(f"reward {self._named(~np.isfinite(self.reward), self.reward)}: must be finite")
        self._check_starts()
        self._check_probabilities()

    def _named(self, wrong: Bool, values: Float) -> str:
        """The first wrong entry and its transition, in words."""
        edge = int(wrong.argmax())
        where = f"state {self.source[edge]}, action {self.action[edge]} to {self.target[edge]}"
        return f"of the transition from {where} is {values[edge]}"

    def _check_starts(self) -> None:
        if not self.starts:
            raise ValueError("starts are empty: at least one prompt is needed")
        for prompt, start in enumerate(self.starts):
            if not all(0 <= state < len(self.observation) for state in start):
                last = len(self.observation) - 1
                raise ValueError(f"starts of prompt {prompt} are in {list(start)}: states are 0 to {last}")
            chances = np.array(list(start.values()), dtype=np.float64)
            # Written so that a NaN is wrong too.
            if not ((chances >= 0).all() and abs(chances.sum() - 1) <= 1e-12):
                raise ValueError(
                    f"start probabilities of prompt {prompt} sum to {chances.sum():.12g}, the least is "
                    f"{chances.min(initial=1.0)}: they must be at least 0 and sum to 1"
                )

    def _check_probabilities(self) -> None:
        wrong = ~(np.isfinite(self.probability) & (self.probability >= 0))
        if wrong.any():
            raise ValueError(
                f"probability {self._named(wrong, self.probability)}: must be finite and at least 0"
            )
        total = np.bincount(
            self.source * self.actions + self.action,
            weights=self.probability,
            minlength=len(self.observation) * self.actions,
        ).reshape(-1, self.actions)
        entered = np.zeros(len(self.observation), dtype=bool)
        entered[self.source] = True
        entered[self.target[~self.terminated & (self.probability > 0)]] = True
        for start in self.starts:
            entered[list(start)] = True
        # Errors of a row grow with the steps; 1e-12 in all is what reward levels allow.
        off = np.abs(total - 1)
        bad = entered & (off > max(1e-12 / self.horizon, 32 * EPS)).any(axis=1)
        if bad.any():
            state = int(bad.argmax())
            act = int(off[state].argmax())
            raise ValueError(
                f"transitions of state {state}, action {act} sum to {total[state, act]:.15g}: the "
                f"probabilities of every state that is entered and action must sum to 1 (a state without "
                f"transitions may only be the target of terminated ones)"
            )

    @classmethod
    def from_table(
        cls,
        table: Mapping[int, Mapping[int, Sequence[tuple[float, int, float, bool]]]],
        start: Sequence[float] | Float,
        *,
        horizon: int,
    ) -> Self:
        """The process of a Gymnasium table ``P[state][action] = [(probability, next, reward, terminated)]``.

        Every state is its own observation. ``start``: probability of each state at the start, (S,).
        Raises as the constructor.
        """
        rows = [
            (state, action, target, probability, reward, terminated)
            for state, actions in table.items()
            for action, outcomes in actions.items()
            for probability, target, reward, terminated in outcomes
        ]
        if not rows:
            raise ValueError("table is empty: a process needs at least one transition")
        source, action, target, probability, reward, terminated = zip(*rows, strict=True)
        initial = np.asarray(start, dtype=np.float64)
        return cls(
            source=np.array(source, dtype=np.intp),
            action=np.array(action, dtype=np.intp),
            target=np.array(target, dtype=np.intp),
            probability=np.array(probability, dtype=np.float64),
            reward=np.array(reward, dtype=np.float64),
            terminated=np.array(terminated, dtype=bool),
            observation=np.arange(len(initial)),
            starts=({int(s): float(initial[s]) for s in np.flatnonzero(initial)},),
            horizon=horizon,
            observations=len(initial),
            actions=1 + max(action),
        )

    @cached_property
    def edges(self) -> tuple[Int, Int]:
        """Indices of the transitions of positive probability, by state, and where each state's begin."""
        order = np.argsort(self.source, kind="stable")
        order = order[self.probability[order] > 0]
        counts = np.bincount(self.source[order], minlength=len(self.observation))
        return order, np.concatenate([[0], np.cumsum(counts)])

    @cached_property
    def units(self) -> Units:
        """The rewards as whole numbers, which oracle and samplers add; raises as ``Units.of``."""
        return Units.of(self.reward)
