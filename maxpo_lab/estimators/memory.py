"""Rules with memory: what a prompt gets depends on what it got before."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import array_api_compat
import numpy as np
import numpy.typing as npt

from ..core.arguments import whole_number
from ..core.arrays import Array, Float, Int, Namespace, on_host
from ..core.rewards import as_rewards
from .entry import Entry, Kind
from .limits import held, unwarned

#: What a rule of the catalogue remembers: arrays by name, those of prompts with these along their first axis,
#: and ``version``; ``prompts``, their number, where no array is of prompts. NumPy, torch and a trainer's
#: checkpoint can hold it.
State = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class MemoryEstimator(Entry):
    """A rule that remembers earlier steps, by prompt, as a pair of pure functions.

    ``init(prompts)`` is the state of so many prompts that have not been seen; ``update(state, rewards, k,
    prompts)`` gives the advantages (P, n) of a step, made from the state before it, and the state after it.
    The state given is not changed.

    Attributes
    ----------
    version
        Of the state's arrays.
    """

    kind: ClassVar[Kind] = "memory"
    version: ClassVar[int] = 1

    @property
    def couples(self) -> bool:
        """Whether what a prompt gets depends on the other prompts, now or in the past."""
        return False

    def init(self, prompts: int) -> State:
        """The state of prompts 0 to ``prompts - 1``, none of them seen yet. ValueError below 1."""
        if whole_number(prompts, "prompts") < 1:
            raise ValueError(f"prompts={prompts}: a state is of at least one prompt")
        return {**self._head(prompts), **self._fresh(prompts), **self._shared()}

    def update(self, state: State, rewards: Any, k: int, prompts: Any) -> tuple[Array, State]:
        """A step: advantages (P, n) of the rewards (P, n) of these prompts (P,), and the next state.

        Raises
        ------
        TypeError, ValueError
            As an ``Estimator``; prompts that are not whole numbers of the state's, or one of them twice; a
            state with other arrays, of another number of prompts, or of another version.
        """
        xp, rewards, k, rows, size = self._checked(state, rewards, k, prompts)
        with unwarned():
            given, new = self._step(xp, rewards, k, _arrays(state), rows)
            given = held(self.name, xp, rewards, given)
        return given, {**self._head(size), **new}

    def remember(self, state: State, rewards: Any, k: int, prompts: Any) -> State:
        """The next state alone, as ``update`` gives it, also where the rule has no advantages yet."""
        xp, rewards, k, rows, size = self._checked(state, rewards, k, prompts)
        return {**self._head(size), **self._after(xp, rewards, k, _arrays(state), rows)}

    def _head(self, prompts: int) -> dict[str, npt.NDArray[Any]]:
        """What every state holds: its version and, where nothing is by prompt, how many prompts it is of."""
        version = {"version": np.array(self.version)}
        return version if self._fresh(1) else version | {"prompts": np.array(prompts)}

    def _checked(
        self, state: State, rewards: Any, k: int, prompts: Any
    ) -> tuple[Namespace, Array, int, Int, int]:
        """What a step is given, checked, and how many prompts the state is of."""
        xp, rewards = as_rewards(rewards)
        k = whole_number(k, "k")
        if rewards.ndim != 2:
            raise ValueError(
                f"rewards have shape {tuple(rewards.shape)}: {self.name} needs (P, n), the n rewards of each "
                f"of P prompts"
            )
        if reason := self.why_not(rewards.shape[1], k) or self._outside_domain(xp, rewards):
            raise ValueError(reason)
        size = self.prompts_of(state)
        return xp, rewards, k, _rows(prompts, rewards.shape[0], size), size

    def _shared(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays that are of no prompt, before the first step."""
        return {}

    def _fresh(self, prompts: int) -> dict[str, npt.NDArray[Any]]:
        """The arrays of prompts that have not been seen, along their first axis."""
        return {}

    @abstractmethod
    def _step(
        self, xp: Namespace, rewards: Array, k: int, state: State, prompts: Int
    ) -> tuple[Array, dict[str, npt.NDArray[Any]]]:
        """``update`` on what is known to be valid."""

    def _after(
        self, xp: Namespace, rewards: Array, k: int, state: State, prompts: Int
    ) -> dict[str, npt.NDArray[Any]]:
        """``remember`` on what is known to be valid."""
        return self._step(xp, rewards, k, state, prompts)[1]

    def prompts_of(self, state: State) -> int:
        """How many prompts a state is of; TypeError or ValueError where it is none of this rule's."""
        if not isinstance(state, Mapping):
            raise TypeError(
                f"state is a {type(state).__name__}: it must be what {self.name}.init(prompts) or update gave"
            )
        if "version" in state and int(state["version"]) != self.version:
            raise ValueError(
                f"state is of version {int(state['version'])} of {self.name}, this is version "
                f"{self.version}: "
                f"begin with init(prompts), or load it with the release that wrote it"
            )
        like = self._fresh(1)
        wanted = {*self._head(1), *like, *self._shared()}
        if set(state) != wanted:
            raise ValueError(
                f"state holds {', '.join(sorted(state))}: one of {self.name} holds "
                f"{', '.join(sorted(wanted))}; begin with init(prompts)"
            )
        if not like:
            return int(state["prompts"])
        found = {name: np.shape(state[name]) for name in like}
        sizes = {shape[0] if shape else 0 for shape in found.values()}
        if len(sizes) > 1 or any(shape[1:] != like[name].shape[1:] for name, shape in found.items()):
            raise ValueError(
                f"state holds arrays of shapes {found}: those of {self.name} have the prompts along "
                f"their first "
                f"axis; begin with init(prompts)"
            )
        return int(sizes.pop())


def of_prompts(xp: Namespace, rewards: Array, values: Float) -> Array:
    """A number of each prompt, (P, 1), in the type and at the place of rewards (P, n)."""
    return xp.asarray(values[:, None], dtype=rewards.dtype, device=array_api_compat.device(rewards))


def _arrays(state: State) -> State:
    """In NumPy: a checkpoint may hold tensors."""
    return {name: on_host(array) for name, array in state.items() if name not in ("version", "prompts")}


def _rows(prompts: Any, count: int, size: int) -> Int:
    """The prompts of a step as numbers of a state of ``size``, checked."""
    rows = np.asarray(prompts)
    if rows.shape != (count,) or rows.dtype.kind not in "iu":
        raise ValueError(
            f"prompts have shape {rows.shape} and dtype {rows.dtype}: they must be whole numbers, "
            f"one for each of "
            f"the {count} rows of rewards"
        )
    outside = (rows < 0) | (rows >= size)
    if outside.any():
        raise ValueError(
            f"prompts hold {int(rows[outside][0])}: the state is of prompts 0 to {size - 1}; begin with "
            f"init(prompts) of the number that there are"
        )
    values, times = np.unique(rows, return_counts=True)
    if (times > 1).any():
        raise ValueError(
            f"prompts hold {int(values[times > 1][0])} twice: a step updates a prompt once; put its rollouts "
            f"into one group, or take two steps"
        )
    return rows.astype(np.intp)
