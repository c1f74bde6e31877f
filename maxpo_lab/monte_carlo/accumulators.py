"""Running moments of many samples, merged along a fixed tree: the order of arrival changes no bit."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Any, Self

import numpy as np
import torch

from ..core.arrays import Float, Int64

#: Bins of ``sizes``: 0, then one for each binary exponent of a positive float64.
BINS = 2100
_SMALLEST = -1074
#: Bits of a float64 below its exponent, the values that this can have, and the least number that has one.
_FRACTION, _BIASED, _NORMAL = 52, 2048, 2.0**-1022


@dataclass(frozen=True, eq=False)
class Scatter:
    """Mean vectors (R, d) of R rules over ``count`` groups, and ``sum |x - mean|^2`` (R,) about them."""

    count: int
    mean: Float
    scatter: Float

    def merge(self, other: Self) -> Self:
        """Both samples together, by Chan's rule: no difference of large sums is taken."""
        count, step, mean = _chan(self, other)
        between = np.sum(step**2, axis=-1) * (self.count * other.count / count)
        return type(self)(count, mean, self.scatter + other.scatter + between)


@dataclass(frozen=True, eq=False)
class Comoments:
    """Means (C,) of C numbers per group over ``count`` groups, and ``sum (x - mean)(x - mean)^T`` (C, C)."""

    count: int
    mean: Float
    comoment: Float

    def merge(self, other: Self) -> Self:
        """Both samples together, by Chan's rule."""
        count, step, mean = _chan(self, other)
        between = np.outer(step, step) * (self.count * other.count / count)
        return type(self)(count, mean, self.comoment + other.comoment + between)

    def covariance(self) -> Float:
        """Sample covariance (C, C), with ``count - 1`` in its denominator."""
        return self.comoment / (self.count - 1)


def _chan(a: Scatter | Comoments, b: Scatter | Comoments) -> tuple[int, Float, Float]:
    """Joint count, difference of the means and joint mean."""
    count = a.count + b.count
    step = b.mean - a.mean
    return count, step, a.mean + step * (b.count / count)


@dataclass(frozen=True, eq=False)
class Average:
    """Mean (...) of arrays of one shape, each counted ``weight`` times; of weight 0 the value is 0."""

    weight: int
    value: Float

    def merge(self, other: Self) -> Self:
        """Both together."""
        weight = self.weight + other.weight
        share = other.weight / weight if weight else 0.0
        return type(self)(weight, self.value + (other.value - self.value) * share)


def exponents(values: torch.Tensor) -> Int64:
    """Histogram (R, BINS) of non-negative float64 (R, count) by binary exponent, 0 in a bin of its own."""
    rules = len(values)
    biased = values.view(torch.int64).bitwise_right_shift(_FRACTION)  # 0 for 0, and for all that is tiny
    biased += _BIASED * torch.arange(rules, device=values.device)[:, None]
    counts = torch.bincount(biased.flatten(), minlength=rules * _BIASED).view(rules, _BIASED).cpu().numpy()
    histogram = np.zeros((rules, BINS), np.int64)
    histogram[:, 1 - _BIASED :] = counts[:, 1:]
    histogram[:, 0] = (values == 0).sum(dim=1).cpu().numpy()
    for row in np.flatnonzero(counts[:, 0] != histogram[:, 0]):
        tiny = values[row][(values[row] > 0) & (values[row] < _NORMAL)].cpu().numpy()
        np.add.at(histogram[row], np.frexp(tiny)[1] - _SMALLEST, 1)
    return histogram


def at_most(histogram: Int64, threshold: Float) -> Int64:
    """How many values (R,) of a histogram (R, BINS) are at most the threshold (R,) down to a power of 2."""
    last = np.where(threshold > 0, np.frexp(threshold)[1] - 1 - _SMALLEST, 0)
    return np.asarray(np.where(np.arange(BINS) <= last[:, None], histogram, 0).sum(axis=1))


