"""Callables with a fault each, written for the audit, and what it must say of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import maxpo_lab as ml

Array = np.ndarray


def by(name: str, rewards: Array, k: int) -> Array:
    return ml.get_estimator(name)(rewards, k)


def off_by_one_k(rewards: Array, k: int) -> Array:
    return by("maxpo", rewards, k + 1)


def baseline_with_self(rewards: Array, k: int) -> Array:
    signal = by("pkpo-s", rewards, k)
    return signal - signal.mean(axis=1, keepdims=True)


def wrong_ddof(rewards: Array, k: int) -> Array:
    return (rewards - rewards.mean(axis=1, keepdims=True)) / (rewards.std(axis=1, keepdims=True) + 1e-6)


def max_over_n(rewards: Array, k: int) -> Array:
    ranked = np.sort(rewards, axis=1)
    lead = rewards.shape[1] * (ranked[:, -1:] - ranked[:, -2:-1])
    return np.where(rewards == ranked[:, -1:], lead, 0.0)


def ignored_k(rewards: Array, k: int) -> Array:
    n = rewards.shape[1]
    return (n * rewards - rewards.sum(axis=1, keepdims=True)) / (n - 1)


def order_dependent_ties(rewards: Array, k: int) -> Array:
    """RLOO with a bonus for the winner, the first of several."""
    bonus = np.zeros_like(rewards)
    np.put_along_axis(bonus, rewards.argmax(axis=1)[:, None], 0.5, axis=1)
    return ignored_k(rewards, k) + bonus


def in_place(rewards: Array, k: int) -> Array:
    advantages = by("maxpo", rewards, k)
    rewards -= rewards.mean(axis=1, keepdims=True)
    return advantages


def random_dithering(rewards: Array, k: int) -> Array:
    return by("maxpo", rewards + 1e-3 * np.random.default_rng().random(rewards.shape), k)


def float16_overflow(rewards: Array, k: int) -> Array:
    with np.errstate(all="ignore"):
        half = rewards.astype(np.float16)
        return half - half.mean(axis=1, keepdims=True)


def prompt_mixing(rewards: Array, k: int) -> Array:
    return rewards - rewards.mean()


def hanging(rewards: Array, k: int) -> Array:
    time.sleep(60)
    return rewards


def raising(rewards: Array, k: int) -> Array:
    raise KeyError("reward")


def one_a_group(rewards: Array, k: int) -> Array:
    return rewards.sum(axis=1)


def raises_on_ties(rewards: Array, k: int) -> Array:
    if rewards.shape[0] > 3 and (np.diff(np.sort(rewards, axis=1)) == 0).any():
        raise ZeroDivisionError("a tie")
    return rewards


@dataclass(frozen=True)
class Fault:
    """A rule, the claim that it breaks, the exit status, and what the report must say, by field."""

    rule: Callable[[Array, int], Any]
    claim: str
    says: str
    misbehaves: str | None = None
    nearest: str | None = None


FAULTS = (
    Fault(off_by_one_k, "unbiased", "unbiased for max@5", nearest="maxpo"),
    Fault(baseline_with_self, "unbiased", "0.5 x the max@4 gradient: exact direction, wrong scale"),
    Fault(wrong_ddof, "equals:grpo", "grpo gives", nearest="grpo:ddof=0"),
    Fault(max_over_n, "unbiased", "unbiased for max@8", nearest="max-minus-second"),
    Fault(ignored_k, "unbiased", "unbiased for the mean reward", nearest="rloo"),
    Fault(order_dependent_ties, "centered", "sum to 0.5"),
    Fault(in_place, "unbiased", "unbiased for max@4", misbehaves="mutates", nearest="maxpo"),
    Fault(random_dithering, "unbiased", "deterministic", misbehaves="random"),
    Fault(float16_overflow, "unbiased", "mean-reward", misbehaves="not finite", nearest="batch-mean"),
    Fault(prompt_mixing, "unbiased", "P=2: beside [0, 0, 0, 0], n=4", nearest="flash-reinforce"),
    Fault(hanging, "unbiased", "does not return", misbehaves="hangs"),
    Fault(raising, "unbiased", "raises", misbehaves="raises"),
    Fault(one_a_group, "unbiased", "no advantages", misbehaves="shape"),
    Fault(raises_on_ties, "unbiased", "raises", misbehaves="raises"),
)
