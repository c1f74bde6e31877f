"""SparseBandit: one step, many arms, few of them good; every gradient in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import gymnasium
import numpy as np
import numpy.typing as npt

from maxpo_lab import RewardLevels

if TYPE_CHECKING:
    import torch

    from .sampling import CategoricalSampler

Float = npt.NDArray[np.float64]


class SparseBandit(gymnasium.Env[np.int64, np.int64]):
    """A bandit with sparse rewards, the smallest world in which max@K is not the mean reward.

    ## Description
    ``good`` of the ``arms`` pay, all others pay 0. An arm stands for a whole answer to a prompt, the
    good ones for its correct answers: one or many of them, with one verdict (1) or with grades.

    ## Action Space
    ``Discrete(arms)``: the arm pulled. The good arms come first.

    ## Observation Space
    ``Discrete(1)``: always 0. There is one prompt.

    ## Rewards
    0 for a bad arm. The good arms are split into equal runs, one a grade of ``grades`` (default: 1
    for all), earlier runs one arm longer where they do not divide.

    ## Episode End
    After one step.

    ## Exact Oracle
    A softmax policy over the arms with logits ``theta``. At the initial ``theta`` the good arms have
    total probability ``success`` and the bad ones the rest; inside each class the arms are alike
    (``within="even"``) or have probability proportional to 1/rank (``"zipf"``). ``levels(theta)`` is exact
    in O(arms x levels), for any ``theta``.

    ## Arguments
    ``gymnasium.make("maxpo/SparseBandit-v0", arms=100, good=10, success=0.05, grades=(1.0,), within="even")``

    ## References
    On Advantage Estimates for Max@K Policy Gradients, arXiv 2606.06080.

    ## Version History
    * v0: initial version.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own declaration

    def __init__(
        self,
        arms: int = 100,
        good: int = 10,
        success: float = 0.05,
        grades: Sequence[float] = (1.0,),
        within: Literal["even", "zipf"] = "even",
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None:
            raise ValueError(f"render_mode={render_mode!r}: a bandit has nothing to render; use None")
        if not 1 <= good < arms:
            raise ValueError(f"good={good}, arms={arms}: need 1 <= good < arms, so that success can vary")
        if not 0 < success < 1:
            raise ValueError(f"success={success}: a probability strictly between 0 and 1 is needed")
        if not 1 <= len(grades) <= good or not np.isfinite(grades).all() or min(grades) <= 0:
            raise ValueError(
                f"grades={tuple(grades)}: need 1 to good={good} finite rewards above 0, the bad arms' reward"
            )
        if within not in ("even", "zipf"):
            raise ValueError(f"within={within!r}: must be 'even' or 'zipf'")
        self.arms, self.good, self.success = arms, good, success
        self.grades = tuple(float(grade) for grade in grades)
        self.rewards: Float = np.zeros(arms)
        for run, grade in zip(np.array_split(np.arange(good), len(grades)), self.grades, strict=True):
            self.rewards[run] = grade
        ranks = np.concatenate([np.arange(1, good + 1), np.arange(1, arms - good + 1)])
        share = 1.0 / ranks if within == "zipf" else np.ones(arms)
        share[:good] *= success / share[:good].sum()
        share[good:] *= (1 - success) / share[good:].sum()
        self.theta: Float = np.log(share)
        for fixed in (self.rewards, self.theta):
            fixed.setflags(write=False)
        self.render_mode = None
        self.action_space = gymnasium.spaces.Discrete(arms)
        self.observation_space = gymnasium.spaces.Discrete(1)
        self._ended = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.int64, dict[str, Any]]:
        """Start an episode; there are no options."""
        super().reset(seed=seed)
        if options:
            raise ValueError(f"options={options}: SparseBandit has none")
        self._ended = False
        return np.int64(0), {}

    def step(self, action: np.int64) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        """Pull an arm; the episode ends."""
        if self._ended:
            raise RuntimeError("the episode has ended: call reset() before step()")
        if not self.action_space.contains(action):
            raise ValueError(f"action={action!r}: must be an arm, 0 to {self.arms - 1}")
        self._ended = True
        return np.int64(0), float(self.rewards[action]), True, False, {}

    def levels(self, theta: npt.ArrayLike) -> RewardLevels:
        """The exact oracle: reward levels of the softmax policy with logits ``theta`` (arms,)."""
        return RewardLevels.from_softmax(theta, self.rewards)

    def sampler(self, theta: npt.ArrayLike, device: torch.device | str = "cpu") -> CategoricalSampler:
        """Batched groups of pulls under logits ``theta`` (arms,), in torch on ``device``."""
        from .sampling import CategoricalSampler  # noqa: PLC0415 - torch takes a second to import

        return CategoricalSampler.from_logits(theta, self.rewards, device=device)
