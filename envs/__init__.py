"""The specimens: policies whose objective and its gradient are known, to hold every rule against.

Importing this package registers, for ``gymnasium.make`` and ``gymnasium.make_vec``,

- ``maxpo/SparseBandit-v0``: many arms, few of them good; the smallest world with sparse rewards
- ``maxpo/PromptBandit-v0``: prompts from nearly impossible to easy; the shape of a batch of prompts
- ``maxpo/CombinationLock-v0``: a code entered digit by digit
- ``maxpo/Maze-v0``: goals of different value, near and far, and states that an episode comes back to
- ``maxpo/ChainSum-v0``: running sums written token by token, judged by a verifier
- ``maxpo/GaussianBandit-v0``: a continuous action and continuous rewards

All are Gymnasium environments and ``Specimen``s. With ``theta`` the parameters of the policy, an array:

- ``specimen.theta``: the parameters it starts from, read-only; ``specimen.prompts``: how many prompts
- ``specimen.max_at_k(theta, k)`` and ``specimen.max_at_k_gradient(theta, k)``: averaged over the prompts
- ``specimen.sampler(theta, device, prompt)``: batched groups of rollouts in torch, with implicit scores

All but GaussianBandit have finitely many rewards and are ``ExactSpecimen``s:

- ``specimen.levels(theta, prompt, covariances=...)``: the exact ``maxpo_lab.RewardLevels`` of one prompt,
  from which ``maxpo_lab.exact_moments`` gets bias and variance of any rule

``from_gymnasium`` makes a specimen of Gymnasium's own tabular worlds; ``check_step`` holds a table against
an environment's own steps. ``envs.sequence.SequencePolicy`` puts
a next-token network on a sequence task (CombinationLock, ChainSum), and ``envs.rollouts`` samples any
environment with any torch policy; both import torch, which nothing above does before ``sampler`` is called.
"""

from importlib.util import find_spec

if find_spec("gymnasium") is None:
    raise ImportError("the specimens are Gymnasium's: pip install -c constraints.txt -e '.[lab]'")

from . import registration as registration
from .bandits.gaussian_bandit import GaussianBandit
from .bandits.prompt_bandit import PromptBandit
from .bandits.sparse_bandit import SparseBandit
from .base.specimen import ExactSpecimen, Specimen
from .tabular.against_step import check_step
from .tabular.toy_text import from_gymnasium
from .worlds.chain_sum import ChainSum
from .worlds.lock import CombinationLock
from .worlds.maze import Maze

__all__ = [
    "ChainSum",
    "CombinationLock",
    "ExactSpecimen",
    "GaussianBandit",
    "Maze",
    "PromptBandit",
    "SparseBandit",
    "Specimen",
    "check_step",
    "from_gymnasium",
]
