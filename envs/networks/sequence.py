"""SequencePolicy: a next-token network on a sequence task, its gradients exact over all V^T outputs."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

import maxpo_lab as ml
from maxpo_lab import Outcomes, RewardLevels
from maxpo_lab.core.arguments import as_k, whole_number
from maxpo_lab.core.arrays import Float, Int64
from maxpo_lab.policies.checks import CovarianceForm

from ..base.specimen import ExactSpecimen
from .architectures import GRU, GRUConfig, Transformer, TransformerConfig
from .autograd_scores import BLOCK, AutogradScores
from .next_token import NextToken
from .sequence_sampler import SequenceSampler
from .sequence_task import SequenceTask, read_first, verified
from .token_rollouts import TokenRollouts

#: Outputs of a prompt that are enumerated at most, unless told otherwise.
MAX_OUTPUTS = 100_000
#: Numbers in the scores of all tokens, at most: 1 GiB of float64.
MAX_SCORES = 1 << 27
#: Numbers in the full covariances of all levels, at most: 256 MiB of float64.
MAX_COVARIANCES = 1 << 25


class SequencePolicy(ExactSpecimen):
    """A network that writes T tokens of a vocabulary of V, with all V^T outputs of a prompt enumerated.

    Attributes
    ----------
    theta
        The network's parameters as one vector, (d,), in the order of ``network.named_parameters()``.
    prompts
        Prompts of the task.
    task
        The task.
    policy
        The policy in torch.

    Parameters
    ----------
    task
        ``vocabulary`` V, ``length`` T, ``prompt_tokens`` (prompts, T0) and ``verify(prompt, tokens)``.
    network
        A module with next-token logits: tokens (B, S) in 0..V to logits (B, S, V), position t from the
        tokens up to t. It reads the prompt's tokens, or the start token V where the prompt is empty, and
        then the tokens written so far. ``"transformer"`` and ``"gru"`` make one of this package's, of about
        18,000 and 11,000 parameters for ten tokens.
    seed
        Seed of the parameters of a network that is made here, default 0.
    max_outputs
        Refuse to enumerate more outputs.
    device
        Where the exact oracle runs.
    """

    def __init__(
        self,
        task: SequenceTask,
        network: torch.nn.Module | Literal["transformer", "gru"] = "transformer",
        *,
        seed: int | None = None,
        max_outputs: int = MAX_OUTPUTS,
        device: torch.device | str = "cpu",
    ) -> None:
        size, length = task.vocabulary, task.length
        if size < 2 or length < 1:
            raise ValueError(
                f"vocabulary={size}, length={length}: need at least 2 tokens to choose from and 1 to write"
            )
        if size**length > max_outputs:
            raise ValueError(
                f"vocabulary={size}, length={length}: {size}^{length} = {size**length:,} outputs, more than "
                f"max_outputs={max_outputs:,}: shorten the task, use a smaller vocabulary, or raise "
                f"max_outputs"
            )
        if isinstance(network, str):
            network = _make(network, task, 0 if seed is None else whole_number(seed, "seed"))
        elif seed is not None:
            raise ValueError(f"seed={seed}: a network that is given has its parameters; leave the seed out")
        self.task, self._network = task, network
        self.policy = NextToken.of(network, task, device)
        self.prompts = len(self.policy.contexts)
        self.theta: Float = self.policy.function.theta().cpu().numpy()
        self.theta.setflags(write=False)
        self._rewards: dict[int, Float] = {}

    def levels(
        self, theta: npt.ArrayLike, prompt: int | None = None, *, covariances: CovarianceForm = "projected"
    ) -> RewardLevels:
        """Reward levels on a prompt, from the scores of all V^T outputs, a block of them at a time.

        Parameters
        ----------
        theta
            Shape (d,).
        prompt
            May be left out where there is one.
        covariances
            ``"projected"`` takes a second pass over the outputs, ``"full"`` one of O(V^T d^2), for small d
            only; None takes none.

        Notes
        -----
        Cost O(V^T d) and two vectorised backward passes over V^T outputs.
        """
        if covariances not in ("projected", "full", None):
            raise ValueError(f'covariances={covariances!r}: must be "projected", "full" or None')
        point, prompt = self._point(theta), self._one_prompt(prompt)
        chance, rewards, outputs = self.probabilities(theta, prompt), self.rewards(prompt), self.outputs()
        values = np.unique(rewards[chance > 0])
        numbers = len(values) * len(point) ** 2
        if covariances == "full" and numbers > MAX_COVARIANCES:
            raise ValueError(
                f'covariances="full": {len(values)} levels and d={len(point)} need {numbers:,} numbers, more '
                f'than {MAX_COVARIANCES:,}: use a smaller network, or "projected"'
            )
        members = [np.flatnonzero((rewards == value) & (chance > 0)) for value in values]
        scores = [self._scores(point, prompt, outputs[i]) for i in members]
        sums = [_first_moments(s, chance[i]) for s, i in zip(scores, members, strict=True)]
        mass = np.array([chance[i].sum() for i in members])
        firsts, squares = np.stack([first for first, _ in sums]), np.array([square for _, square in sums])
        levels = RewardLevels.from_sums(values, mass, firsts, squares)
        if covariances is None:
            return levels
        shares = [chance[i] / p for i, p in zip(members, mass, strict=True)]
        if covariances == "projected":
            seen = [_projected(s, w, levels.mean_scores) for s, w in zip(scores, shares, strict=True)]
            return dataclasses.replace(levels, projected_covariances=np.stack(seen))
        full = [_covariance(*one) for one in zip(scores, shares, levels.mean_scores, strict=True)]
        return dataclasses.replace(levels, score_covariances=np.stack(full))

    def outcomes(
        self,
        theta: npt.ArrayLike,
        prompt: int | None = None,
        *,
        behaviour: npt.ArrayLike | None = None,
        proximal: npt.ArrayLike | None = None,
        reference: npt.ArrayLike | None = None,
    ) -> Outcomes:
        """Every output, token by token.

        Cost O(V^T T d), in time and in memory: ValueError beyond 2^27 numbers, 1 GiB.
        """
        point, prompt = self._point(theta), self._one_prompt(prompt)
        outputs = self.outputs()
        shape = (*outputs.shape, len(point))
        if (numbers := int(np.prod(shape))) > MAX_SCORES:
            raise ValueError(
                f"scores of {shape[0]:,} outputs of {shape[1]} tokens and {shape[2]:,} parameters are "
                f"{numbers:,} numbers, more than {MAX_SCORES:,}: use a smaller network or a shorter task, or "
                f"sample rollouts(theta) with monte_carlo_updates"
            )

        def of(theta: npt.ArrayLike | None) -> Float | None:
            return None if theta is None else self._token_probabilities(self._point(theta), prompt)

        return Outcomes(
            self._token_probabilities(point, prompt),
            self._token_scores(point, prompt),
            self.rewards(prompt),
            behaviour=of(behaviour),
            proximal=of(proximal),
            reference=of(reference),
        )

    def rollouts(
        self,
        theta: npt.ArrayLike,
        prompt: int | None = None,
        *,
        behaviour: npt.ArrayLike | None = None,
        proximal: npt.ArrayLike | None = None,
        reference: npt.ArrayLike | None = None,
    ) -> TokenRollouts:
        """Outputs to be drawn, for ``monte_carlo_updates`` where the scores of all are too many to hold.

        Parameters of the policies as in ``outcomes``. It knows no levels: give ``gradient=`` what
        ``max_at_k_gradient`` says.
        """

        def of(theta: npt.ArrayLike | None) -> torch.Tensor | None:
            return None if theta is None else self._point(theta)

        return TokenRollouts(
            self.policy,
            self.task,
            self._one_prompt(prompt),
            self._point(theta),
            behaviour=of(behaviour),
            proximal=of(proximal),
            reference=of(reference),
        )

    def max_at_k(self, theta: npt.ArrayLike, k: int) -> float:
        """``J_K``, averaged over the prompts. Cost: one forward pass over V^(T-1) prefixes per prompt."""
        values = []
        for prompt in range(self.prompts):
            chance = self.probabilities(theta, prompt)
            # J_K needs no scores.
            none = np.zeros((len(chance), 1))
            levels = RewardLevels.from_outcomes(chance, none, self.rewards(prompt), covariances=None)
            values.append(ml.max_at_k(levels, k))
        return float(np.mean(values))

    def max_at_k_gradient(self, theta: npt.ArrayLike, k: int) -> Float:
        """Gradient of ``max_at_k``, (d,), by automatic differentiation through all outputs' probabilities.

        Cost: a forward and a backward pass over V^(T-1) prefixes per prompt, far less than ``levels``.
        """
        point, k = self._point(theta), as_k(k)
        gradients = [self._gradient(point, prompt, k) for prompt in range(self.prompts)]
        return np.asarray(torch.stack(gradients).mean(dim=0).cpu().numpy())

    def sampler(
        self, theta: npt.ArrayLike, device: torch.device | str = "cpu", prompt: int | None = None
    ) -> SequenceSampler:
        """Groups of outputs written token by token; each draws its prompt where ``prompt`` is None."""
        chosen = None if prompt is None else self._one_prompt(prompt)
        policy = NextToken.of(self._network, self.task, device)
        point = torch.tensor(self._parameters(theta), device=policy.device)
        return SequenceSampler(policy, point, self.task, chosen)

    def outputs(self) -> Int64:
        """All outputs in lexicographic order, (V^T, T)."""
        return _words(self.task.vocabulary, self.task.length)

    def rewards(self, prompt: int | None = None) -> Float:
        """Rewards of all outputs to a prompt, (V^T,)."""
        prompt = self._one_prompt(prompt)
        if prompt not in self._rewards:
            self._rewards[prompt] = verified(self.task, prompt, self.outputs())
            self._rewards[prompt].setflags(write=False)
        return self._rewards[prompt]

    def probabilities(self, theta: npt.ArrayLike, prompt: int | None = None) -> Float:
        """Probabilities of all outputs to a prompt, (V^T,)."""
        point, prompt = self._point(theta), self._one_prompt(prompt)
        with torch.no_grad():
            blocks = [
                self.policy.continuations(point, self._context(prompt, len(block)), block).cpu()
                for block in self._prefixes(point)
            ]
        return np.asarray(np.exp(torch.cat(blocks).numpy().ravel()))

    def _gradient(self, point: torch.Tensor, prompt: int, k: int) -> torch.Tensor:
        chance = self.probabilities(point.cpu().numpy(), prompt)
        values, level = np.unique(self.rewards(prompt), return_inverse=True)
        mass = torch.tensor(np.bincount(level, chance)).requires_grad_()
        # J_K = r_L - sum_m (r_(m+1) - r_m) F_m^K: relative accuracy in each term of the gradient.
        objective = -(torch.tensor(np.diff(values)) * mass.cumsum(dim=0)[:-1] ** k).sum()
        worth = torch.autograd.grad(objective, mass)[0].numpy()
        # Scores average to 0, so what all outputs are worth alike is left out: it would add rounding.
        worth = worth - worth[int(mass.argmax())]
        pull = torch.tensor((chance * worth[level]).reshape(-1, self.task.vocabulary), device=point.device)
        leaf, total, start = point.clone().requires_grad_(), torch.zeros_like(point), 0
        for block in self._prefixes(point):
            logs = self.policy.continuations(leaf, self._context(prompt, len(block)), block)
            total += torch.autograd.grad(logs, leaf, pull[start : start + len(block)])[0]
            start += len(block)
        return total

    def _scores(self, point: torch.Tensor, prompt: int, outputs: Int64) -> AutogradScores:
        """Scores of outputs (N, T), as groups of one."""
        tokens = torch.tensor(outputs[:, None], device=point.device)
        return self.policy.scores(point, self._context(prompt, len(outputs))[:, None], tokens)

    def _token_probabilities(self, point: torch.Tensor, prompt: int) -> Float:
        """``pi(o_t | o_<t)`` of all outputs, (V^T, T)."""
        outputs = torch.tensor(self.outputs(), device=point.device)
        with torch.no_grad():
            blocks = [
                self.policy.token_log_probabilities(point, self._context(prompt, len(block)), block).cpu()
                for block in torch.split(outputs, self.policy.rows(point))
            ]
        return np.asarray(np.exp(torch.cat(blocks).numpy()))

    def _token_scores(self, point: torch.Tensor, prompt: int) -> Float:
        """Scores of all tokens, (V^T, T, d): one for each prefix and its next token, shared by outputs."""
        size, length = self.task.vocabulary, self.task.length
        outputs = self.outputs()
        found = np.empty((len(outputs), length, len(point)))
        for step in range(length):
            # Outputs with the same first step + 1 tokens are neighbours: the first of each run stands for
            # all.
            first = torch.tensor(outputs[:: size ** (length - step - 1)], device=point.device)
            each = torch.cat(
                [self._scores_at(point, prompt, block, step) for block in torch.split(first, 64)]
            )
            found[:, step] = np.repeat(each.cpu().numpy(), size ** (length - step - 1), axis=0)
        return found

    def _scores_at(self, point: torch.Tensor, prompt: int, outputs: torch.Tensor, step: int) -> torch.Tensor:
        context = self._context(prompt, 1)

        def log_probability(theta: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
            return self.policy.token_log_probabilities(theta, context, output[None])[0, step]

        scores: torch.Tensor = torch.func.vmap(torch.func.grad(log_probability), in_dims=(None, 0))(
            point, outputs
        )
        return scores

    def _prefixes(self, point: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The first T-1 tokens of all outputs, in blocks."""
        prefixes = torch.tensor(_words(self.task.vocabulary, self.task.length - 1), device=point.device)
        return torch.split(prefixes, self.policy.rows(point))

    def _context(self, prompt: int, size: int) -> torch.Tensor:
        return self.policy.contexts[prompt].expand(size, -1)

    def _point(self, theta: npt.ArrayLike) -> torch.Tensor:
        return torch.tensor(self._parameters(theta), device=self.policy.device)


