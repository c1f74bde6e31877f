"""Gymnasium's own tabular worlds as specimens: nobody here wrote them, so they are the outside check."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.toy_text.taxi import TaxiEnv

from maxpo_lab.core.arguments import whole_number
from maxpo_lab.core.arrays import Float

from .against_step import check_step
from .fickle_taxi import fickle_taxi
from .mdp import TabularMDP
from .specimen import TabularSpecimen


class GymnasiumWorld(TabularSpecimen):
    """A Gymnasium environment that publishes its transitions as ``P``, with a softmax policy over its states.

    Attributes
    ----------
    env
        The environment itself, cut after ``horizon`` steps: what the oracle is checked against.
    theta
        Zeros, the uniform policy, shape (states, actions).
    """

    def __init__(self, env: gymnasium.Env[Any, Any], horizon: int) -> None:
        self.env = env
        self.mdp = _process(env.unwrapped, horizon)
        check_step(env, self.mdp, visits=1, steps=2)
        self.theta: Float = np.zeros((self.mdp.observations, self.mdp.actions))
        self.theta.setflags(write=False)


def _process(world: Any, horizon: int) -> TabularMDP:
    """The table ``P``, and what ``step`` does besides where that is known."""
    if isinstance(world, TaxiEnv) and getattr(world, "fickle_passenger", False):
        return fickle_taxi(world, horizon)
    return TabularMDP.from_table(world.P, world.initial_state_distrib, horizon=horizon)


def from_gymnasium(name: str, *, horizon: int, **settings: Any) -> GymnasiumWorld:
    """A Gymnasium world by its id, e.g. ``from_gymnasium("FrozenLake-v1", horizon=50, map_name="8x8")``.

    Its reward is the return of an episode of at most ``horizon`` steps. Worlds with many returns
    (CliffWalking) have exact ``max_at_k`` and gradient always, and exact moments of rank-linear rules.
    Taxi's ``fickle_passenger``, which its table does not know, is modelled as a hidden state.

    Parameters
    ----------
    name
        An id whose environment has ``P`` and ``initial_state_distrib``: FrozenLake, CliffWalking, Taxi.
    horizon
        Steps at most, replacing the environment's own limit.
    settings
        Passed on to ``gymnasium.make``.

    Raises
    ------
    ValueError
        The environment publishes no table; its ``reset`` or ``step``, wrappers included, was seen to do what
        its table does not say (every state and action is tried once; ``check_step`` tries harder);
        ``render_mode="human"``, which would show these tries; or ``horizon`` is below 1. Gymnasium's own
        errors for an id or a setting that it does not know.
    """
    horizon = whole_number(horizon, "horizon")
    if horizon < 1:
        raise ValueError(f"horizon={horizon}: an episode needs at least one step")
    if settings.get("render_mode") == "human":
        raise ValueError(
            "render_mode='human': every state and action is tried once, which would be shown: use "
            "'rgb_array' or 'ansi'"
        )
    env = gymnasium.make(name, max_episode_steps=horizon, **settings)
    missing = [part for part in ("P", "initial_state_distrib") if not hasattr(env.unwrapped, part)]
    if missing:
        env.close()
        raise ValueError(
            f"{name} has no {' and '.join(missing)}: exact oracles need a tabular world, e.g. FrozenLake-v1, "
            f"CliffWalking-v1 or Taxi; sample any other with envs.rollouts"
        )
    try:
        return GymnasiumWorld(env, horizon)
    except ValueError:
        env.close()
        raise
