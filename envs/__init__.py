"""The specimens: Gymnasium environments with a policy whose gradients are known exactly.

Importing this package registers ``maxpo/SparseBandit-v0``. Every specimen has, beside the Gymnasium
interface, a policy over its actions with parameters ``theta``:

- ``theta``: the parameters it starts from, a NumPy array
- ``levels(theta) -> maxpo_lab.RewardLevels``: the exact oracle
- ``sampler(theta, device)``: batched groups of rollouts in torch, with implicit scores
"""

import gymnasium

from .bandit import SparseBandit

gymnasium.register(id="maxpo/SparseBandit-v0", entry_point="envs.bandit:SparseBandit")

__all__ = ["SparseBandit"]
