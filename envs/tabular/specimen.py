"""A softmax policy on a tabular process, with reward levels that are exact however often a state is met."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse

from maxpo_lab import Outcomes, RewardLevels
from maxpo_lab.core.arrays import Float, Int
from maxpo_lab.policies.checks import CovarianceForm
from maxpo_lab.policies.rollouts import RolloutTokens

from ..base.specimen import ExactSpecimen
from . import oracle
from .enumeration import drawn_episodes, episodes
from .mdp import TabularMDP
from .unrolling import Unrolled, unroll

if TYPE_CHECKING:
    import torch

    from maxpo_lab.policies.samplers import Sampler


class TabularSpecimen(ExactSpecimen):
    """A softmax policy on a finite-horizon tabular process, with logits ``theta`` (observations, actions).

    Attributes
    ----------
    mdp
        The process. It does not change: its unrolling is made once and kept.
    """

    mdp: TabularMDP

    @property
    def horizon(self) -> int:
        """Steps at most."""
        return self.mdp.horizon

    def levels(
        self, theta: npt.ArrayLike, prompt: int | None = None, *, covariances: CovarianceForm = "projected"
    ) -> RewardLevels:
        """Reward levels of the softmax policy with logits ``theta``, exact for any revisits of a state.

        Parameters
        ----------
        theta
            Shape (observations, actions).
        prompt
            May be left out where there is one.
        covariances
            As in ``RewardLevels.from_outcomes``.

        Raises
        ------
        ValueError
            A wrong ``theta`` or prompt; more than 50 million transitions in the horizon; second moments of
            more than 2^28 numbers, where ``covariances=None`` is left.

        Notes
        -----
        Cost O(edges A + nodes d) of the unrolled process, A actions, d parameters; ``"projected"`` takes
        O(edges L^2) more with L levels, ``"full"`` O(edges L d) time and O(L d^2) memory.
        """
        policy = self._policy(theta)
        unrolled = self._unrolled(self._one_prompt(prompt))
        mass, scores, norms = oracle.first_moments(unrolled, policy)
        full = projected = None
        if covariances == "full":
            full = oracle.second_moments(unrolled, policy)
        elif covariances == "projected":
            projected = oracle.second_moments(unrolled, policy, oracle.mean_scores(mass, scores))
        elif covariances is not None:
            raise ValueError(f'covariances={covariances!r}: must be "projected", "full" or None')
        return RewardLevels.from_sums(
            unrolled.returns, mass, scores, norms, second_moments=full, projected=projected
        )

    def outcomes(
        self,
        theta: npt.ArrayLike,
        prompt: int | None = None,
        *,
        behaviour: npt.ArrayLike | None = None,
        proximal: npt.ArrayLike | None = None,
        reference: npt.ArrayLike | None = None,
    ) -> Outcomes:
        """Every episode, a token a decision; the score of one is 1 at its logit less the policy at its state.

        Cost O(M T d) for M episodes of T steps. ValueError beyond 100,000 episodes, or 2^27 numbers in their
        scores.
        """
        policy = self._policy(theta)
        found = episodes(self._unrolled(self._one_prompt(prompt)))
        shape = (*found.decisions.shape, policy.size)
        if (numbers := int(np.prod(shape))) > oracle.MAX_NUMBERS // 2:
            raise ValueError(
                f"scores of {shape[0]:,} episodes of {shape[1]} steps and {shape[2]} logits are {numbers:,} "
                f"numbers, more than {oracle.MAX_NUMBERS // 2:,}: use a shorter horizon or a smaller world"
            )
        taken, there = np.maximum(found.decisions, 0), found.decisions >= 0
        scores = oracle.decision_scores(policy).toarray()[taken] * there[..., None]

        def of(table: Float) -> Float:
            return np.asarray(np.where(there, table.ravel()[taken], 1.0))

        def beside(theta: npt.ArrayLike | None) -> Float | None:
            return None if theta is None else of(self._policy(theta))

        return Outcomes(
            of(policy),
            scores,
            found.rewards,
            lengths=found.lengths,
            behaviour=beside(behaviour),
            proximal=beside(proximal),
            reference=beside(reference),
            world=found.world,
        )

    def decisions(
        self,
        theta: npt.ArrayLike,
        prompt: int | None = None,
        *,
        behaviour: npt.ArrayLike | None = None,
        proximal: npt.ArrayLike | None = None,
        reference: npt.ArrayLike | None = None,
    ) -> TabularDecisions:
        """The policy decision by decision, for ``update_moments`` where episodes cannot be listed.

        ``monte_carlo_updates`` draws episodes from it, for losses that look at whole ones.

        Logits as in ``outcomes``, and the same moments for losses at the level of tokens; O(edges A) a
        loss, however many episodes there are. ValueError where a policy gives a decision that is drawn the
        probability 0.
        """

        def table(theta: npt.ArrayLike | None) -> Float | None:
            return None if theta is None else self._policy(theta)

        return TabularDecisions(
            self._unrolled(self._one_prompt(prompt)),
            self._policy(theta),
            behaviour=table(behaviour),
            proximal=table(proximal),
            reference=table(reference),
        )

    def max_at_k(self, theta: npt.ArrayLike, k: int) -> float:
        """``J_K``, the expected maximum of K rewards, averaged over the prompts. Cost O(edges)."""
        policy = self._policy(theta)
        every = [self._unrolled(prompt) for prompt in range(self.prompts)]
        return float(np.mean([oracle.max_at_k(unrolled, policy, k) for unrolled in every]))

    def max_at_k_gradient(self, theta: npt.ArrayLike, k: int) -> Float:
        """The gradient of ``max_at_k``, in the shape of ``theta``. Cost O(edges), however many levels."""
        policy = self._policy(theta)
        every = [self._unrolled(prompt) for prompt in range(self.prompts)]
        gradient = np.mean([oracle.max_at_k_gradient(unrolled, policy, k) for unrolled in every], axis=0)
        return np.asarray(gradient).reshape(self.theta.shape)

    def sampler(
        self, theta: npt.ArrayLike, device: torch.device | str = "cpu", prompt: int | None = None
    ) -> Sampler:
        """Batched groups of episodes under logits ``theta`` (observations, actions)."""
        from .episodes import EpisodeSampler  # noqa: PLC0415 - torch is heavy to import

        prompts = range(self.prompts) if prompt is None else (self._one_prompt(prompt),)
        return EpisodeSampler.of(self.mdp, self._policy(theta), prompts, device=device)

    def occupancy(self, theta: npt.ArrayLike, prompt: int | None = None) -> Float:
        """Expected number of steps an episode spends at each observation, shape (observations,)."""
        return oracle.occupancy(self._unrolled(self._one_prompt(prompt)), self._policy(theta))

    def _policy(self, theta: npt.ArrayLike) -> Float:
        return softmax(self._parameters(theta).reshape(self.mdp.observations, self.mdp.actions))

    def _unrolled(self, prompt: int) -> Unrolled:
        if prompt not in self._layers:
            self._layers[prompt] = unroll(self.mdp, prompt)
        return self._layers[prompt]

    @cached_property
    def _layers(self) -> dict[int, Unrolled]:
        return {}


def softmax(theta: Float) -> Float:
    """Action probabilities (O, A) of logits (O, A)."""
    weights = np.exp(theta - theta.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class TabularDecisions:
    """One prompt's unrolled process under a policy; all policies are action probabilities (O, A).

    ``policy`` is the one that is updated. ``behaviour`` draws, None: the same; ``proximal`` is what ratios
    are taken to, None: the behaviour; ``reference`` is what a penalty may be taken to.
    """

    unrolled: Unrolled
    policy: Float
    behaviour: Float | None = None
    proximal: Float | None = None
    reference: Float | None = None

    def __post_init__(self) -> None:
        drawn = self._drawing > 0
        for name in ("policy", "proximal", "reference"):
            table = getattr(self, name)
            if table is not None and not (table[drawn] > 0).all():
                raise ValueError(
                    f"{name} gives probability 0 to a decision that is drawn: its log-ratio has no value; "
                    "use logits that are closer together"
                )

    @property
    def _drawing(self) -> Float:
        return self.policy if self.behaviour is None else self.behaviour

    @property
    def parameters(self) -> int:
        """Logits."""
        return self.policy.size

    @property
    def values(self) -> Float:
        """Rewards of the levels, ascending, (L,)."""
        return self.unrolled.returns

    @property
    def divergence(self) -> float:
        """KL of the current policy from the one that draws over whole episodes, in nats."""
        if self.behaviour is None:
            return 0.0
        each = np.sum(
            self.behaviour * -self._log_ratio(self.policy, self.behaviour).reshape(self.policy.shape), 1
        )
        return float(oracle.occupancy(self.unrolled, self.behaviour) @ each)

    def log_ratios(self) -> dict[str, Float]:
        """Log-ratios of decisions by the names that losses use, (O A,) each; 0 where none is drawn."""
        proximal = self._drawing if self.proximal is None else self.proximal
        found = {
            "log_ratios": self._log_ratio(self.policy, proximal),
            "behaviour_log_ratios": self._log_ratio(proximal, self._drawing),
        }
        if self.reference is not None:
            found["reference_log_ratios"] = self._log_ratio(self.policy, self.reference)
        return found

    def levels(self, *, covariances: CovarianceForm = "projected") -> RewardLevels:
        """Reward levels of the current policy; only ``covariances=None``, for its gradient."""
        if covariances is not None:
            raise ValueError(f"covariances={covariances!r}: must be None; specimen.levels has the others")
        mass, scores, norms = oracle.first_moments(self.unrolled, self.policy)
        return RewardLevels.from_sums(self.unrolled.returns, mass, scores, norms)

    def draw(self, rng: np.random.Generator, size: int) -> Int:
        """Episodes of the policy that draws, decisions and level, (size, T + 1); see ``drawn_episodes``."""
        return drawn_episodes(self.unrolled, self._drawing, rng, size)

    def rewards(self, drawn: Int) -> Float:
        """Returns of episodes, (B,)."""
        return np.asarray(self.unrolled.returns[drawn[:, -1]])

    def tokens(self, drawn: Int) -> RolloutTokens:
        """Decisions of episodes as tokens."""
        taken, mask = np.maximum(drawn[:, :-1], 0), drawn[:, :-1] >= 0
        logs = {name: np.where(mask, each[taken], 0.0) for name, each in self.log_ratios().items()}
        return RolloutTokens(mask, mask.sum(axis=1), logs, mask.shape[1])

    def weighted_scores(self, drawn: Int, weights: Float, each: int) -> Float:
        """Weights by decision, a sparse matrix, times the scores of decisions: (B/each, d)."""
        row, step = np.nonzero(drawn[:, :-1] >= 0)
        entries = (weights[row, step], (row // each, drawn[row, step]))
        by_decision = sparse.csr_array(entries, shape=(len(drawn) // each, self.policy.size))
        return np.asarray((by_decision @ oracle.decision_scores(self.policy)).toarray())

    def sums(self, weights: Float, direction: Float | None = None) -> tuple[Float, Float, Float]:
        """Sums of weighted scores by level and length; see ``oracle.weighted_moments``."""
        return oracle.weighted_moments(self.unrolled, self._drawing, self.policy, weights, direction)

    def _log_ratio(self, above: Float, below: Float) -> Float:
        if above is below:
            return np.zeros(above.size)
        drawn = self._drawing > 0
        first, second = (np.log(np.where(drawn, each, 1.0)).ravel() for each in (above, below))
        return np.asarray(first - second)
