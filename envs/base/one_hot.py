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

    With ``i = high B + low`` the one-hot vector of i is the outer product of those of high and low. Cost
    O(N size) products per row, and N (size / B + B) numbers, in blocks; B is about the root of a large size.
    """
    rows = values.reshape(-1, values.shape[-1])
    low = size if size <= NARROW else isqrt(size - 1) + 1
    high = -(-size // low)
    sums = values.new_zeros(len(rows), high, low)
    step = max(1, BLOCK // (low + high * len(rows)))
    for start in range(0, len(index), step):
        place = index[start : start + step]
        outer = one_hot(place.div(low, rounding_mode="floor"), high).T * rows[:, None, start : start + step]
        sums += outer @ one_hot(place.remainder(low), low)
    return sums.flatten(1)[:, :size].reshape(*values.shape[:-1], size)


def one_hot(index: torch.Tensor, size: int) -> torch.Tensor:
    """One-hot vectors of an index (...), float64, (..., size)."""
    return (index[..., None] == torch.arange(size, device=index.device)).to(torch.float64)
