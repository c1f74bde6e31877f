"""GaussianBandit: continuous rewards, and a policy of one parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from maxpo_lab.core.arguments import as_k, real_number, whole_number
from maxpo_lab.core.arrays import Bool, Float, Int64

from ..base.specimen import Specimen, chosen_prompt
from .gaussian_oracle import GaussianObjective
from .gaussian_rollouts import GaussianRollouts, paid

if TYPE_CHECKING:
    import torch

    from .gaussian_sampling import GaussianSampler


class GaussianBandit(gymnasium.Env[np.int64, Float], Specimen):
    """One real number per rollout, paid by its square until it goes too far.

    ## Description
    A continuous bandit with one prompt. The reward grows up to 1 and drops to 0 beyond it: how much risk a
    policy should take depends on K, since max@K forgives K - 1 rollouts that went too far. Rewards are
    continuous, and ties have probability 0 but among rewards of 0.

    ## Action Space
    ``Box(0, 1, (1,))``: the range that pays. Any other real number is taken too, and pays 0.

    ## Observation Space
    ``Discrete(1)``: always 0. There is one prompt.

    ## Rewards
    ``x^2`` for an action x in [0, 1], 0 elsewhere.

    ## Episode End
    After one step.

    ## Exact Oracle
    A Gaussian policy of standard deviation ``sigma`` whose mean is the parameter, ``theta`` (1,).
    ``max_at_k`` and ``max_at_k_gradient`` are one-dimensional integrals, each computed to a relative error
    of 1e-10; the gradient is the difference of two of them. Rewards take infinitely many values: moments of
    rules are sampled (``sampler``), not exact.

    ## Arguments
    ``gymnasium.make("maxpo/GaussianBandit-v0", sigma=0.1, mean=0.5)``

    ## References
    The one-dimensional toy problem of Pass@K Policy Optimization, arXiv 2505.15201.

    ## Version History
    * v0: initial version.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own declaration

    def __init__(self, sigma: float = 0.1, mean: float = 0.5, render_mode: str | None = None) -> None:
        if render_mode is not None:
            raise ValueError(f"render_mode={render_mode!r}: must be None")
        if not 0 < real_number(sigma, "sigma") < np.inf:
            raise ValueError(f"sigma={sigma}: a standard deviation above 0 is needed, e.g. sigma=0.1")
        if not np.isfinite(real_number(mean, "mean")):
            raise ValueError(f"mean={mean}: must be finite, e.g. mean=0.5")
        self.sigma, self.mean, self.render_mode = float(sigma), float(mean), None
        self.theta = np.array([mean], dtype=np.float64)
        self.theta.setflags(write=False)
        self.action_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float64)
        self.observation_space = gymnasium.spaces.Discrete(1)
        self._over = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.int64, dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        chosen_prompt(self, options)
        self._over = False
        return np.int64(0), {"prompt": 0}

    def step(self, action: Float) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        """Play a number, (1,)."""
        if self._over:
            raise RuntimeError("the episode has ended: call reset() before step()")
        reward = paid(check_numbers(action, (1,)))
        self._over = True
        return np.int64(0), float(reward[0]), True, False, {}

    def sampler(
        self, theta: npt.ArrayLike, device: torch.device | str = "cpu", prompt: int | None = None
    ) -> GaussianSampler:
        """Batched groups of rollouts under mean ``theta`` (1,), in torch on ``device``."""
        import torch  # noqa: PLC0415 - heavy to import

        from maxpo_lab.core.devices import as_device  # noqa: PLC0415

        from .gaussian_sampling import GaussianSampler  # noqa: PLC0415

        self._one_prompt(prompt)
        mean = torch.tensor(self._parameters(theta), dtype=torch.float64, device=as_device(device))
        return GaussianSampler(mean, self.sigma)

    def rollouts(
        self,
        theta: npt.ArrayLike,
        prompt: int | None = None,
        *,
        behaviour: npt.ArrayLike | None = None,
        proximal: npt.ArrayLike | None = None,
        reference: npt.ArrayLike | None = None,
    ) -> GaussianRollouts:
        """Numbers to be drawn, for ``monte_carlo_updates``; means (1,) of the policies as in ``Outcomes``.

        It knows no levels: give ``gradient=`` what ``max_at_k_gradient`` says.
        """
        self._one_prompt(prompt)
        mean = float(self._parameters(theta)[0])
        drawing = mean if behaviour is None else float(self._parameters(behaviour)[0])
        return GaussianRollouts(
            mean,
            self.sigma,
            behaviour=drawing,
            proximal=drawing if proximal is None else float(self._parameters(proximal)[0]),
            reference=None if reference is None else float(self._parameters(reference)[0]),
        )

    def max_at_k(self, theta: npt.ArrayLike, k: int) -> float:
        """``J_K``, to a relative error of 1e-10."""
        return self._objective(theta).max_at_k(as_k(k))

    def max_at_k_gradient(self, theta: npt.ArrayLike, k: int) -> Float:
        """The derivative of ``max_at_k`` in the mean, (1,); RuntimeError as ``GaussianObjective.slope``."""
        return np.array([self._objective(theta).slope(as_k(k))])

    def _objective(self, theta: npt.ArrayLike) -> GaussianObjective:
        return GaussianObjective(float(self._parameters(theta)[0]), self.sigma)


class GaussianVectorEnv(VectorEnv[Int64, Float, Any]):
    """Many episodes of one ``GaussianBandit`` at a time; one that has ended starts anew at its next step."""

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012 - as Gymnasium's

    def __init__(self, num_envs: int = 1, **settings: Any) -> None:
        if whole_number(num_envs, "num_envs") < 1:
            raise ValueError(f"num_envs={num_envs}: at least one is needed")
        self.specimen, self.num_envs = GaussianBandit(**settings), num_envs
        self.single_action_space = self.specimen.action_space
        self.single_observation_space = self.specimen.observation_space
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._over: bool | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Int64, dict[str, Any]]:
        """Start all episodes."""
        super().reset(seed=seed)
        chosen_prompt(self.specimen, options)
        self._over = False
        return self._observation(), self._started()

    def step(self, actions: Float) -> tuple[Int64, Float, Bool, Bool, dict[str, Any]]:
        """Play a number in every episode, (num_envs, 1), or start them anew: they all end together."""
        if self._over is None:
            raise RuntimeError("no episode has begun: call reset() before step()")
        rewards = paid(check_numbers(actions, (self.num_envs, 1)))[:, 0]
        if self._over:
            rewards = np.zeros(self.num_envs)
        self._over = not self._over
        ended = np.full(self.num_envs, self._over)
        info = {} if self._over else self._started()
        return self._observation(), rewards, ended, np.zeros(self.num_envs, dtype=bool), info

    def _observation(self) -> Int64:
        return np.zeros(self.num_envs, dtype=np.int64)

    def _started(self) -> dict[str, Any]:
        """The prompts of episodes that start, all of them."""
        prompt = np.zeros(self.num_envs, dtype=np.int64)
        return {"prompt": prompt, "_prompt": np.ones(self.num_envs, dtype=bool)}


def check_numbers(action: npt.ArrayLike, shape: tuple[int, ...]) -> Float:
    """Actions in float64; ValueError where they are not finite or of another shape."""
    array = np.asarray(action, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"action={action!r}: must be finite numbers of shape {shape}")
    return array
