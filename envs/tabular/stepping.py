"""The Gymnasium interface of tabular specimens: one episode at a time, or many in a vector."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from maxpo_lab.core.arguments import whole_number
from maxpo_lab.core.arrays import Bool, Float, Int64
from maxpo_lab.core.precision import as_real

from ..base.specimen import chosen_prompt
from .mdp import TabularMDP
from .specimen import TabularSpecimen


class TabularEnv(gymnasium.Env[np.int64, np.int64], TabularSpecimen):
    """A specimen whose episodes are stepped through its table of transitions.

    Subclasses hand over their process and their initial parameters; any process can be had as
    ``TabularEnv(mdp, theta)``. ``reset(options={"prompt": i})`` chooses the prompt, else it is drawn
    uniformly; ``info["prompt"]`` says which one it is.

    Parameters
    ----------
    mdp
        The process.
    theta
        The initial parameters: a finite logit for every observation and action.
    render_mode
        One of ``metadata["render_modes"]``, or None.

    Raises
    ------
    ValueError
        A ``theta`` of another size or not finite, or another render mode; at ``step``, another action than
        ``action_space`` holds. TypeError for a ``theta`` that is not real; RuntimeError at a ``step`` before
        ``reset`` or after the end.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own declaration

    def __init__(self, mdp: TabularMDP, theta: Float, render_mode: str | None = None) -> None:
        modes = self.metadata["render_modes"]
        if render_mode is not None and render_mode not in modes:
            known = " or ".join(["None", *map(repr, modes)])
            raise ValueError(f"render_mode={render_mode!r}: must be {known}")
        self.mdp, self.prompts, self.render_mode = mdp, len(mdp.starts), render_mode
        self.theta = as_real(theta, "theta")
        if self.theta.size != mdp.observations * mdp.actions or not np.isfinite(self.theta).all():
            table = f"{mdp.observations} x {mdp.actions}"
            raise ValueError(f"theta has shape {self.theta.shape}: {table} finite logits are needed")
        self.theta.setflags(write=False)
        self.action_space = gymnasium.spaces.Discrete(mdp.actions)
        self.observation_space = gymnasium.spaces.Discrete(mdp.observations)
        self._walk = Walk(mdp, 1)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.int64, dict[str, Any]]:
        """Start an episode, of ``options["prompt"]`` where that is given."""
        super().reset(seed=seed)
        prompt = self._walk.start(self.np_random, np.array([True]), chosen_prompt(self, options))
        return self._walk.observation[0], {"prompt": int(prompt[0])}

    def step(self, action: np.int64) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        """Act once."""
        if self._walk.over[0]:
            raise RuntimeError("the episode has ended: call reset() before step()")
        if not self.action_space.contains(action):
            raise ValueError(f"action={action!r}: must be 0 to {self.mdp.actions - 1}")
        reward, terminated, truncated = self._walk.advance(self.np_random, np.array([action]))
        return self._walk.observation[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), {}

    @property
    def state(self) -> int:
        """The state of the process that the episode is in."""
        return int(self._walk.state[0])


