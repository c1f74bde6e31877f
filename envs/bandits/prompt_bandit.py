"""PromptBandit: a batch of prompts from nearly impossible to easy, each a sparse bandit of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

import maxpo_lab as ml
from maxpo_lab import RewardLevels
from maxpo_lab.core.arguments import real_number, real_numbers, whole_number
from maxpo_lab.core.arrays import Float
from maxpo_lab.policies.checks import CovarianceForm

from ..tabular.oracle import MAX_NUMBERS
from ..tabular.stepping import TabularEnv
from .sparse_bandit import Within, bandit, graded_arms, sparse_logits

if TYPE_CHECKING:
    import torch

    from .categorical_sampling import CategoricalSampler


class PromptBandit(TabularEnv):
    """Sparse bandits of unequal difficulty side by side: the shape of a batch of verifiable prompts.

    ## Description
    Each of ``prompts`` prompts is a bandit whose ``good`` first arms, of ``arms``, pay. Prompts differ in
    how often the initial policy finds a good arm: success rates run from ``hardest`` to ``easiest`` in equal
    steps of their logarithm, the quantiles of the log-uniform law.

    ## Action Space
    ``Discrete(arms)``: the arm pulled. The good arms come first.

    ## Observation Space
    ``Discrete(prompts)``: the prompt, hardest first. ``reset(options={"prompt": i})`` chooses one, else it is
    drawn uniformly.

    ## Rewards
    0 for a bad arm. The good arms are split into equal runs, one per grade of ``grades`` (default:
    1 for all), earlier runs one arm longer where they do not divide. All prompts alike.

    ## Episode End
    After one step.

    ## Exact Oracle
    A softmax policy over the arms for every prompt, with logits ``theta`` (prompts, arms): prompts share no
    parameters. Inside the good arms of a prompt, and inside the bad ones, all are alike (``within="even"``)
    or have probability proportional to 1/rank (``"zipf"``). ``levels(theta, prompt)`` is exact in closed
    form, in the parameter space of all prompts; a batch is
    ``maxpo_lab.batch_moments(rule, [specimen.levels(theta, p) for p in range(specimen.prompts)], ...)``.

    ## Arguments
    ``gymnasium.make("maxpo/PromptBandit-v0", prompts=32, arms=100, good=10, hardest=1e-3, easiest=0.5,
    within="even", grades=(1.0,))``

    ## References
    Pass@K Policy Optimization, arXiv 2505.15201; On Advantage Estimates for Max@K Policy Gradients, arXiv
    2606.06080.

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        prompts: int = 32,
        arms: int = 100,
        good: int = 10,
        hardest: float = 1e-3,
        easiest: float = 0.5,
        within: Within = "even",
        grades: Sequence[float] = (1.0,),
        render_mode: str | None = None,
    ) -> None:
        self.arms, self.good = arms, good
        self.success_rates = log_uniform_rates(prompts, hardest, easiest)
        self.success_rates.setflags(write=False)
        self.rewards = graded_arms(arms, good, grades)
        self.rewards.setflags(write=False)
        self.grades = real_numbers(grades, "grades")
        theta = np.stack([sparse_logits(arms, good, float(rate), within) for rate in self.success_rates])
        super().__init__(bandit(np.broadcast_to(self.rewards, theta.shape)), theta, render_mode)

    def levels(
        self, theta: npt.ArrayLike, prompt: int | None = None, *, covariances: CovarianceForm = "projected"
    ) -> RewardLevels:
        """The exact oracle: reward levels on one prompt, scores over all entries of ``theta``.

        ``covariances="full"`` takes L (prompts arms)^2 numbers, nearly all of them 0; ValueError beyond 2^28.
        """
        array, prompt = self._parameters(theta), self._one_prompt(prompt)
        row = RewardLevels.from_softmax(array[prompt], self.rewards, covariances=covariances)
        size, d, own = len(row.values), array.size, slice(prompt * self.arms, (prompt + 1) * self.arms)
        scores, full = np.zeros((size, d)), None
        scores[:, own] = row.mean_scores
        if row.score_covariances is not None:
            if size * d**2 > MAX_NUMBERS:
                raise ValueError(
                    f'covariances="full": {size} levels of {d} parameters need {size * d**2:,} numbers, more '
                    f'than {MAX_NUMBERS:,}; use "projected", or fewer prompts or arms'
                )
            full = np.zeros((size, d, d))
            full[:, own, own] = row.score_covariances
        return RewardLevels(
            row.values,
            row.probabilities,
            scores,
            row.score_second_moments,
            full,
            row.projected_covariances,
        )

    def sampler(
        self, theta: npt.ArrayLike, device: torch.device | str = "cpu", prompt: int | None = None
    ) -> CategoricalSampler:
        """Batched groups of pulls under logits ``theta``; each draws its prompt where ``prompt`` is None."""
        from .categorical_sampling import CategoricalSampler  # noqa: PLC0415 - torch is heavy to import

        prompts = range(self.prompts) if prompt is None else (self._one_prompt(prompt),)
        return CategoricalSampler.of(self._parameters(theta), self.rewards, prompts, device=device)

    def max_at_k_gradient(self, theta: npt.ArrayLike, k: int) -> Float:
        """The gradient of ``max_at_k``, (prompts, arms)."""
        rows = [
            ml.max_at_k_gradient(RewardLevels.from_softmax(row, self.rewards, covariances=None), k)
            for row in self._parameters(theta)
        ]
        return np.stack(rows) / self.prompts


def log_uniform_rates(prompts: int, hardest: float, easiest: float) -> Float:
    """Success rates (prompts,), evenly spaced in their logarithm and ascending; checked."""
    if whole_number(prompts, "prompts") < 1:
        raise ValueError(f"prompts={prompts}: at least one is needed")
    if not 0 < real_number(hardest, "hardest") <= real_number(easiest, "easiest") < 1:
        raise ValueError(f"hardest={hardest}, easiest={easiest}: need 0 < hardest <= easiest < 1")
    if prompts == 1 and hardest != easiest:
        raise ValueError(
            f"prompts=1, hardest={hardest}, easiest={easiest}: one prompt has one success rate; "
            f"give both the same, or use maxpo/SparseBandit-v0"
        )
    return np.geomspace(hardest, easiest, prompts)
