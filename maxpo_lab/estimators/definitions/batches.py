"""The slow truth of rules of batches: each as its source defines it, in exact rationals.

As ``definitions``, nothing here shares a line with the fast code. A batch is a sequence of groups; results
are lists of lists of Fractions, exact but for a square root of 50 digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from statistics import mean, pvariance, variance

from ..rationals import Group, Signal, root
from .groups import batch_mean, grpo, maxpo, reinforce, rloo

Batch = Sequence[Group]
BatchSignal = Callable[[Batch, int], list[list[Fraction]]]


def _exact(batch: Batch) -> list[list[Fraction]]:
    return [[Fraction(r) for r in group] for group in batch]


def _all(batch: list[list[Fraction]]) -> list[Fraction]:
    return [r for group in batch for r in group]


def whitened(signal: Signal, *, scale: str = "rms", center: bool = False, eps: float = 1e-8) -> BatchSignal:
    """A group rule over the root mean square, or a deviation, of what it gives the batch."""

    def defined(batch: Batch, k: int) -> list[list[Fraction]]:
        given = [signal(group, k) for group in batch]
        every = _all(given)
        square = {
            "rms": lambda: mean(a * a for a in every),
            "std0": lambda: pvariance(every),
            "std1": lambda: variance(every) if len(every) > 1 else Fraction(0),
        }[scale]()
        size = root(square + Fraction(eps))
        middle = mean(every) if center else Fraction(0)
        return [[(a - middle) / size for a in group] for group in given]

    return defined


def trl_batch(batch: Batch, k: int) -> list[list[Fraction]]:
    """``(R - mean) / (std1 of the batch + 1e-4)``."""
    groups = _exact(batch)
    size = root(variance(_all(groups))) + Fraction(1e-4)
    return [[(r - mean(group)) / size for r in group] for group in groups]


def verl_gpg(batch: Batch, k: int) -> list[list[Fraction]]:
    """``(R - mean)`` times rollouts over non-zero rewards, of which one is counted where there is none."""
    groups = _exact(batch)
    every = _all(groups)
    factor = Fraction(len(every), max(1, sum(r != 0 for r in every)))
    return [[factor * (r - mean(group)) for r in group] for group in groups]


def flash_reinforce(batch: Batch, k: int) -> list[list[Fraction]]:
    """``R`` less the mean of the batch."""
    groups = _exact(batch)
    middle = mean(_all(groups))
    return [[r - middle for r in group] for group in groups]


def james_stein(*, own_too: bool) -> BatchSignal:
    """``R_i`` less the shrunken mean of the others of its group, by statistics of other prompts or of all."""

    def defined(batch: Batch, k: int) -> list[list[Fraction]]:
        groups, found = _exact(batch), []
        for b, group in enumerate(groups):
            seen = [other for j, other in enumerate(groups) if own_too or j != b]
            noise = mean(variance(other) / len(other) for other in seen)
            middle = mean(mean(other) for other in seen)
            spread = mean((mean(other) - middle) ** 2 for other in seen)
            share = noise / (noise + spread + Fraction(1e-6))
            rows = []
            for i, r in enumerate(group):
                others = mean(each for j, each in enumerate(group) if j != i)
                rows.append(r - ((1 - share) * others + share * middle))
            found.append(rows)
        return found

    return defined


def standardised(signal: Signal, *, ddof: int, center: bool, add: float) -> BatchSignal:
    """A group rule, less the mean of what it gives the batch (``center``), over a deviation of that + add."""

    def defined(batch: Batch, k: int) -> list[list[Fraction]]:
        given = [signal(group, k) for group in batch]
        every = _all(given)
        size = root((variance if ddof and len(every) > 1 else pvariance)(every)) + Fraction(add)
        middle = mean(every) if center else Fraction(0)
        return [[(a - middle) / size for a in group] for group in given]

    return defined


def clipped(signal: Signal) -> Signal:
    """What a group rule gives, at most 10 and at least -10."""
    return lambda rewards, k: [max(Fraction(-10), min(Fraction(10), a)) for a in signal(rewards, k)]


def openrlhf(signal: Signal) -> BatchSignal:
    """A clipped group rule, less the batch's mean, over a deviation whose square is at least 1e-8."""

    def defined(batch: Batch, k: int) -> list[list[Fraction]]:
        given = [clipped(signal)(group, k) for group in batch]
        every = _all(given)
        size = root(max(pvariance(every), Fraction(1e-8)))
        return [[(a - mean(every)) / size for a in group] for group in given]

    return defined


