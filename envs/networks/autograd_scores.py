"""Scores of any torch policy, by automatic differentiation, never more than a block of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import torch
from torch.func import grad, vmap

from maxpo_lab.policies.samplers import batch_of

#: ``log_probability(theta (d,), *rollouts (B, ...)) -> (B,)``, every rollout by itself.
LogProbability = Callable[..., torch.Tensor]

#: Bytes of a block by kind of device: scores of its rollouts and what backward passes keep for them.
BLOCK = {"cpu": 1 << 25, "cuda": 1 << 29}
#: Rules up to which no scores are formed where that can be avoided: these cost about two backward passes.
FEW = 2


@dataclass(frozen=True, eq=False)
class AutogradScores:
    r"""Scores ``s_i = grad log pi(rollout i)`` of a torch policy.

    The sums of single groups need the scores themselves: a block of rollouts' scores is formed at a time, by
    vectorised reverse mode, and all rules share it. One more rule then costs a matrix product (1, n) x (n, d)
    per group, where a backward pass per rule would repeat the policy's whole arithmetic for each. ``total``
    and ``dot`` of few rules form no score where those are larger than what a backward pass keeps anyway: they
    are a backward pass per rule, and that pass differentiated once more in its weights (forward mode would be
    quicker, but torch's is not safe in threads). Else they take the scores, which are then the cheaper way.

    Attributes
    ----------
    log_probability
        ``(theta (d,), *rollouts (B, ...)) -> (B,)``. The rows must not influence each other. It is vectorised
        by ``torch.func.vmap`` and differentiated twice, which torch's fused layers (``nn.GRU``, ``nn.LSTM``,
        scaled dot-product attention) do not all support: write these out, as ``envs.networks`` does.
    theta
        Float64, shape (d,).
    rollouts
        What ``log_probability`` needs to know of the rollouts, tensors of shapes (groups, n, ...).
    block
        Bytes of a block, None for those of ``BLOCK``. Peak memory is about four times as much, for copies in
        between.
    """

    log_probability: LogProbability
    theta: torch.Tensor
    rollouts: tuple[torch.Tensor, ...]
    block: int | None = None

    def __post_init__(self) -> None:
        if self.theta.ndim != 1 or self.theta.dtype != torch.float64:
            shape, dtype = tuple(self.theta.shape), self.theta.dtype
            raise ValueError(f"theta has shape {shape} and dtype {dtype}: expected (d,), torch.float64")
        if not self.rollouts or any(part.ndim < 2 for part in self.rollouts):
            raise ValueError("rollouts must be one or more tensors of shapes (groups, n, ...)")
        leading = {tuple(part.shape[:2]) for part in self.rollouts}
        if len(leading) > 1:
            raise ValueError(
                f"rollouts have leading shapes {sorted(leading)}: all must be the same (groups, n)"
            )
        if self.block is not None and self.block < 1:
            raise ValueError(f"block={self.block}: at least one byte is needed")

    @property
    def shape(self) -> tuple[int, int]:
        """(groups, n)."""
        groups, n = self.rollouts[0].shape[:2]
        return groups, n

    @cached_property
    def rows(self) -> int:
        """Rollouts in a block, from what one of them is seen to take."""
        block = BLOCK[self.theta.device.type] if self.block is None else self.block
        return max(1, block // (8 * len(self.theta) + self._kept))

    @cached_property
    def _kept(self) -> int:
        """Bytes that a backward pass keeps for one rollout."""
        one = tuple(part.flatten(0, 1)[:1] for part in self.rollouts)
        return saved_bytes(self.log_probability, self.theta, *one)

    def _scores_are_cheaper(self, rules: int) -> bool:
        return rules > FEW or 2 * 8 * len(self.theta) <= self._kept

    def reordered(self, order: torch.Tensor) -> Self:
        """Groups of the same members: the place ``g n + i`` that each had among all, (groups, n)."""
        return replace(self, rollouts=tuple(part.flatten(0, 1)[order] for part in self.rollouts))

    def batched(self, prompts: int) -> Self:
        """The same rollouts with every ``prompts`` consecutive groups as one."""
        return replace(self, rollouts=tuple(batch_of(part, prompts) for part in self.rollouts))

    def weighted_sum(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_i A_i s_i`` of each group: (..., groups, n) to (..., groups, d)."""
        groups, n = self.shape
        if n > self.rows:  # the pull-back of a whole group may take less than its scores
            own = [
                replace(self, rollouts=tuple(part[i : i + 1] for part in self.rollouts))
                for i in range(groups)
            ]
            return torch.stack([one.total(advantages[..., [i], :]) for i, one in enumerate(own)], dim=-2)
        return torch.cat(list(self._group_sums(advantages)), dim=-2)

    def squared_norm(self, advantages: torch.Tensor) -> torch.Tensor:
        """``|sum_i A_i s_i|^2`` of each group: (..., groups, n) to (..., groups)."""
        return torch.cat([(sums**2).sum(dim=-1) for sums in self._group_sums(advantages)], dim=-1)

    def dot(self, advantages: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """``<sum_i A_i s_i, v>`` of each group, for v (d,) or one per rule, (..., d): to (..., groups)."""
        self._check(advantages)
        if direction.shape[-1:] != self.theta.shape:
            shape, d = tuple(direction.shape), len(self.theta)
            raise ValueError(f"direction has shape {shape}: expected ({d},), or (..., {d})")
        slopes = self._slopes(direction.reshape(-1, len(self.theta)))
        return (advantages * slopes.reshape(*direction.shape[:-1], *self.shape)).sum(dim=-1)

    def total(self, advantages: torch.Tensor) -> torch.Tensor:
        """``sum_i A_i s_i`` over all groups: (..., groups, n) to (..., d)."""
        self._check(advantages)
        flat = advantages.reshape(-1, self.shape[0] * self.shape[1])
        sums = flat.new_zeros(len(flat), len(self.theta))
        for where, part in self._parts():
            if self._scores_are_cheaper(len(flat)):
                sums += flat[:, where] @ self._scores(*part)
                continue
            with torch.enable_grad():
                theta = self.theta.detach().requires_grad_()
                logs = self.log_probability(theta, *part)
            pulled = [torch.autograd.grad(logs, theta, row, retain_graph=True)[0] for row in flat[:, where]]
            sums += torch.stack(pulled)
        return sums.reshape(*advantages.shape[:-2], len(self.theta))

    def explicit(self, groups: slice = slice(None)) -> torch.Tensor:
        """The scores themselves of some groups, shape (groups, n, d)."""
        chosen = tuple(part[groups] for part in self.rollouts)
        own = AutogradScores(self.log_probability, self.theta, chosen, self.block)
        return torch.cat([self._scores(*part) for _, part in own._parts()]).reshape(*own.shape, -1)

    def _scores(self, *rollouts: torch.Tensor) -> torch.Tensor:
        """Scores of some rollouts, (B, ...) to (B, d)."""

        def of_one(theta: torch.Tensor, *rollout: torch.Tensor) -> torch.Tensor:
            return self.log_probability(theta, *(part[None] for part in rollout))[0]

        in_dims = (None, *(0 for _ in rollouts))
        with _explained():
            scores: torch.Tensor = vmap(grad(of_one), in_dims)(self.theta, *rollouts)
        return scores

    def _slopes(self, directions: torch.Tensor) -> torch.Tensor:
        """``<s_i, v>`` of every rollout for directions (R, d), shape (R, groups n)."""
        slopes = []
        for _, part in self._parts():
            if self._scores_are_cheaper(len(directions)):
                slopes.append(directions @ self._scores(*part).T)
                continue
            with torch.enable_grad():
                theta = self.theta.detach().requires_grad_()
                logs = self.log_probability(theta, *part)
                weights = torch.zeros_like(logs, requires_grad=True)
                (pulled,) = torch.autograd.grad(logs, theta, weights, create_graph=True)
            # The pull-back of weights is linear in them, with the scores as its matrix.
            with _explained():
                rows = [torch.autograd.grad(pulled, weights, v, retain_graph=True)[0] for v in directions]
            slopes.append(torch.stack(rows))
        return torch.cat(slopes, dim=1)

    def _group_sums(self, advantages: torch.Tensor) -> Iterator[torch.Tensor]:
        """Blocks (..., groups of the block, d) of ``weighted_sum``; a large group takes several passes."""
        self._check(advantages)
        groups, n = self.shape
        together, width = max(1, self.rows // n), min(n, self.rows)
        for first in range(0, groups, together):
            chosen = slice(first, min(first + together, groups))
            sums: Any = 0
            for i in range(0, n, width):
                part = tuple(whole[chosen, i : i + width] for whole in self.rollouts)
                scores = self._scores(*(one.flatten(0, 1) for one in part)).reshape(*part[0].shape[:2], -1)
                sums = sums + torch.einsum("...gi,gid->...gd", advantages[..., chosen, i : i + width], scores)
            yield sums

    def _parts(self) -> Iterator[tuple[slice, tuple[torch.Tensor, ...]]]:
        """The rollouts of all groups in a row, block by block."""
        flat = tuple(part.flatten(0, 1) for part in self.rollouts)
        for start in range(0, len(flat[0]), self.rows):
            where = slice(start, start + self.rows)
            yield where, tuple(part[where] for part in flat)

    def _check(self, advantages: torch.Tensor) -> None:
        if tuple(advantages.shape[-2:]) != self.shape:
            shape = tuple(advantages.shape)
            raise ValueError(
                f"advantages have shape {shape}: expected (..., {self.shape[0]}, {self.shape[1]})"
            )
        if advantages.dtype != torch.float64:
            raise ValueError(f"advantages have dtype {advantages.dtype}: expected torch.float64")


@contextmanager
def _explained() -> Iterator[None]:
    """Say what an error that torch raises here may come from."""
    try:
        yield
    except RuntimeError as error:
        error.add_note(
            "A policy that runs by itself but fails here has an operation that torch.func.vmap or second "
            "derivatives do not support, as in nn.GRU, nn.LSTM or fused attention: write it out in plain "
            "tensor operations (envs.networks has a GRU and a transformer)."
        )
        raise


def saved_bytes(function: Callable[..., torch.Tensor], theta: torch.Tensor, *inputs: torch.Tensor) -> int:
    """Bytes that automatic differentiation in theta keeps between the two passes, parameters included."""
    kept = 0

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        function(theta.detach().requires_grad_(), *inputs)
    return kept
