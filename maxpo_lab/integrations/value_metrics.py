"""pass@k of the rewards that a trainer has seen, with its interval, as numbers to log."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.arguments import as_k, finite_number, real_numbers
from ..evaluation import pass_at_k

#: What is logged of each k: fields of ``PassAtK``.
_FIELDS = ("estimate", "standard_error", "low", "high", "prompts")


def numbers_by_k(
    rewards: Any,
    ks: Sequence[int],
    *,
    threshold: float | None = None,
    bounds: tuple[float, float] | None = None,
    group_ids: Any = None,
    clusters: Any = None,
) -> dict[int, dict[str, float]]:
    """pass@k and what is known of it, for each k that some group has scored rollouts for.

    Parameters
    ----------
    rewards
        Shape (P, n), or (B,) with ``group_ids``; NaN for a rollout that could not be scored, which is left
        out of its group.
    ks, threshold, bounds
        As ``as_ks``, ``as_threshold`` and ``as_bounds`` give them.
    group_ids, clusters
        As in ``pass_at_k``.

    Returns
    -------
    dict
        By k: ``estimate``, ``standard_error``, ``low`` and ``high`` of the 95% interval, and ``prompts``, the
        number of groups with k scored rollouts, which alone count. A number that the sample does not
        determine, such as the standard error over one prompt, is absent.
    """
    largest = max(_scored_sizes(rewards, group_ids), default=0)
    ks = [k for k in ks if k <= largest]
    if not ks:
        return {}
    found = pass_at_k(
        rewards,
        ks,
        threshold=threshold,
        bounds=bounds,
        group_ids=group_ids,
        nan_policy="omit",
        small_groups="leave-out",
        clusters=clusters,
    )
    columns = {field: np.asarray(getattr(found, field), dtype=np.float64) for field in _FIELDS}
    return {
        k: {field: float(column[at]) for field, column in columns.items() if not math.isnan(column[at])}
        for at, k in enumerate(ks)
    }


def as_ks(ks: Any, name: str) -> tuple[int, ...]:
    """Check an argument that is a sequence of k's, and put them in order.

    Raises
    ------
    TypeError
        No sequence, or a k that is no integer.
    ValueError
        No k at all, one below 1, or one given twice.
    """
    try:
        given = list(ks)
    except TypeError:
        given = [None]
    if isinstance(ks, str) or given == [None]:
        raise TypeError(
            f"{name}={ks!r} is a {type(ks).__name__}: it must be a sequence of k's, e.g. {name}=(1, 4, 8)"
        )
    checked = tuple(sorted(map(as_k, given)))
    if not checked or len(set(checked)) < len(checked):
        raise ValueError(f"{name}={ks!r}: must hold at least one k, and each once, e.g. {name}=(1, 4, 8)")
    return checked


def as_threshold(threshold: Any, name: str) -> float | None:
    """Check the reward from which on a rollout is a success; None where rewards are taken as they are.

    It is rounded to float32, in which trainers hold rewards: there 0.7 lies below the 0.7 of float64.
    TypeError where it is no real number, ValueError where it is not finite.
    """
    return None if threshold is None else in_float32(finite_number(threshold, name))


def as_bounds(bounds: Any, name: str) -> tuple[float, float] | None:
    """Check the lowest and the highest reward that there can be; None where they are not known.

    They are rounded as a threshold is. TypeError where they are no real numbers, ValueError where they are
    not two, finite and in order.
    """
    if bounds is None:
        return None
    numbers = real_numbers(bounds, name)
    if len(numbers) != 2 or not (math.isfinite(numbers[0]) and numbers[0] < numbers[1] < math.inf):
        raise ValueError(f"{name}={bounds!r}: must be two finite numbers in order, e.g. {name}=(0, 1)")
    return in_float32(numbers[0]), in_float32(numbers[1])


def in_float32(number: float) -> float:
    """A number rounded as trainers round rewards."""
    return float(np.float32(number))


def powers_of_two(largest: int) -> tuple[int, ...]:
    """1, 2, 4, ... up to a group size."""
    return tuple(1 << power for power in range(largest.bit_length()))


def _scored_sizes(rewards: Any, group_ids: Any) -> list[int]:
    scored = ~np.isnan(np.asarray(rewards, dtype=np.float64))
    if group_ids is None:
        return [int(size) for size in scored.sum(axis=1)]
    _, sizes = np.unique(np.asarray(group_ids)[scored], return_counts=True)
    return [int(size) for size in sizes]