class TabularVectorEnv(VectorEnv[Int64, Int64, npt.NDArray[Any]]):
    """Many episodes of one specimen at a time; one that has ended starts anew at its next step.

    ``info["prompt"]`` (num_envs,) holds the prompts of those that start, which ``info["_prompt"]`` marks; a
    new start at a step draws its prompt.

    Parameters
    ----------
    specimen
        What is stepped; it is not changed.
    num_envs
        Episodes at a time.

    Raises
    ------
    ValueError
        ``num_envs`` below 1; at ``step``, actions that ``action_space`` does not hold. RuntimeError at a
        ``step`` before ``reset``.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012 - as above

    def __init__(self, specimen: TabularEnv, num_envs: int = 1) -> None:
        if whole_number(num_envs, "num_envs") < 1:
            raise ValueError(f"num_envs={num_envs}: at least one is needed")
        self.specimen, self.num_envs = specimen, num_envs
        self.single_action_space, self.single_observation_space = (
            specimen.action_space,
            specimen.observation_space,
        )
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._walk = Walk(specimen.mdp, num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Int64, dict[str, Any]]:
        """Start all episodes, of ``options["prompt"]`` where that is given."""
        super().reset(seed=seed)
        everyone = np.ones(self.num_envs, dtype=bool)
        prompt = self._walk.start(self.np_random, everyone, chosen_prompt(self.specimen, options))
        return self._walk.observation, {"prompt": prompt, "_prompt": everyone}

    def step(self, actions: Int64) -> tuple[Int64, Float, Bool, Bool, dict[str, Any]]:
        """Act once in every episode; the action of one that ended at the last step starts it anew."""
        actions = np.asarray(actions)
        if not self.action_space.contains(actions):
            last = self.specimen.mdp.actions - 1
            raise ValueError(f"actions={actions!r}: must be {self.num_envs} integers from 0 to {last}")
        if self._walk.unstarted:
            raise RuntimeError("no episode has begun: call reset() before step()")
        ended = self._walk.over.copy()
        reward, terminated, truncated = self._walk.advance(self.np_random, actions)
        info: dict[str, Any] = {}
        if ended.any():
            prompt = np.zeros(self.num_envs, dtype=np.int64)
            prompt[ended] = self._walk.start(self.np_random, ended, None)
            info = {"prompt": prompt, "_prompt": ended}
        return self._walk.observation, reward, terminated, truncated, info


class Walk:
    """Episodes of a process in step with each other: where each one is, and how it goes on."""

    def __init__(self, mdp: TabularMDP, size: int) -> None:
        self.mdp = mdp
        self.state = np.zeros(size, dtype=np.intp)
        self.steps = np.zeros(size, dtype=np.intp)
        self.over = np.ones(size, dtype=bool)
        self.unstarted = True
        order = np.argsort(mdp.source * mdp.actions + mdp.action, kind="stable")
        self._edges = order[mdp.probability[order] > 0]
        rows = len(mdp.observation) * mdp.actions
        row = (mdp.source * mdp.actions + mdp.action)[self._edges]
        self._begin = np.searchsorted(row, np.arange(rows + 1))
        # The chances of each row run from its index to the next one: one search serves all rows.
        chance = mdp.probability[self._edges]
        before = np.concatenate([[0.0], np.cumsum(chance)])
        self._upto = row + np.minimum(before[1:] - before[self._begin[row]], 1.0)

    @property
    def observation(self) -> Int64:
        """What the policy sees of each episode."""
        return self.mdp.observation[self.state].astype(np.int64)

    def start(self, rng: np.random.Generator, which: Bool, prompt: int | None) -> Int64:
        """Start these episodes; their prompts."""
        count = int(which.sum())
        starts = self.mdp.starts
        chosen = np.full(count, prompt) if prompt is not None else rng.integers(len(starts), size=count)
        place = np.flatnonzero(which)
        for each in np.unique(chosen):
            states, chances = list(starts[each]), list(starts[each].values())
            mine = place[chosen == each]
            self.state[mine] = rng.choice(states, p=chances, size=len(mine)) if len(states) > 1 else states[0]
        self.steps[which], self.over[which] = 0, False
        self.unstarted = False
        return chosen

    def advance(self, rng: np.random.Generator, action: Int64) -> tuple[Float, Bool, Bool]:
        """One step of every episode that is not over: rewards, terminated, truncated."""
        row = self.state * self.mdp.actions + action
        place = np.searchsorted(self._upto, row + rng.random(len(row)), side="right")
        edge = self._edges[np.minimum(place, self._begin[row + 1] - 1)]
        going = ~self.over
        self.state[going] = self.mdp.target[edge[going]]
        self.steps[going] += 1
        reward = np.where(going, self.mdp.reward[edge], 0.0)
        terminated = going & self.mdp.terminated[edge]
        truncated = going & ~terminated & (self.steps >= self.mdp.horizon)
        self.over |= terminated | truncated
        return reward, terminated, truncated
