"""PODS: the rollouts of greatest variance are kept and standardised among themselves, the others get 0."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from statistics import mean, variance

import array_api_compat

from ....core.arrays import Array, Namespace
from ...base import Estimator
from ...claims import Claims, Laws
from ...paper import Paper
from ...rationals import Group, Signal, exact, root
from ..standardised import deviations

#: Variances that differ by less than this share are equal: which of two was rounded down must not decide.
_EQUAL = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class GreatestVariance(Estimator):
    r"""The i best and the ``keep - i`` worst of the group, i such that their variance is greatest.

    Those get ``(R_i - mean) / (std1 + eps)`` with their own mean and deviation, the others 0. Of equal
    variances the first counts: the best alone, then ever more of the best from none on. Of equal rewards the
    earlier place counts as the better one. A loss that averages over the kept rollouts, as PODS trains with,
    is ``n / keep`` times the mean over the group.
    """

    keep: int
    eps: float

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        n, keep = rewards.shape[-1], self.keep
        values = deviations(xp, rewards)
        # From the best to the worst, ties in the order of the group.
        order = xp.argsort(-values, axis=-1, stable=True)
        ranked = xp.take_along_axis(values, order, axis=-1)
        ranks = xp.arange(n, device=array_api_compat.device(rewards))
        best, largest = xp.zeros_like(ranked), xp.zeros_like(ranked[..., :1]) - 1.0
        for top in (keep, *range(keep)):
            kept = xp.astype((ranks < top) | (ranks >= n - keep + top), values.dtype)
            off = (ranked - xp.sum(kept * ranked, axis=-1, keepdims=True) / keep) * kept
            squares = xp.sum(off * off, axis=-1, keepdims=True)
            more = squares > largest * (1 + _EQUAL)
            best, largest = xp.where(more, off, best), xp.where(more, squares, largest)
        standardised = best / (xp.sqrt(largest / (keep - 1)) + self.eps)
        back = xp.argsort(order, axis=-1)
        return xp.astype(xp.take_along_axis(standardised, back, axis=-1), rewards.dtype)


def pods(keep: int = 4) -> GreatestVariance:
    """PODS that keeps so many rollouts of a group; ValueError where these are fewer than 2."""
    if keep < 2:
        raise ValueError(f"pods:keep={keep}: must be at least 2, e.g. keep=4")
    return GreatestVariance(
        name="pods" if keep == 4 else f"pods:keep={keep}",
        title="PODS",
        equation=(
            f"A_i = (R_i - mean) / (std1 + 1e-4) among the {keep} best and worst of the greatest variance, "
            f"0 for the others"
        ),
        citation="arXiv 2504.13818 (PODS); YixuanEvenXu/pods grpo_trainer.py, its pods_full_size the group",
        objective="mean",
        uses_k=False,
        claims=Claims(unbiased=False, centered=True),
        laws=Laws(scale="invariant", equal_ties=False),
        degenerate="a flat group gives 0; of equal rewards their places say which are kept",
        smallest_group=keep,
        keep=keep,
        eps=1e-4,
    )


def _pods(keep: int) -> Signal:
    """Of all subsets of the kept size one of the greatest variance, standardised, to 50 digits.

    Of those, one that is the best and the worst of the group, the better ones the earlier of equals: only the
    best if these will do, else as few of the best as will do. Cost C(n, keep).
    """

    def signal(rewards: Group, k: int) -> list[Fraction]:
        group = exact(rewards)
        greatest = max(variance(subset) for subset in combinations(group, keep))
        best_first = sorted(range(len(group)), key=lambda i: -group[i])  # sorted() keeps the order of equals
        splits = [best_first[:keep]]
        splits += [best_first[:top] + best_first[len(group) - keep + top :] for top in range(keep)]
        kept = next(split for split in splits if variance(group[i] for i in split) == greatest)
        own = [group[i] for i in kept]
        scale = root(greatest) + Fraction(1e-4)
        return [(r - mean(own)) / scale if i in kept else Fraction(0) for i, r in enumerate(group)]

    return signal


PAPERS = {
    "2504.13818": Paper(
        "Xu, Yixuan Even and Savani, Yash and Fang, Fei and Kolter, J. Zico",
        "Not All Rollouts are Useful: Down-Sampling Rollouts in LLM Reinforcement Learning",
    )
}
RULES = (pods(),)
MAKERS = {"pods": pods}
DEFINITIONS: dict[str, Signal] = {"pods": _pods(4)}
