"""A tabular process held against the environment's own ``step``: what the table says is what happens.

Gymnasium's toy-text worlds step by their table ``P``; nothing makes an environment do so, and one whose
``reset`` or ``step`` knows more than its table (a hidden state, a wrapper that changes rewards, starts or the
length of episodes) has another exact value than the table's.
"""

from __future__ import annotations

import operator
from collections import Counter
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete
from gymnasium.wrappers import TimeLimit

from maxpo_lab.core.arguments import whole_number

from .beliefs import Belief, Outcome, by_observation, predicted, rows_of
from .mdp import TabularMDP
from .surprises import Surprises

#: A sum of surprises: of an outcome of a state and action, or said in words.
Counted = str | tuple[int, int, Outcome]


def check_step(
    env: gymnasium.Env[Any, Any],
    mdp: TabularMDP,
    *,
    visits: int = 4,
    steps: int = 3,
    seed: int = 0,
    false_alarm: float = 1e-6,
) -> None:
    """Hold a process against its environment: how episodes start, what steps do, and when they are cut.

    Two kinds of tries. Where the environment has the attribute ``s`` of toy-text worlds, it is put into every
    state, ``visits`` times for every action: that action, then random ones. And whole episodes run from the
    reset, of the actions least tried so far, ``visits`` steps for every observation and action in all: they
    see what comes late, and are all there is without ``s``, when states that they do not reach are not
    checked. The states of the process that agree with what was seen since the reset are kept with their
    probabilities. What no such state allows is a disagreement; and so is an outcome that comes up more or
    less often than predicted, or the likeliest outcome over all steps, beyond the bound of ``Surprises``. A
    bias below that bound is not seen: more visits see more.

    Parameters
    ----------
    env
        The environment, with its wrappers. Where there are several prompts its reset says which one in
        ``info["prompt"]``.
    mdp
        What it is said to be. To be put into a state of it, its states must be its observations, or copies
        of these with another hidden state, which ``s`` leaves alone: ``h * observations + o`` is seen as o.
    visits, steps
        Tries per state and action, steps per try.
    seed
        Seed of the environment and of the actions.
    false_alarm
        The chance that a true table is refused.

    Raises
    ------
    ValueError
        A disagreement, with the state, the action, what happened and what the table says; other spaces than
        the table's, another time limit.

    Notes
    -----
    Cost: observations x actions x visits x (steps + 1) steps of the environment, and one episode.
    """
    for name, value in (("visits", visits), ("steps", steps)):
        if whole_number(value, name) < 1:
            raise ValueError(f"{name}={value}: must be at least 1")
    if not 0 < false_alarm < 1:
        raise ValueError(f"false_alarm={false_alarm}: must be between 0 and 1, e.g. 1e-6")
    seed = whole_number(seed, "seed")
    _check_frame(env, mdp)
    tries = _Tries(env, mdp, seed)
    seen = sorted({int(mdp.observation[state]) for state, _ in tries.rows})
    pairs = [(state, action) for state in seen for action in range(mdp.actions)]
    copies = np.arange(len(mdp.observation)) % mdp.observations
    if hasattr(env.unwrapped, "s") and len(mdp.starts) == 1 and np.array_equal(mdp.observation, copies):
        for state, action in [pair for pair in pairs for _ in range(visits)]:
            tries.from_state(state, action, steps)
    taken, most = 0, len(pairs) * visits
    while taken < most:
        taken += tries.from_reset()
    listed = int((mdp.probability > 0).sum()) + sum(map(len, mdp.starts)) + 1
    longest = len(pairs) * visits * steps + most + mdp.horizon
    tries.check_frequencies(listed, longest, false_alarm)


