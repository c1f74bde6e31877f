"""Sampled episodes of any Gymnasium environment under a torch policy, for worlds without an exact oracle."""

from __future__ import annotations

from contextlib import closing
from typing import Any, cast

import gymnasium
import numpy as np
import numpy.typing as npt
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from maxpo_lab.core.arguments import whole_number
from maxpo_lab.core.devices import as_device, check_generator
from maxpo_lab.core.precision import as_real

from .autograd_scores import AutogradScores
from .torch_policy import FlatModule, draw

#: Copies of the environment that step together, unless told otherwise.
COPIES = 1024


class RolloutSampler:
    """Groups of i.i.d. episodes; the reward of a rollout is its undiscounted return.

    Called as ``sampler(groups, n, generator=...)``; returns returns, float64 (groups, n), and their
    ``AutogradScores``. Every rollout starts from a state of its own, so the one prompt is the distribution of
    starts. All that is random comes from the generator, which must live on the sampler's device: the
    actions, and the seeds of the environments, one per episode, or one for ``copies`` episodes where the
    environment has a vector form of its own.

    Attributes
    ----------
    device, parameters
        Where the policy runs; d, the number of its parameters.
    policy, theta
        The policy as a function of its parameters; these, (d,).

    Parameters
    ----------
    env_id
        An environment of Gymnasium's registry with discrete actions, and with observations that are arrays or
        numbers (``Box``, ``Discrete``, ``MultiDiscrete``, ``MultiBinary``).
    policy
        A torch module: observations (B, ...), float64, or int64 where they are whole numbers, to logits
        (B, actions).
    horizon
        Steps at most. An episode ends earlier where the environment says so.
    theta
        Parameters (d,), default the module's own.
    device
        Where the policy runs; the environment steps on the CPU.
    copies
        Episodes that step together.
    settings
        Settings of the environment, for ``gymnasium.make_vec``.

    Notes
    -----
    Memory: horizon x observation numbers per rollout, kept for the scores.
    """

    def __init__(
        self,
        env_id: str,
        policy: torch.nn.Module,
        *,
        horizon: int,
        theta: npt.ArrayLike | None = None,
        device: torch.device | str = "cpu",
        copies: int = COPIES,
        **settings: Any,
    ) -> None:
        horizon, copies = whole_number(horizon, "horizon"), whole_number(copies, "copies")
        if horizon < 1 or copies < 1:
            raise ValueError(f"horizon={horizon}, copies={copies}: at least 1 of each is needed")
        self.env_id, self.horizon, self.copies, self.settings = env_id, horizon, copies, settings
        self.device = as_device(device)
        self.policy = FlatModule.of(policy, self.device)
        own = self.policy.theta()
        self.theta = own if theta is None else torch.tensor(as_real(theta, "theta"), device=self.device)
        if self.theta.shape != own.shape or not torch.isfinite(self.theta).all():
            raise ValueError(
                f"theta has shape {tuple(self.theta.shape)}: need finite numbers of shape {tuple(own.shape)}"
            )
        with closing(self._make(1)) as env:
            self._check(env)

    @property
    def parameters(self) -> int:
        """d, the number of parameters."""
        return self.policy.size

    def __call__(
        self, groups: int, n: int, *, generator: torch.Generator
    ) -> tuple[torch.Tensor, AutogradScores]:
        """Play ``groups`` groups of n episodes."""
        check_generator(generator, self.device)
        size = groups * n
        with closing(self._make(min(size, self.copies))) as env:
            starts = range(0, size, env.num_envs)
            batches = [self._play(env, generator) for _ in starts]
        returns, *steps = (torch.cat(parts)[:size] for parts in zip(*batches, strict=True))
        longest = int(steps[-1].sum(dim=1).max())
        rollouts = tuple(part[:, :longest].reshape(groups, n, longest, *part.shape[2:]) for part in steps)
        scores = AutogradScores(self.log_probability, self.theta, rollouts)
        return returns.reshape(groups, n), scores

    def log_probability(
        self, theta: torch.Tensor, observations: torch.Tensor, actions: torch.Tensor, taken: torch.Tensor
    ) -> torch.Tensor:
        """Log-probability (B,) of the actions of episodes, without that of the environment.

        Observations (B, H, ...), actions (B, H) counted from 0, and which steps were taken, (B, H).
        """
        logits = self.policy(theta, observations.flatten(0, 1)).reshape(*actions.shape, -1)
        steps = torch.log_softmax(logits, dim=-1).gather(2, actions[..., None])[..., 0]
        return (steps * taken).sum(dim=1)

    def _play(self, env: VectorEnv[Any, Any, Any], generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        """The first episode of each copy: returns, observations, actions and which steps were taken.

        Where an episode has ended its first step is repeated: any observation and action that have a finite
        log-probability will do.
        """
        size = (env.num_envs,)
        seeds = torch.randint(2**62, size, device=self.device, generator=generator).tolist()
        # A vector form of its own takes one seed for all its copies.
        observed, _ = env.reset(seed=seeds) if isinstance(env, SyncVectorEnv) else env.reset(seed=seeds[0])
        first = int(cast("Discrete[Any]", env.single_action_space).start)
        returns, alive = np.zeros(size), np.ones(size, dtype=np.bool_)
        taken = torch.zeros(*size, self.horizon, dtype=torch.bool, device=self.device)
        for step in range(self.horizon):
            seen = _numbers(observed, self.device)
            uniform = torch.rand(size, dtype=torch.float64, device=self.device, generator=generator)
            with torch.no_grad():
                action = draw(self.policy(self.theta, seen), uniform)
            if step == 0:
                observations, actions = (_repeated(part, self.horizon) for part in (seen, action))
            living = torch.tensor(alive, device=self.device)
            taken[:, step] = living
            observations[living, step], actions[living, step] = seen[living], action[living]
            observed, rewards, terminated, truncated, _ = env.step(action.cpu().numpy() + first)
            returns[alive] += np.asarray(rewards, dtype=np.float64)[alive]
            # What follows an end is that copy's next episode, whichever way it starts again.
            alive &= ~(terminated | truncated)
            if not alive.any():
                break
        if not np.isfinite(returns).all():
            raise ValueError(f"{self.env_id} gave a return that is not finite")
        return torch.tensor(returns, device=self.device), observations, actions, taken

    def _make(self, copies: int) -> VectorEnv[Any, Any, Any]:
        return gymnasium.make_vec(self.env_id, num_envs=copies, **self.settings)

    def _check(self, env: VectorEnv[Any, Any, Any]) -> None:
        """Refuse an environment or a policy of a kind that is not handled, and two that do not fit."""
        seen, acts = env.single_observation_space, env.single_action_space
        if not isinstance(acts, Discrete):
            raise TypeError(f"{self.env_id} has actions {acts}: a policy of logits needs Discrete actions")
        if not isinstance(seen, Box | Discrete | MultiDiscrete | MultiBinary):
            raise TypeError(
                f"{self.env_id} has observations {seen}: need Box, Discrete, MultiDiscrete or MultiBinary; "
                f"flatten them with a wrapper"
            )
        if env.metadata.get("autoreset_mode") == AutoresetMode.DISABLED:
            raise ValueError(
                f"{self.env_id} does not reset by itself: autoreset mode NEXT_STEP or SAME_STEP is needed"
            )
        with torch.no_grad():
            logits = self.policy(self.theta, _numbers(env.reset(seed=0)[0], self.device))
        if tuple(logits.shape) != (1, acts.n):
            raise ValueError(
                f"policy gives logits of shape {tuple(logits.shape)} for one observation of {self.env_id}: "
                f"expected (1, {acts.n})"
            )


def _numbers(observed: Any, device: torch.device) -> torch.Tensor:
    """Observations as int64 where they are whole numbers, else float64."""
    array = np.asarray(observed)
    return torch.tensor(array.astype(np.float64 if array.dtype.kind == "f" else np.int64), device=device)


def _repeated(first: torch.Tensor, horizon: int) -> torch.Tensor:
    """(B, ...) to (B, horizon, ...)."""
    return first[:, None].expand(-1, horizon, *first.shape[1:]).clone()
