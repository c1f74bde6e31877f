"""SparseBandit: one step, many arms, few of them good; every gradient in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from maxpo_lab import RewardLevels
from maxpo_lab.core.arguments import real_number, real_numbers, whole_number
from maxpo_lab.core.arrays import Float
from maxpo_lab.policies.checks import CovarianceForm

from ..tabular.mdp import TabularMDP
from ..tabular.stepping import TabularEnv

if TYPE_CHECKING:
    import torch

    from .categorical_sampling import CategoricalSampler

Within = Literal["even", "zipf"]


class SparseBandit(TabularEnv):
    """A bandit with sparse rewards, the smallest world in which max@K is not the mean reward.

    ## Description
    ``good`` of the ``arms`` pay, all others pay 0. An arm stands for a whole answer to a prompt, the
    good ones for its correct answers: one or many of them, with one verdict (1) or with grades.

    ## Action Space
    ``Discrete(arms)``: the arm pulled. The good arms come first.

    ## Observation Space
    ``Discrete(1)``: always 0. There is one prompt.

    ## Rewards
    0 for a bad arm. The good arms are split into equal runs, one per grade of ``grades`` (default:
    1 for all), earlier runs one arm longer where they do not divide.

    ## Episode End
    After one step.

    ## Exact Oracle
    A softmax policy over the arms with logits ``theta`` (arms,). At the initial ``theta`` the good arms have
    total probability ``success`` and the bad ones the rest; inside each class the arms are alike
    (``within="even"``) or have probability proportional to 1/rank (``"zipf"``). ``levels(theta)`` is exact
    in closed form for any ``theta``, without an arms x arms matrix, so for a million arms too.

    ## Arguments
    ``gymnasium.make("maxpo/SparseBandit-v0", arms=100, good=10, success=0.05, grades=(1.0,), within="even")``

    ## References
    On Advantage Estimates for Max@K Policy Gradients, arXiv 2606.06080.

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        arms: int = 100,
        good: int = 10,
        success: float = 0.05,
        grades: Sequence[float] = (1.0,),
        within: Within = "even",
        render_mode: str | None = None,
    ) -> None:
        self.arms, self.good, self.success = arms, good, success
        self.rewards = graded_arms(arms, good, grades)
        self.rewards.setflags(write=False)
        self.grades = real_numbers(grades, "grades")
        super().__init__(bandit(self.rewards[None]), sparse_logits(arms, good, success, within), render_mode)

    def levels(
        self, theta: npt.ArrayLike, prompt: int | None = None, *, covariances: CovarianceForm = "projected"
    ) -> RewardLevels:
        """The exact oracle: reward levels of the softmax policy with logits ``theta`` (arms,)."""
        self._one_prompt(prompt)
        return RewardLevels.from_softmax(self._parameters(theta), self.rewards, covariances=covariances)

    def sampler(
        self, theta: npt.ArrayLike, device: torch.device | str = "cpu", prompt: int | None = None
    ) -> CategoricalSampler:
        """Batched groups of pulls under logits ``theta`` (arms,), in torch on ``device``."""
        from .categorical_sampling import CategoricalSampler  # noqa: PLC0415 - torch is heavy to import

        self._one_prompt(prompt)
        return CategoricalSampler.of(self._parameters(theta)[None], self.rewards, device=device)

    def occupancy(self, theta: npt.ArrayLike, prompt: int | None = None) -> Float:
        """Expected pulls of an episode, shape (1,): one."""
        self._parameters(theta)
        self._one_prompt(prompt)
        return np.ones(1)


def bandit(rewards: Float) -> TabularMDP:
    """One pull per episode: rewards (prompts, arms), a prompt being all that is seen."""
    prompts, arms = rewards.shape
    prompt, arm = (index.ravel() for index in np.indices(rewards.shape))
    return TabularMDP(
        source=prompt,
        action=arm,
        target=prompt,
        probability=np.ones(rewards.size),
        reward=rewards.ravel(),
        terminated=np.ones(rewards.size, dtype=bool),
        observation=np.arange(prompts),
        starts=tuple({index: 1.0} for index in range(prompts)),
        horizon=1,
        observations=prompts,
        actions=arms,
    )


def graded_arms(arms: int, good: int, grades: Sequence[float]) -> Float:
    """Rewards (arms,): the good arms first, in equal runs of each grade; checked."""
    if not 1 <= whole_number(good, "good") < whole_number(arms, "arms"):
        raise ValueError(f"good={good}, arms={arms}: need 1 <= good < arms, so that success can vary")
    grades = real_numbers(grades, "grades")
    if not 1 <= len(grades) <= good or not np.isfinite(grades).all() or min(grades) <= 0:
        raise ValueError(
            f"grades={grades}: need 1 to good={good} finite rewards above 0, the bad arms' reward"
        )
    rewards = np.zeros(arms)
    for run, grade in zip(np.array_split(np.arange(good), len(grades)), grades, strict=True):
        rewards[run] = grade
    return rewards


def sparse_logits(arms: int, good: int, success: float, within: Within) -> Float:
    """Logits (arms,) that give the good arms, which come first, total probability ``success``; checked."""
    if not 0 < real_number(success, "success") < 1:
        raise ValueError(f"success={success}: a probability strictly between 0 and 1 is needed")
    if within not in ("even", "zipf"):
        raise ValueError(f"within={within!r}: must be 'even' or 'zipf'")
    ranks = np.concatenate([np.arange(1, good + 1), np.arange(1, arms - good + 1)])
    share = 1.0 / ranks if within == "zipf" else np.ones(arms)
    share[:good] *= success / share[:good].sum()
    share[good:] *= (1 - success) / share[good:].sum()
    return np.asarray(np.log(share))
