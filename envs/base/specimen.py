"""What every specimen offers: a policy with parameters, its exact oracle, and batched groups of rollouts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import maxpo_lab as ml
from maxpo_lab import Outcomes, RewardLevels
from maxpo_lab.core.arguments import whole_number
from maxpo_lab.core.arrays import Float
from maxpo_lab.core.precision import as_real
from maxpo_lab.policies.checks import CovarianceForm

if TYPE_CHECKING:
    import torch

    from maxpo_lab.policies.samplers import Sampler


class Specimen(ABC):
    """A policy whose objective and its gradient are known.

    Attributes
    ----------
    theta
        The parameters it starts from, a read-only array of any shape. Scores, gradients and covariances are
        over its entries in C order.
    prompts
        How many prompts there are. A group is n rollouts of one prompt; the objective is the mean over
        the prompts.
    """

    theta: Float
    prompts: int = 1

    @abstractmethod
    def sampler(
        self, theta: npt.ArrayLike, device: torch.device | str = "cpu", prompt: int | None = None
    ) -> Sampler:
        """Batched groups of rollouts, in torch on ``device``, with implicit scores.

        Where there are several prompts and ``prompt`` is None, every group draws its own, uniformly.
        ValueError for a device that this machine does not have.
        """

    @abstractmethod
    def max_at_k(self, theta: npt.ArrayLike, k: int) -> float:
        """``J_K``, the expected maximum of K rewards, averaged over the prompts."""

    @abstractmethod
    def max_at_k_gradient(self, theta: npt.ArrayLike, k: int) -> Float:
        """The gradient of ``max_at_k``, in the shape of ``theta``."""

    def _one_prompt(self, prompt: int | None) -> int:
        """The prompt that is meant, checked."""
        name = type(self).__name__
        if prompt is None:
            if self.prompts == 1:
                return 0
            raise ValueError(f"{name} has {self.prompts} prompts: say which, e.g. levels(theta, prompt=0)")
        prompt = whole_number(prompt, "prompt")
        if not 0 <= prompt < self.prompts:
            raise ValueError(f"prompt={prompt}: {name} has prompts 0 to {self.prompts - 1}")
        return prompt

    def _parameters(self, theta: npt.ArrayLike) -> Float:
        """``theta`` in float64, checked to be finite and of the specimen's shape."""
        array = as_real(theta, "theta")
        if array.shape != self.theta.shape:
            raise ValueError(f"theta has shape {array.shape}: expected {self.theta.shape}")
        if not np.isfinite(array).all():
            raise ValueError("theta must be finite")
        return array


class ExactSpecimen(Specimen):
    """A specimen whose rewards take finitely many values: exact moments of every rule are known too."""

    @abstractmethod
    def levels(
        self, theta: npt.ArrayLike, prompt: int | None = None, *, covariances: CovarianceForm = "projected"
    ) -> RewardLevels:
        """The exact oracle: reward levels of the policy with parameters ``theta`` on one prompt.

        ``prompt`` may be left out where there is one. ``covariances`` as in ``RewardLevels.from_outcomes``.
        """

    def outcomes(
        self,
        theta: npt.ArrayLike,
        prompt: int | None = None,
        *,
        behaviour: npt.ArrayLike | None = None,
        proximal: npt.ArrayLike | None = None,
        reference: npt.ArrayLike | None = None,
    ) -> Outcomes:
        """Every rollout of the policy with parameters ``theta`` on one prompt, for ``update_moments``.

        The others are parameters of the policies that draw, clip and penalise, see ``maxpo_lab.Outcomes``.
        ValueError where there are too many rollouts to list, NotImplementedError where a specimen lists none.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not list its rollouts: give it outcomes(theta)"
        )

    def max_at_k(self, theta: npt.ArrayLike, k: int) -> float:
        """``J_K``, the expected maximum of K rewards, averaged over the prompts."""
        return float(np.mean([ml.max_at_k(levels, k) for levels in self._all_levels(theta)]))

    def max_at_k_gradient(self, theta: npt.ArrayLike, k: int) -> Float:
        """The gradient of ``max_at_k``, in the shape of ``theta``."""
        gradients = [ml.max_at_k_gradient(levels, k) for levels in self._all_levels(theta)]
        return np.asarray(np.mean(gradients, axis=0)).reshape(self.theta.shape)

    def _all_levels(self, theta: npt.ArrayLike) -> list[RewardLevels]:
        return [self.levels(theta, prompt, covariances=None) for prompt in range(self.prompts)]


def chosen_prompt(specimen: Specimen, options: Any) -> int | None:
    """The prompt that the options of a ``reset`` ask for, None where they leave it open.

    Raises TypeError for options that are no dict, ValueError where they ask for anything else.
    """
    if options is not None and not isinstance(options, Mapping):
        kind = type(options).__name__
        raise TypeError(f"options={options!r} is a {kind}: it must be a dict, e.g. options={{'prompt': 0}}")
    if not options:
        return None
    if set(options) != {"prompt"}:
        raise ValueError(f"options={options}: the only one is 'prompt'")
    return specimen._one_prompt(options["prompt"])