class _Tries:
    """Episodes of an environment, and how far their outcomes are from those of a table."""

    def __init__(self, env: gymnasium.Env[Any, Any], mdp: TabularMDP, seed: int) -> None:
        self.env, self.mdp, self.rows = env, mdp, rows_of(mdp)
        self.rng = np.random.default_rng(seed)
        self.tried = np.zeros((mdp.observations, mdp.actions), dtype=np.int64)
        # For each prompt the states behind each first observation, and how often that was seen.
        self.starts = [by_observation(start, mdp) for start in mdp.starts]
        self.started: list[Counter[int]] = [Counter() for _ in mdp.starts]
        self.surprises: Surprises[Counted] = Surprises()
        env.reset(seed=seed)

    def from_state(self, state: int, action: int, steps: int) -> None:
        """A reset, then the state, the action and random ones."""
        hidden = {at - at % self.mdp.observations: chance for at, chance in self._reset()[1].items()}
        self.env.unwrapped.s = state  # type: ignore[attr-defined]
        belief = {h + state: chance for h, chance in hidden.items()}
        for step in range(min(steps, self.mdp.horizon)):
            state, belief, over = self._act(state, belief, action, step + 1)
            if over:
                return
            action = int(self.rng.integers(self.mdp.actions))

    def from_reset(self) -> int:
        """A whole episode of the actions least tried; its steps."""
        state, belief = self._reset()
        for step in range(self.mdp.horizon):
            tried = self.tried[state]
            action = int(self.rng.choice(np.flatnonzero(tried == tried.min())))
            state, belief, over = self._act(state, belief, action, step + 1)
            if over:
                break
        return step + 1

    def _reset(self) -> tuple[int, Belief]:
        observed, info = self.env.reset()
        last = len(self.starts) - 1
        prompt = info.get("prompt", -1 if last else 0)
        if prompt not in range(last + 1):
            said = (
                f"reset says info['prompt']={prompt}" if "prompt" in info else "reset names no info['prompt']"
            )
            raise ValueError(f"{_name(self.env)}: {said}: the table has prompts 0 to {last}")
        state, possible = self._state(observed), self.starts[prompt]
        if state not in possible:
            starts = _few([f"state {each}" for each in sorted(possible)])
            raise ValueError(
                f"{_name(self.env)}: reset led to state {state}, and the table starts in {starts}: an exact "
                f"oracle of it would be that of another environment"
            )
        self.started[prompt][state] += 1
        return state, possible[state]

    def _act(self, state: int, belief: Belief, action: int, taken: int) -> tuple[int, Belief, bool]:
        """One step, ``taken`` since the start: the next observation, the states left, whether that is all."""
        after = predicted(belief, action, self.rows, self.mdp)
        observed, reward, terminated, truncated, _ = self.env.step(action)
        self.tried[state, action] += 1
        outcome = (self._state(observed), float(reward), bool(terminated))
        if outcome not in after:
            raise ValueError(_impossible(self.env, state, action, outcome, after))
        if not terminated and truncated != (taken >= self.mdp.horizon):
            what = "cut the episode" if truncated else "did not cut the episode"
            raise ValueError(
                f"{_name(self.env)}: step {what} after {taken} of horizon={self.mdp.horizon} steps: the "
                f"returns of the table are those of another length"
            )
        total = sum(sum(left.values()) for left in after.values())
        chances = {each: sum(left.values()) / total for each, left in after.items()}
        likeliest = max(chances, key=chances.__getitem__)
        for each, p in chances.items():
            self.surprises.count((state, action, each), each == outcome, p)
        self.surprises.count(_LIKELIEST, likeliest == outcome, chances[likeliest])
        return outcome[0], after[outcome], bool(terminated or truncated)

    def check_frequencies(self, listed: int, longest: int, false_alarm: float) -> None:
        """Hold every sum of surprises to its bound: ``listed`` sums, of ``longest`` steps at most."""
        for prompt, possible in enumerate(self.starts):
            resets = self.started[prompt].total()
            for state, belief in possible.items():
                start = f"an episode of prompt {prompt} starts in state {state}"
                self.surprises.count(start, self.started[prompt][state], sum(belief.values()), resets)
        for key, off, allowed in self.surprises.beyond_chance(listed, longest, false_alarm):
            often = f"{abs(off):.1f} times {'more' if off > 0 else 'less'} often than P says"
            raise ValueError(
                f"{_name(self.env)}: {_counted(key)} {often}, more than the {allowed:.1f} that chance "
                f"allows: it is no table of this environment"
            )

    def _state(self, observed: Any) -> int:
        try:
            return operator.index(observed)
        except TypeError:
            raise ValueError(
                f"{_name(self.env)}: observes {observed!r}, which is no state of a table: leave away the "
                f"wrapper that changes observations"
            ) from None


_LIKELIEST = "the likeliest outcome, over all steps, comes up"


def _check_frame(env: gymnasium.Env[Any, Any], mdp: TabularMDP) -> None:
    """Raise ValueError where spaces or a wrapper's time limit cannot be those of the table."""
    for name, space, size in (
        ("action_space", env.action_space, mdp.actions),
        ("observation_space", env.observation_space, mdp.observations),
    ):
        if not (isinstance(space, Discrete) and (space.n, space.start) == (size, 0)):
            raise ValueError(
                f"{_name(env)}: {name}={space}, and the table's is Discrete({size}): leave away the wrapper "
                f"that changes it"
            )
    layer: Any = env
    while isinstance(layer, gymnasium.Wrapper):
        limit = layer._max_episode_steps if isinstance(layer, TimeLimit) else mdp.horizon
        if limit < mdp.horizon:
            raise ValueError(
                f"{_name(env)}: a TimeLimit cuts episodes after {limit} steps, before horizon={mdp.horizon}: "
                f"use horizon={limit} or less"
            )
        layer = layer.env


def _impossible(
    env: gymnasium.Env[Any, Any], state: int, action: int, outcome: Outcome, said: dict[Outcome, Belief]
) -> str:
    return (
        f"{_name(env)}: step led from state {state} by action {action} to {_words(outcome)}, and P says "
        f"{_few([_words(each) for each in sorted(said)])}: an exact oracle of P would be that of another "
        f"environment"
    )


def _few(words: list[str]) -> str:
    """At most six of them."""
    more = f" or {len(words) - 6} more" if len(words) > 6 else ""
    return (" or ".join(words[:6]) or "nowhere") + more


def _counted(key: Counted) -> str:
    if isinstance(key, str):
        return key
    state, action, outcome = key
    return f"step leads from state {state} by action {action} to {_words(outcome)}"


def _words(outcome: Outcome) -> str:
    observed, reward, terminated = outcome
    return f"state {observed} with reward {reward:g}{' and the end' if terminated else ''}"


def _name(env: gymnasium.Env[Any, Any]) -> str:
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__