@dataclass(frozen=True, eq=False, kw_only=True)
class Accumulator:
    """What a range of shards leaves behind: a few vectors per rule, whatever the number of rollouts.

    Attributes
    ----------
    names, n, k, prompts, seed
        The rules and the sample, the same in all that is merged.
    start, stop
        The shards ``start, ..., stop - 1``.
    estimates
        The gradient estimates g of each rule.
    scalars
        What each group and rule gave besides, quantity by quantity: see ``shards.measure_shard``.
    pull
        ``Sigma E[g]`` and ``Sigma grad`` (R, 2, d), Sigma = Cov(g), from means of batches; the gradient's
        direction only (0 where none was given).
    spread
        ``tr Sigma^2`` (R,), from means of batches.
    sizes
        Histogram of the root of ``sum A^2`` of a group, (R, BINS).
    sum_max
        The largest ``|sum_i A_i|``, (R,).
    """

    names: tuple[str, ...]
    n: int
    k: int
    prompts: int
    seed: int
    start: int
    stop: int
    estimates: Scatter
    scalars: Comoments
    pull: Average
    spread: Average
    sizes: Int64
    sum_max: Float

    @property
    def groups(self) -> int:
        """Groups sampled."""
        return self.estimates.count

    def to_bytes(self) -> bytes:
        """As bytes that ``from_bytes`` restores to the bit: a checksum and an npz archive without pickle."""
        header = {name: getattr(self, name) for name in _PLAIN}
        arrays: dict[str, Any] = {"header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)}
        for name, kind in _PARTS.items():
            arrays |= {
                f"{name}.{field.name}": getattr(getattr(self, name), field.name) for field in fields(kind)
            }
        arrays |= {"sizes": self.sizes, "sum_max": self.sum_max}
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)
        data = file.getvalue()
        return sha256(data).digest() + data

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The accumulator of these bytes. Raises ValueError where they are damaged or something else."""
        digest, content = data[:_DIGEST], data[_DIGEST:]
        if sha256(content).digest() != digest:
            raise ValueError(
                f"data ({len(data)} bytes) is not an accumulator or is damaged: measure its shards again"
            )
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        plain = json.loads(arrays.pop("header").tobytes())
        plain["names"] = tuple(plain["names"])
        parts = {name: kind(*_of_part(arrays, name, kind)) for name, kind in _PARTS.items()}
        return cls(**plain, **parts, sizes=arrays["sizes"], sum_max=arrays["sum_max"])


_DIGEST = 32
_PLAIN = ("names", "n", "k", "prompts", "seed", "start", "stop")
_PARTS: dict[str, Any] = {
    "estimates": Scatter,
    "scalars": Comoments,
    "pull": Average,
    "spread": Average,
}


def _of_part(arrays: dict[str, Any], name: str, kind: Any) -> list[Any]:
    found = [arrays[f"{name}.{field.name}"] for field in fields(kind)]
    return [int(found[0]), *found[1:]]


def merge(left: Accumulator, right: Accumulator) -> Accumulator:
    """Two neighbouring ranges of shards as one.

    Raises ValueError where they are of different runs or not neighbours.
    """
    for name in ("names", "n", "k", "prompts", "seed"):
        mine, theirs = getattr(left, name), getattr(right, name)
        if mine != theirs:
            raise ValueError(f"right has {name}={theirs!r}, left {mine!r}: merge shards of one run alone")
    if left.estimates.mean.shape != right.estimates.mean.shape or len(left.scalars.mean) != len(
        right.scalars.mean
    ):
        raise ValueError("right is of another policy or gradient than left: merge shards of one run alone")
    if left.stop != right.start:
        raise ValueError(
            f"right starts at shard {right.start}: left stops before {left.stop}, so that must be its start"
        )
    return Accumulator(
        names=left.names,
        n=left.n,
        prompts=left.prompts,
        k=left.k,
        seed=left.seed,
        start=left.start,
        stop=right.stop,
        **{name: getattr(left, name).merge(getattr(right, name)) for name in _PARTS},
        sizes=left.sizes + right.sizes,
        sum_max=np.maximum(left.sum_max, right.sum_max),
    )


class ShardTree:
    """Collects shards in any order and merges them along one binary tree over their index.

    Node i of level l holds the shards ``i 2^l, ..., (i+1) 2^l - 1``. A node is kept until its sibling is
    there: in order of arrival by index that is O(log shards) of them.
    """

    def __init__(self) -> None:
        self._nodes: dict[tuple[int, int], Accumulator] = {}

    def add(self, part: Accumulator) -> None:
        """Take in one shard, or a range that is a node of the tree.

        Raises ValueError for another range, or for shards that are here already.
        """
        start, size = part.start, part.stop - part.start
        if size < 1 or size & (size - 1) or start % size:
            raise ValueError(
                f"part holds the shards {start} to {part.stop - 1}: give 2^l, from a multiple of 2^l on"
            )
        if any(start < node.stop and node.start < part.stop for node in self._nodes.values()):
            raise ValueError(f"part holds the shards {start} to {part.stop - 1}: some are here already")
        while (sibling := self._nodes.pop((start ^ size, size), None)) is not None:
            part = merge(sibling, part) if sibling.start < start else merge(part, sibling)
            start, size = part.start, 2 * size
        self._nodes[start, size] = part

    def total(self) -> Accumulator:
        """All shards so far as one. Raises ValueError where one before the last is missing, or all are."""
        nodes = sorted(self._nodes.values(), key=lambda node: node.start)
        stops = [0, *(node.stop for node in nodes)]
        missing = [stop for stop, node in zip(stops, nodes, strict=False) if node.start != stop]
        if missing or not nodes:
            raise ValueError(f"shard {missing[0] if missing else 0} is missing: measure and add it first")
        result = nodes.pop()
        while nodes:
            result = merge(nodes.pop(), result)
        return result
