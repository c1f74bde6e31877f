"""A rule with memory as a rule of one group, its state fixed, and the states at which it is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import rules
from ...core.arrays import Float
from ...core.precision import as_numpy

#: Prompts of the states that are made here: one of low rewards, one of mixed, one of high.
_HISTORIES = ("low", "mixed", "high")
#: Steps that make them.
_STEPS = 3


class ChangedStateError(rules.RuleError, ValueError):
    """An update wrote into the state that it was given."""


@dataclass(frozen=True, eq=False)
class Frozen:
    """What groups (B, n) get from one state, each as the next step of one of its prompts."""

    rule: rules.WithMemory
    state: Any
    prompt: int

    @property
    def name(self) -> str:
        """The rule's."""
        return self.rule.name

    def __call__(self, groups: Any, k: int) -> Float:
        """Advantages (B, n). Raises ChangedStateError where the state is not what it was."""
        return np.stack([self._one(np.asarray(group)[None], k)[0] for group in groups])

    def _one(self, group: Any, k: int) -> Any:
        given, _ = step(self.rule, self.state, group, k, np.array([self.prompt]))
        return as_numpy(given)


def step(rule: rules.WithMemory, state: Any, rewards: Any, k: int, prompts: Any) -> tuple[Any, Any]:
    """An update. Raises ChangedStateError where it wrote into the state, BadShapeError for no pair."""
    before = deepcopy(state)
    answer: Any = rule.update(state, rewards, k, prompts)
    if not same(before, state):
        raise ChangedStateError(
            f"{rule.name}: update changed the state that it was given; it must leave it as it is and return "
            f"another, as a step that is measured, or taken again from a checkpoint, begins with it"
        )
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise rules.BadShapeError(
            f"{rule.name}: update returned a {type(answer).__name__}: it must be (advantages, state)"
        )
    given: tuple[Any, Any] = answer
    return given


def same(a: Any, b: Any) -> bool:
    """Whether two states hold the same."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if hasattr(a, "__array__") or isinstance(a, int | float | bool):
        return np.array_equal(as_numpy(a), as_numpy(b), equal_nan=as_numpy(a).dtype.kind == "f")
    if hasattr(a, "__dict__") and type(a) is type(b):
        return same(vars(a), vars(b))
    return bool(a == b)


def path(values: Float, n: int) -> Float:
    """Rewards (steps, 3, n) of prompts whose rewards are low, mixed and high."""
    rng = np.random.default_rng(3)
    chance = np.array([0.1, 0.5, 0.9])[:, None]
    return np.asarray(np.where(rng.random((_STEPS, 3, n)) < chance, values[-1], values[0]), dtype=np.float64)


def states(rule: rules.WithMemory, values: Float, *, n: int, k: int) -> Iterator[tuple[str, Frozen]]:
    """A fresh state, and what a few steps of each history leave behind, in words."""
    state = rule.init(len(_HISTORIES))
    yield "fresh", Frozen(rule, state, 0)
    every = np.arange(len(_HISTORIES))
    for rewards in path(values, n):
        _, state = step(rule, state, rewards, k, every)
    for prompt, history in enumerate(_HISTORIES):
        yield f"after {_STEPS} steps of {history} rewards", Frozen(rule, state, prompt)


def advantages_along(rule: rules.WithMemory, steps: Float, k: int) -> Float:
    """Advantages (steps, P, n) along a path of rewards of P prompts, from a fresh state."""
    state, found = rule.init(steps.shape[1]), []
    for rewards in steps:
        given, state = step(rule, state, rewards.copy(), k, np.arange(len(rewards)))
        found.append(as_numpy(given).astype(np.float64))
    return np.stack(found)
