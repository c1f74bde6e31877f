"""Rules of two rewards, weighted 1 and 0.5, as others might write them: by subsets, by loops, in torch."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml

Rule = Callable[..., Any]
WEIGHTS = (1.0, 0.5)


def audited(f: Rule, weights: Any = WEIGHTS, **options: Any) -> ml.AuditReport:
    """The audit of one of these, on small groups."""
    given = {"n": 3, "k": 2, "target": "per-reward:max@k"} | options
    return ml.audit(ml.vector_rule(f, reward_weights=weights), **given)


def maxpo(rewards: Any, k: int) -> np.ndarray:
    """MaxPO by the K-subsets that hold a rollout, less those of the others of K of n-1, of one reward."""
    found = np.zeros(rewards.shape)
    n = rewards.shape[-1]
    for place in range(n):
        others = [i for i in range(n) if i != place]
        gain = [
            np.maximum(rewards[..., place], rewards[..., list(rest)].max(axis=-1))
            if rest
            else rewards[..., place]
            for rest in combinations(others, k - 1)
        ]
        base = [rewards[..., list(rest)].max(axis=-1) for rest in combinations(others, k)]
        found[..., place] = np.mean(gain, axis=0) - np.mean(base, axis=0)
    return k * found


def maxpo_of_each(rewards: Any, k: int) -> Any:
    return maxpo(rewards[..., 0], k) + 0.5 * maxpo(rewards[..., 1], k)


def maxpo_of_sum(rewards: Any, k: int) -> Any:
    return maxpo(rewards[..., 0] + 0.5 * rewards[..., 1], k)


def standardised(rewards: Any, axis: int = -1, eps: float = 1e-6, ddof: int = 1) -> Any:
    return (rewards - rewards.mean(axis=axis, keepdims=True)) / (
        rewards.std(axis=axis, ddof=ddof, keepdims=True) + eps
    )


def sum_then_normalise(rewards: Any, k: int) -> Any:
    """TRL, multi_objective_aggregation="sum_then_normalize"."""
    return standardised((rewards * np.array(WEIGHTS)).sum(axis=-1), eps=1e-4)


def normalise_then_sum(rewards: Any, k: int) -> Any:
    return (standardised(rewards, axis=1, eps=1e-4) * np.array(WEIGHTS)).sum(axis=-1)


def trl_gdpo(rewards: Any, k: int) -> Any:
    """TRL, multi_objective_aggregation="normalize_then_sum": whitened over the batch."""
    total = normalise_then_sum(rewards, k)
    return (total - total.mean()) / (total.std(ddof=1) + 1e-4)


def verl_gdpo(rewards: Any, k: int) -> Any:
    total = (standardised(rewards, axis=1) * np.array(WEIGHTS)).sum(axis=-1)
    return (total - total.mean()) / np.sqrt(total.var(ddof=1) + 1e-8)


def multi_axis(rewards: Any, k: int) -> Any:
    credit = np.stack([maxpo(rewards[..., d], k) / k for d in range(2)], axis=-1)
    spread = credit.std(axis=1, ddof=1, keepdims=True)
    return (credit / (np.where(spread < 1e-8, 1, spread) + 1e-4)) @ np.array(WEIGHTS)


def by_loops(rewards: Any, k: int) -> Any:
    """One group at a time, in lists."""
    found = []
    for group in np.asarray(rewards).tolist():
        rows = [row[0] + 0.5 * row[1] for row in group]
        found.append([row - (sum(rows) - row) / (len(rows) - 1) for row in rows])
    return found


def float32_of_each(rewards: Any, k: int) -> Any:
    return maxpo_of_each(rewards.astype(np.float32), k).astype(np.float32)


def in_torch(rewards: Any, k: int) -> Any:
    torch = pytest.importorskip("torch")
    total = torch.as_tensor(rewards) @ torch.tensor(WEIGHTS, dtype=torch.float64)
    return total - total.mean(-1, keepdim=True)
