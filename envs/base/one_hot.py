"""Sums of numbers by an index, the same bits every time: in order on a CPU, as matrix products on a GPU."""

from __future__ import annotations

from math import isqrt

import torch

#: Numbers in a block of one-hot vectors: 128 MiB of float64.
BLOCK = 1 << 24
#: Places up to which an index is one one-hot vector: two shorter ones take less memory beyond.
NARROW = 128


def sums_by(index: torch.Tensor, values: torch.Tensor, size: int) -> torch.Tensor:
    """``sum_j values[..., j] [index[j] = i]`` for i < ``size``: index (N,), values (..., N) to (..., size).

    torch makes a scatter on a GPU deterministic by sorting it, once for each row of values. There it is a
    matrix product instead, in which sums are as accurate as one after the other.
    """
    if index.device.type == "cpu":
        sums = values.new_zeros(*values.shape[:-1], size)
        return sums.scatter_add_(-1, index.expand(values.shape), values)
    return by_products(index, values, size)


def by_products(index: torch.Tensor, values: torch.Tensor, size: int) -> torch.Tensor:
    """``sums_by`` as products of one-hot vectors, a block of them at a time.

    Cost O(N size) products per row, and N numbers for each part of an index, in blocks.
    """
    rows = values.reshape(-1, values.shape[-1])
    high, low = parts(size)
    sums = values.new_zeros(len(rows), high, low)
    step = max(1, BLOCK // (low + high * len(rows)))
    for start in range(0, len(index), step):
        left, right = _one_hot(index[start : start + step], high, low)
        sums += (left.T * rows[:, None, start : start + step]) @ right
    return sums.flatten(1)[:, :size].reshape(*values.shape[:-1], size)


def counts(index: torch.Tensor, size: int) -> torch.Tensor:
    """How often each i < ``size`` is in a row of an index (..., T): float64, (..., size)."""
    high, low = parts(size)
    left, right = _one_hot(index, high, low)
    return (left.mT @ right).flatten(-2)[..., :size]


def parts(size: int) -> tuple[int, int]:
    """Lengths (H, B) of ``i = high B + low``: i's one-hot vector is the outer product of those of the two."""
    low = size if size <= NARROW else isqrt(size - 1) + 1
    return -(-size // low), low


def _one_hot(index: torch.Tensor, high: int, low: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One-hot vectors of both parts of an index (...), float64: (..., high) and (..., low)."""
    parts = (index.div(low, rounding_mode="floor"), high), (index.remainder(low), low)
    left, right = (
        (part[..., None] == torch.arange(size, device=index.device)).to(torch.float64) for part, size in parts
    )
    return left, right
