"""The worlds by their Gymnasium ids, for ``gymnasium.make`` and ``gymnasium.make_vec``."""

import gymnasium

from .bandits.gaussian_bandit import GaussianBandit, GaussianVectorEnv
from .bandits.prompt_bandit import PromptBandit
from .bandits.sparse_bandit import SparseBandit
from .worlds.chain_sum import ChainSum
from .worlds.lock import CombinationLock
from .worlds.maze import Maze

for _world in (SparseBandit, PromptBandit, CombinationLock, Maze, ChainSum):
    gymnasium.register(
        id=f"maxpo/{_world.__name__}-v0",
        entry_point=f"{_world.__module__}:{_world.__name__}",
        vector_entry_point=f"envs.vector_forms:{_world.__name__}",
    )
gymnasium.register(
    id=f"maxpo/{GaussianBandit.__name__}-v0",
    entry_point=f"{GaussianBandit.__module__}:{GaussianBandit.__name__}",
    vector_entry_point=f"{GaussianVectorEnv.__module__}:{GaussianVectorEnv.__name__}",
)