def _make(name: str, task: SequenceTask, seed: int) -> torch.nn.Module:
    if seed < 0:
        raise ValueError(f"seed={seed}: must be at least 0")
    generator = torch.Generator().manual_seed(seed)
    if name == "gru":
        return GRU(GRUConfig(vocabulary=task.vocabulary), generator)
    if name == "transformer":
        positions = read_first(task).shape[1] + task.length - 1
        return Transformer(TransformerConfig(vocabulary=task.vocabulary, positions=positions), generator)
    raise ValueError(f"network={name!r}: must be 'transformer', 'gru' or a torch module")


def _words(vocabulary: int, length: int) -> Int64:
    """All words of a length in lexicographic order, (V^length, length)."""
    number = np.arange(vocabulary**length)[:, None]
    return np.asarray(number // vocabulary ** np.arange(length)[::-1] % vocabulary, dtype=np.int64)


def _first_moments(scores: AutogradScores, chance: Float) -> tuple[Float, float]:
    """``sum p s`` (d,) and ``sum p |s|^2`` of outputs with probabilities p."""
    weights = torch.tensor(chance[:, None], device=scores.theta.device)
    squares = scores.squared_norm(torch.ones_like(weights)).cpu().numpy()
    return scores.total(weights).cpu().numpy(), float(chance @ squares)


def _projected(scores: AutogradScores, share: Float, directions: Float) -> Float:
    """Covariance (L, L) of ``<G_m, s>`` over outputs of conditional probabilities ``share``."""
    device = scores.theta.device
    one = torch.ones(scores.shape, dtype=torch.float64, device=device)
    seen = (
        scores.dot(one.expand(len(directions), -1, -1), torch.tensor(directions, device=device)).cpu().numpy()
    )
    off = seen - seen @ share[:, None]
    return np.asarray((share * off) @ off.T)


def _covariance(scores: AutogradScores, share: Float, mean: Float) -> Float:
    """Covariance (d, d) of the scores about their mean."""
    covariance = np.zeros((len(mean), len(mean)))
    width = max(1, BLOCK[scores.theta.device.type] // (8 * len(mean)))
    for start in range(0, len(share), width):
        off = scores.explicit(slice(start, start + width))[:, 0].cpu().numpy() - mean
        covariance += (share[start : start + width, None] * off).T @ off
    return covariance
