"""The slow truth of rules of several rewards and lengths: each as its source defines it, in exact rationals.

As ``definitions``, nothing here shares a line with the fast code. A group is a sequence of rows, the rewards
of each rollout; results are exact but for a square root of 50 digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from statistics import mean, variance
from typing import Any

from ..definitions.groups import grpo, maxpo
from ..rationals import Signal, root

Rows = Sequence[Sequence[Any]]
Weights = Sequence[Any]
#: (rewards of each rollout, K, a weight a reward, a length a rollout) -> an advantage a rollout.
VectorSignal = Callable[[Rows, int, Weights, Sequence[Any]], list[Fraction]]
#: The same of the groups of a batch.
VectorBatchSignal = Callable[[Sequence[Rows], int, Weights], list[list[Fraction]]]


def _total(row: Sequence[Any], weights: Weights) -> Fraction:
    return sum((Fraction(w) * Fraction(r) for w, r in zip(weights, row, strict=True)), Fraction(0))


def sum_then(signal: Signal) -> VectorSignal:
    """The rule on each rollout's weighted sum."""

    def defined(rows: Rows, k: int, weights: Weights, lengths: Sequence[Any]) -> list[Fraction]:
        return signal([_total(row, weights) for row in rows], k)

    return defined


def then_sum(signal: Signal) -> VectorSignal:
    """The rule on each reward, and a rollout's weighted sum of what it got for them."""

    def defined(rows: Rows, k: int, weights: Weights, lengths: Sequence[Any]) -> list[Fraction]:
        by_reward = [signal(list(column), k) for column in zip(*rows, strict=True)]
        return [_total(row, weights) for row in zip(*by_reward, strict=True)]

    return defined


def multi_axis_credit(rewards: Sequence[Any], k: int) -> list[Fraction]:
    """Expected improvement less its leave-two-out baseline, over std1 + 1e-4, of one reward."""
    group = [Fraction(r) for r in rewards]
    n = len(group)
    if k == 1:
        credit = [r - mean(group) for r in group]
    elif k < n:
        credit = [a / k for a in maxpo(group, k)]
    else:
        others = [max(group[:i] + group[i + 1 :]) for i in range(n)]
        gain = [max(r - other, Fraction(0)) for r, other in zip(group, others, strict=True)]
        credit = [each - mean(gain) for each in gain]
    spread = root(variance(credit))
    return [a / ((spread if spread >= Fraction(1, 10**8) else 1) + Fraction(1e-4)) for a in credit]


def opo(rows: Rows, k: int, weights: Weights, lengths: Sequence[Any]) -> list[Fraction]:
    """Each reward less what a token of the group got on average."""
    rewards = [_total(row, weights) for row in rows]
    tokens = [r for r, length in zip(rewards, lengths, strict=True) for _ in range(int(length))]
    return [r - mean(tokens) for r in rewards]


def gdpo(eps: float = 1e-6, white: float = 1e-8, add: float = 0.0) -> VectorBatchSignal:
    """GRPO by reward, summed, and then every rollout of the batch standardised."""

    def defined(batch: Sequence[Rows], k: int, weights: Weights) -> list[list[Fraction]]:
        given = [then_sum(grpo(eps, 1))(rows, k, weights, ()) for rows in batch]
        every = [a for group in given for a in group]
        size = root(variance(every) + Fraction(white)) + Fraction(add) if len(every) > 1 else Fraction(1)
        return [[(a - mean(every)) / (size or 1) for a in group] for group in given]

    return defined


#: The definition of each rule, by the registry's name.
BY_NAME: dict[str, VectorSignal] = {
    "summed:grpo": sum_then(grpo(1e-6, 1)),
    "summed:maxpo": sum_then(maxpo),
    "per-reward:grpo": then_sum(grpo(1e-6, 1)),
    "per-reward:maxpo": then_sum(maxpo),
    "multi-axis-maxk": then_sum(multi_axis_credit),
    "opo": opo,
}
OF_BATCHES: dict[str, VectorBatchSignal] = {"gdpo": gdpo()}
