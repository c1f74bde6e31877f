"""A rank-linear rule as one operator of torch, which is what torch.compile sees of it."""

from __future__ import annotations

from typing import Any

import torch
from array_api_compat import torch as namespace

from .engine import alone
from .tables import numbered


@torch.library.custom_op("maxpo_lab::rank_linear", mutates_args=())
def operator(rewards: torch.Tensor, number: int, k: int) -> torch.Tensor:
    """Advantages (..., n) of the rule with this number: what it gives outside of a graph, to the bit.

    In a graph of several rules the number is a symbol, until ``int`` makes it one.
    """
    found: torch.Tensor = alone(namespace, rewards, numbered(int(number)), k)
    return found


@operator.register_fake
def _like(rewards: torch.Tensor, number: int, k: int) -> torch.Tensor:
    numbered(int(number)).coefficients(int(rewards.shape[-1]), k)  # refuses where the rule is not defined
    return torch.empty_like(rewards, memory_format=torch.contiguous_format)


@operator.register_vmap
def _over(_: Any, axes: tuple[int, ...], rewards: torch.Tensor, number: int, k: int) -> tuple[Any, int]:
    """One more leading axis: groups lie along the last one."""
    return operator(rewards.movedim(axes[0], 0), number, k), 0


@torch.library.custom_op("maxpo_lab::look_up", mutates_args=())
def looked_up(places: torch.Tensor, number: int, n: int, k: int) -> torch.Tensor:
    """Entries of the column with this number."""
    found: torch.Tensor = numbered(int(number)).entries(places, n, k, namespace)
    return found


@looked_up.register_fake
def _real(places: torch.Tensor, *_: int) -> torch.Tensor:
    return torch.empty_like(places, dtype=torch.float64, memory_format=torch.contiguous_format)


@looked_up.register_vmap
def _each(
    _: Any, axes: tuple[int, ...], places: torch.Tensor, number: int, n: int, k: int
) -> tuple[Any, int]:
    return looked_up(places, number, n, k), axes[0]
