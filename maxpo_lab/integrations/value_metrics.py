"""max@k and pass@k of the rewards that a trainer has seen, with their intervals, as numbers to log."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from ..core.arguments import as_k
from ..core.arrays import Float
from ..evaluation import pass_at_k

Measure = Literal["pass@k", "max@k"]

#: What is logged of each k: fields of ``PassAtK``.
_FIELDS = ("estimate", "standard_error", "low", "high", "prompts")


@dataclass(frozen=True)
class ValueMetrics:
    """What is to be logged: the k's, and of what.

    Parameters
    ----------
    ks
        The k's, each an integer of at least 1; kept in rising order.
    measure
        ``"max@k"``: the expected largest of k rewards. ``"pass@k"``: the probability that one of k succeeds,
        which for 0/1 rewards is the same.
    threshold
        For pass@k: a reward of at least this is a success; None where rewards are 0/1.
    prefix
        How the caller's users know the arguments, for messages: ``"report_"`` in a trainer of TRL.

    Raises
    ------
    TypeError
        ks are no sequence of integers, or the threshold is no number.
    ValueError
        No k, a k below 1 or given twice, another measure, a threshold that is not finite or that max@k has no
        use for.
    """

    ks: Sequence[int]
    measure: Measure = "pass@k"
    threshold: float | None = None
    prefix: str = ""

    def __post_init__(self) -> None:
        ks = self.ks
        if isinstance(ks, str) or not isinstance(ks, Sequence):
            raise TypeError(
                f"{self.prefix}ks={ks!r} is a {type(ks).__name__}: it must be a sequence of k's, e.g. (1, 4, 8)"
            )
        checked = tuple(sorted(map(as_k, ks)))
        if not checked or len(set(checked)) < len(checked):
            raise ValueError(f"{self.prefix}ks={ks!r}: must hold at least one k, and each once, e.g. (1, 4, 8)")
        object.__setattr__(self, "ks", checked)
        if self.measure not in get_args(Measure):
            raise ValueError(f"{self.prefix}measure={self.measure!r}: must be 'pass@k' or 'max@k'")
        if self.threshold is not None:
            self._check_threshold(self.threshold)

    def _check_threshold(self, threshold: Any) -> None:
        said = f"{self.prefix}threshold={threshold!r}"
        if isinstance(threshold, (bool, str)) or not hasattr(threshold, "__float__"):
            raise TypeError(f"{said} is a {type(threshold).__name__}: it must be a number, e.g. 1.0")
        if not math.isfinite(threshold):
            raise ValueError(f"{said}: must be finite, e.g. 1.0")
        if self.measure == "max@k":
            raise ValueError(
                f"{said}: max@k is of the rewards themselves; leave it out, or say {self.prefix}measure='pass@k'"
            )

    def check(self, rewards: Float) -> None:
        """ValueError where these rewards, NaN for unscored, are not what the measure is defined on."""
        if np.isinf(rewards).any():
            raise ValueError("rewards must be finite, or NaN where a rollout could not be scored; found inf")
        if self.measure == "max@k" or self.threshold is not None:
            return
        graded = ~(np.isnan(rewards) | (rewards == 0) | (rewards == 1))
        if graded.any():
            raise ValueError(
                f"a reward is {float(rewards[graded][0])!r}: pass@k of rewards other than 0 and 1 needs to know "
                f"what a success is: give {self.prefix}threshold, e.g. 1.0, or {self.prefix}measure='max@k'"
            )

    def of(self, rewards: Any, *, group_ids: Any = None, clusters: Any = None) -> dict[int, dict[str, float]]:
        """The numbers of each k that some group has scored rollouts for.

        Parameters
        ----------
        rewards
            Shape (P, n), or (B,) with ``group_ids``; NaN for a rollout that could not be scored, which is
            left out of its group.
        group_ids, clusters
            As in ``pass_at_k``.

        Returns
        -------
        dict
            By k: ``estimate``, ``standard_error``, ``low``, ``high`` of the 95% interval, and ``prompts``, the
            number of groups that have k scored rollouts, which alone count. A number that the sample does not
            determine, such as the standard error over one prompt, is absent.
        """
        sizes = _scored_sizes(rewards, group_ids)
        ks = [k for k in self.ks if k <= max(sizes, default=0)]
        if not ks:
            return {}
        found = pass_at_k(
            rewards,
            ks,
            measure=self.measure,
            threshold=self.threshold,
            group_ids=group_ids,
            nan_policy="omit",
            small_groups="leave-out",
            clusters=clusters,
        )
        numbers = {
            k: {field: float(getattr(found, field)[at]) for field in _FIELDS} for at, k in enumerate(ks)
        }
        return {
            k: {field: value for field, value in each.items() if not math.isnan(value)}
            for k, each in numbers.items()
        }


def powers_of_two(largest: int) -> tuple[int, ...]:
    """1, 2, 4, ... up to a group size."""
    return tuple(1 << power for power in range(largest.bit_length()))


def _scored_sizes(rewards: Any, group_ids: Any) -> list[int]:
    scored = ~np.isnan(np.asarray(rewards, dtype=np.float64))
    if group_ids is None:
        return [int(size) for size in scored.sum(axis=1)]
    _, sizes = np.unique(np.asarray(group_ids)[scored], return_counts=True)
    return [int(size) for size in sizes]