def areal_norm(
    *,
    mean_of: str = "batch",
    leave1out: bool = False,
    std_of: str = "batch",
    ddof: int = 1,
    eps: float = 1e-5,
) -> BatchSignal:
    """A reward less a mean, over the deviation from that mean: each of the batch, of the group, or none."""

    def baseline(groups: list[list[Fraction]], b: int, i: int) -> Fraction:
        pools = {"batch": groups, "group": [groups[b]], "none": []}
        pool = [r for group in pools[mean_of] for r in group]
        if leave1out and pool:
            pool.remove(groups[b][i])  # any one that is equal to it
        return mean(pool) if pool else Fraction(0)

    def defined(batch: Batch, k: int) -> list[list[Fraction]]:
        groups = _exact(batch)
        centered = [
            [r - baseline(groups, b, i) for i, r in enumerate(group)] for b, group in enumerate(groups)
        ]
        if std_of == "none":
            return centered
        found = []
        for group in centered:
            pool = group if std_of == "group" else _all(centered)
            freedom = len(pool) - ddof
            size = root(sum((a * a for a in pool), Fraction(0)) / freedom) if freedom else Fraction(1)
            found.append([a / (size + Fraction(eps)) for a in group])
        return found

    return defined


def art(signal: Signal) -> BatchSignal:
    """What a group rule gives over the mean size of the batch's that are not 0."""

    def defined(batch: Batch, k: int) -> list[list[Fraction]]:
        given = [signal(group, k) for group in batch]
        sizes = [abs(a) for a in _all(given) if a]
        return [[a / mean(sizes) if a else a for a in group] for group in given]

    return defined


def retrain_batch(batch: Batch, k: int) -> list[list[Fraction]]:
    """``(a - mean) / (std0 + 1e-8)`` of the ``a = R - mean`` that are not 0, by their moments alone."""
    given = [batch_mean(group, k) for group in batch]
    living = [a for a in _all(given) if a]
    if not living:
        return given
    size = root(pvariance(living))
    below = Fraction(1) if size < Fraction(1e-8) else size + Fraction(1e-8)
    return [[(a - mean(living)) / below if a else a for a in group] for group in given]


def a_grae(batch: Batch, k: int) -> list[list[Fraction]]:
    """Half of GRPO's y by each of two weights of the group's mean, mixed and, where positive, times mu."""
    groups, eps = _exact(batch), Fraction(1e-6)
    overall = mean(mean(group) for group in groups)
    found = []
    for group in groups:
        easy, hard = (1 - root(mean(group)) + eps, root(mean(group)) + eps)
        row = []
        for y in grpo(1e-6, 1)(group, k):
            mixed = (1 - overall) * (y / 2) / easy + overall * (y / 2) / hard
            row.append(mixed * min(Fraction(1), overall) if mixed > 0 else mixed)
        found.append(row)
    return found


#: The definition of each rule of batches, by the registry's name.
BY_NAME: dict[str, BatchSignal] = {
    "whitened:maxpo": whitened(maxpo),
    "whitened:rloo": whitened(rloo),
    "trl-batch": trl_batch,
    "verl-gpg": verl_gpg,
    "flash-reinforce": flash_reinforce,
    "jspo": james_stein(own_too=False),
    "jspo-plus-plus": james_stein(own_too=True),
    "prpo": standardised(reinforce, ddof=0, center=True, add=1e-6),
    "rllm-reinforce-plus-plus-baseline": standardised(batch_mean, ddof=0, center=False, add=1e-6),
    "verl-reinforce-plus-plus": whitened(reinforce, scale="std1", center=True),
    "verl-reinforce-plus-plus-baseline": whitened(batch_mean, scale="std1", center=True),
    "openrlhf-reinforce": openrlhf(reinforce),
    "openrlhf-reinforce-baseline": openrlhf(batch_mean),
    "trl-rloo-normalised": standardised(rloo, ddof=1, center=True, add=1e-4),
    "ms-swift-reinforce-plus-plus": standardised(batch_mean, ddof=1, center=False, add=1e-4),
    "gdpo-single-reward": whitened(grpo(1e-6, 1), scale="std1", center=True),
    "areal-norm": areal_norm(),
    "art": art(grpo(1e-6, 0)),
    "retrain-batch": retrain_batch,
    "a-grae": a_grae,
}
