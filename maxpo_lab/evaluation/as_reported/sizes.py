"""What tools make of prompts with unequal numbers of rollouts: which k are printed, over which prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import comb

import numpy as np

from ...core.arrays import Float

#: Weights (P,) of prompts with these numbers of rollouts at a k, summing to 1; None where nothing is printed.
#: ValueError where the tool refuses.
Weights = Callable[[tuple[int, ...], int], Float | None]


def _mean_over(kept: Iterable[bool]) -> Float | None:
    chosen = np.fromiter(kept, dtype=np.float64)
    return chosen / chosen.sum() if chosen.any() else None


def every_prompt(sizes: tuple[int, ...], k: int) -> Float | None:
    """All prompts, whatever k."""
    return _mean_over(True for _ in sizes)


def survivors(sizes: tuple[int, ...], k: int) -> Float | None:
    """The prompts with k rollouts and more, without a word on the others."""
    return _mean_over(size >= k for size in sizes)


def shortest_decides(sizes: tuple[int, ...], k: int) -> Float | None:
    """All prompts up to the fewest rollouts, nothing beyond."""
    return every_prompt(sizes, k) if k <= min(sizes) else None


def refuse_beyond(sizes: tuple[int, ...], k: int) -> Float | None:
    """All prompts up to the fewest rollouts, an error beyond."""
    if k > min(sizes):
        raise ValueError(
            f"k={k}: the prompt with the fewest rollouts has {min(sizes)}; ask for k <= {min(sizes)}"
        )
    return every_prompt(sizes, k)


def pooled_subsets(sizes: tuple[int, ...], k: int) -> Float | None:
    """A ratio of means, ``1 - mean C(n-c,k) / mean C(n,k)``: prompts weigh as they have subsets."""
    if k > min(sizes):
        raise ValueError(
            f"k={k}: the prompt with the fewest rollouts has {min(sizes)}; ask for k <= {min(sizes)}"
        )
    subsets = [comb(size, k) for size in sizes]
    return np.array([each / sum(subsets) for each in subsets])


def one_prompt(sizes: tuple[int, ...], k: int) -> Float | None:
    """A function of one prompt; refuses a second, and k > n."""
    if len(sizes) > 1:
        raise ValueError(f"{len(sizes)} prompts: the function is of one")
    return refuse_beyond(sizes, k)


def doubled(sizes: tuple[int, ...], k: int) -> Float | None:
    """Each prompt reports 2, 4, .. below its n, and n; a name is averaged over the prompts that have it."""
    return _mean_over(size > 1 and (k == size or (1 < k < size and k & (k - 1) == 0)) for size in sizes)


def doubled_or_fives(sizes: tuple[int, ...], k: int) -> Float | None:
    """2, 4, 8, .. and 5, 10, 15, .. up to the fewest rollouts: 1 never."""
    power = k > 1 and k & (k - 1) == 0
    return shortest_decides(sizes, k) if power or k % 5 == 0 else None


def doubled_or_five_ten(sizes: tuple[int, ...], k: int) -> Float | None:
    """2, 4, 8, .., 5 and 10 up to the fewest rollouts: 1 never."""
    power = k > 1 and k & (k - 1) == 0
    return shortest_decides(sizes, k) if power or k in (5, 10) else None


def listed_survivors(sizes: tuple[int, ...], k: int) -> Float | None:
    """1, 5, 10, 25, 50, 100 and the most rollouts, each over the prompts that have as many."""
    return survivors(sizes, k) if k in (1, 5, 10, 25, 50, 100, max(sizes)) else None


def one_and_most(sizes: tuple[int, ...], k: int) -> Float | None:
    """1 and the most rollouts, each over the prompts that have as many."""
    return survivors(sizes, k) if k in (1, max(sizes)) else None


def alike(sizes: tuple[int, ...], k: int) -> Float | None:
    """All prompts, which must have as many rollouts each."""
    if min(sizes) < max(sizes):
        raise ValueError(
            f"prompts have {min(sizes)} to {max(sizes)} rollouts: the tool needs as many of each"
        )
    return every_prompt(sizes, k)


def alike_up_to_n(sizes: tuple[int, ...], k: int) -> Float | None:
    """All prompts, which must have as many rollouts each, and k of them at least."""
    alike(sizes, k)
    return refuse_beyond(sizes, k)


def alike_at_n(sizes: tuple[int, ...], k: int) -> Float | None:
    """All prompts, which must have as many rollouts each, under the name of that number."""
    return alike(sizes, k) if k == max(sizes) else None


def most(sizes: tuple[int, ...], k: int) -> Float | None:
    """All prompts, under the name of the number that was asked for, which is the most rollouts."""
    return every_prompt(sizes, k) if k == max(sizes) else None
