"""The slow truth of rules of batches: each as its source defines it, in exact rationals.

As ``definitions``, nothing here shares a line with the fast code. A batch is a sequence of groups; results
are lists of lists of Fractions, exact but for a square root of 50 digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from statistics import mean, pvariance, variance

from .definitions import maxpo, rloo
from .rationals import Group, Signal, root

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
            "std1": lambda: variance(every),
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


#: The definition of each rule of batches, by the registry's name.
BY_NAME: dict[str, BatchSignal] = {
    "whitened:maxpo": whitened(maxpo),
    "whitened:rloo": whitened(rloo),
    "trl-batch": trl_batch,
    "verl-gpg": verl_gpg,
    "flash-reinforce": flash_reinforce,
    "jspo": james_stein(own_too=False),
    "jspo-plus-plus": james_stein(own_too=True),
}
