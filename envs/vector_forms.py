"""The vector form of each tabular specimen, under the name of its class, for Gymnasium's registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .bandits import prompt_bandit, sparse_bandit
from .tabular.stepping import TabularEnv, TabularVectorEnv
from .worlds import chain_sum, lock, maze


def vector_form(specimen: type[TabularEnv]) -> Callable[..., TabularVectorEnv]:
    """What makes ``num_envs`` episodes of a specimen, given its own settings by name."""

    def make(num_envs: int = 1, **settings: Any) -> TabularVectorEnv:
        return TabularVectorEnv(specimen(**settings), num_envs)

    return make


SparseBandit = vector_form(sparse_bandit.SparseBandit)
PromptBandit = vector_form(prompt_bandit.PromptBandit)
CombinationLock = vector_form(lock.CombinationLock)
Maze = vector_form(maze.Maze)
ChainSum = vector_form(chain_sum.ChainSum)
