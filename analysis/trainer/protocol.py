"""What a trainer asks of a world: reward masses, rollouts drawn by inversion, and J_K exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import torch


class Rollouts(Protocol):
    """Groups of rollouts of every policy of a stack, and the mean of their scores under it."""

    @property
    def rewards(self) -> torch.Tensor:
        """Float64, (arms, seeds, groups, n)."""
        ...

    @property
    def prompts(self) -> torch.Tensor:
        """The number of each group's prompt, (seeds, groups): all arms of a seed have the same.

        With an axis of arms in front where they differ, as groups were ``replaced``.
        """
        ...

    def replaced(self, others: Self, arms: Sequence[int], where: torch.Tensor) -> Self:
        """With groups of other rollouts, of these arms, in place of those marked, (arms, seeds, groups)."""
        ...

    def gradient(self, advantages: torch.Tensor) -> torch.Tensor:
        """The mean over groups of ``(1/n) sum_i A_i s_i``: (arms, seeds, groups, n) to (arms, seeds, d)."""
        ...

    @property
    def mask(self) -> torch.Tensor:
        """Which tokens there are, (arms, seeds, groups, n, T)."""
        ...

    def tokens(self, theta: torch.Tensor) -> TokensAt:
        """The same rollouts under policies (arms, seeds, d), whichever drew them."""
        ...


class TokensAt(Protocol):
    """The tokens of rollouts under a stack of policies."""

    @property
    def logs(self) -> torch.Tensor:
        """Log-probabilities, (arms, seeds, groups, n, T), 0 beyond the end."""
        ...

    def gradient(self, weights: torch.Tensor) -> torch.Tensor:
        """``sum w_it grad log pi(o_it)`` over rollouts: weights shaped as ``logs`` to (arms, seeds, d)."""
        ...


@dataclass(frozen=True)
class Spread:
    """How a policy spreads over its outcomes, averaged over prompts, (arms, seeds) each.

    Attributes
    ----------
    entropy
        Entropy of the distribution of the outcomes (arms, words, trajectories), in nats.
    diversity
        exp of the entropy of the outcome given that it is correct: an effective number of correct outcomes.
        Correct is what earns the highest reward of its prompt.
    """

    entropy: torch.Tensor
    diversity: torch.Tensor


class Uniforms:
    """Uniform numbers in [0, 1), one stream per seed, the same for every arm.

    Parameters
    ----------
    seeds
        A root for each stream: its numbers do not depend on the others.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._roots = tuple(seeds)
        self._generators = [_generator(np.random.SeedSequence(seed)) for seed in seeds]

    def beside(self, *place: int) -> Uniforms:
        """Streams of the same seeds for what some arms draw more: at each place others, always the same."""
        streams = Uniforms(())
        streams._roots = self._roots
        streams._generators = [
            _generator(np.random.SeedSequence(seed, spawn_key=place)) for seed in self._roots
        ]
        return streams

    @property
    def seeds(self) -> int:
        """How many streams there are."""
        return len(self._generators)

    def __call__(self, *shape: int) -> torch.Tensor:
        """The next numbers, (seeds, *shape)."""
        return torch.stack(
            [torch.rand(shape, dtype=torch.float64, generator=generator) for generator in self._generators]
        )


def _generator(sequence: np.random.SeedSequence) -> torch.Generator:
    state = sequence.generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


class World(Protocol):
    """A specimen whose parameters are a stack theta (arms, seeds, d), float64.

    ``values`` (L,) are the rewards of all prompts, ascending; ``optimum`` the largest J_K there is, for any
    K; ``start`` (d,) the parameters of a start.
    """

    @property
    def values(self) -> torch.Tensor: ...  # noqa: D102
    @property
    def optimum(self) -> float: ...  # noqa: D102
    @property
    def start(self) -> torch.Tensor: ...  # noqa: D102

    def masses(self, theta: torch.Tensor) -> torch.Tensor:
        """Probabilities of the rewards, differentiable: (arms, seeds, prompts, L)."""
        ...

    def measured(self, theta: torch.Tensor) -> tuple[torch.Tensor, Spread]:
        """The masses, and how the policies spread, from one pass."""
        ...

    def rollouts(self, theta: torch.Tensor, groups: int, n: int, uniforms: Uniforms) -> Rollouts:
        """Groups of n rollouts of every policy; each group draws its prompt uniformly.

        All arms of a seed see the same uniform numbers.
        """
        ...


def objective(values: torch.Tensor, masses: torch.Tensor, k: int) -> torch.Tensor:
    r"""``J_K`` averaged over the prompts: values (L,) and masses (..., prompts, L) to (...).

    .. math:: J_K = r_1 + \sum_m (r_{m+1} - r_m) (1 - (1 - P(R > r_m))^K) .

    The tails are summed from the top; absolute accuracy is K roundings of 1.
    """
    tail = masses.flip(-1).cumsum(dim=-1).flip(-1)[..., 1:]
    reached = 1 - (1 - tail).clamp(min=0) ** k
    return values[0] + (reached @ values.diff()).mean(dim=-1)
