"""Gymnasium's tabular worlds, stepped by themselves under a policy that is nearly the best."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from envs.tabular.specimen import softmax
from envs.tabular.toy_text import GymnasiumWorld


def near_optimal(world: GymnasiumWorld, temperature: float = 0.002) -> np.ndarray:
    """Logits ``Q / temperature`` of the best return, discounted by 1% a step, by value iteration."""
    value = np.zeros(world.mdp.observations)
    for _ in range(500):
        quality = np.zeros(world.theta.shape)
        for state, actions in world.env.unwrapped.P.items():
            for action, outcomes in actions.items():
                quality[state, action] = sum(
                    p * (r + 0.99 * value[t] * (not end)) for p, t, r, end in outcomes
                )
        value = quality.max(axis=1)
    return quality / temperature


def stepped_by_gymnasium(world: GymnasiumWorld, theta: np.ndarray, episodes: int, seed: int) -> np.ndarray:
    """Returns of episodes under ``theta``, through the environment's own ``step``."""
    upto = np.cumsum(softmax(theta), axis=1)[:, :-1].tolist()
    env, rng = world.env.unwrapped, np.random.default_rng([seed, 1])  # another stream than the world's
    env.reset(seed=seed)
    returns = []
    for _ in range(episodes):
        state, total = env.reset()[0], 0.0
        for uniform in rng.random(world.mdp.horizon).tolist():
            state, reward, terminated, _, _ = env.step(bisect_right(upto[state], uniform))
            total += reward
            if terminated:
                break
        returns.append(total)
    return np.array(returns)
