"""Batches as training loops have them: groups of many sizes, rollouts without a score; what is due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import maxpo_lab as ml

#: Rules of several families, one of them not centered; rules of one reward.
RULES = ("maxpo", "rloo", "pkpo-loo1", "grpo", "pkpo-s")
COUNT = 200


@dataclass(frozen=True)
class Batch:
    """Rewards (B,), NaN where there is none, the group of each, and a rule."""

    estimator: str
    k: int
    rewards: np.ndarray
    ids: np.ndarray

    def due(self) -> np.ndarray:
        """The advantages, in float64."""
        return ml.advantages(
            self.rewards,
            self.k,
            estimator=self.estimator,
            group_ids=self.ids,
            nan_policy="omit",
            small_groups="zero",
        )


def batches(
    *, equal: bool = False, together: bool = False, rules: tuple[str, ...] = RULES
) -> Iterator[Batch]:
    """Random batches, the same in every call.

    ``equal``: groups of one size each batch, so that only missing scores make them ragged; ``together``: the
    rows of a group follow each other. Rewards are numbers of float32, in which frameworks hold them, 0/1 or
    graded, some flat; sizes go down to 1, and a group may have no score at all.
    """
    rng = np.random.default_rng(24)
    for number in range(COUNT):
        groups = int(rng.integers(1, 7))
        n = int(rng.integers(2, 13))
        sizes = np.full(groups, n) if equal else rng.integers(1, 13, groups)
        ids = np.repeat(np.arange(groups), sizes)
        if not (together or equal):
            rng.shuffle(ids)
        rewards = (rng.random(len(ids)) < rng.random()).astype(np.float64)
        if number % 2:
            rewards *= rng.random(len(ids)).astype(np.float32)
        if number % 5 == 0:
            rewards[ids == 0] = np.float32(0.7)
        rewards[rng.random(len(ids)) < (0.0, 0.1, 0.5)[number % 3]] = np.nan
        estimator = rules[number % len(rules)]
        least = 2 if estimator == "pkpo-loo1" else 1
        yield Batch(estimator, int(rng.integers(least, 6)), rewards, ids)


def check(answer: Callable[[Batch], Any], given: Iterator[Batch]) -> None:
    """``answer`` gives each batch's advantages to the rounding of one number in float32."""
    largest, ragged, answered = 0.0, 0, 0
    for batch in given:
        due = batch.due()
        found = np.asarray(answer(batch), dtype=np.float64)
        np.testing.assert_allclose(
            found, due, rtol=np.finfo(np.float32).eps, atol=1e-37, err_msg=f"{batch.estimator}, k={batch.k}"
        )
        largest = max(largest, float(np.abs(due).max(initial=0.0)))
        scored = np.unique(batch.ids[~np.isnan(batch.rewards)], return_counts=True)[1]
        ragged += len(set(scored.tolist())) > 1
        answered += bool(due.any())
    assert largest > 1  # such batches have advantages
    assert ragged > COUNT / 4  # are ragged
    assert answered > COUNT / 2  # and most are not flat or too small
