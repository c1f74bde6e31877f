"""The independent witness of everything exact: all outcomes of all rollouts, one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from itertools import product
from math import prod
from typing import Any

import numpy as np

import maxpo_lab as ml

Rule = Callable[[Any, int], Any]


@dataclass(frozen=True, eq=False)
class Policy:
    """A policy over M outcomes: chances (M,), scores (M, d) of mean 0, rewards (M,)."""

    probabilities: np.ndarray
    scores: np.ndarray
    rewards: np.ndarray

    def levels(self, covariances: str | None = "full") -> ml.RewardLevels:
        return ml.RewardLevels.from_outcomes(
            self.probabilities, self.scores, self.rewards, covariances=covariances
        )


def random_policy(rewards: Sequence[float], *, dimension: int = 2, seed: int = 0) -> Policy:
    """Outcomes with these rewards, random chances and random scores."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(len(rewards), 2.0))
    scores = rng.normal(size=(len(rewards), dimension))
    return Policy(probabilities, scores - probabilities @ scores, np.asarray(rewards, dtype=float))


def softmax_policy(logits: Sequence[float], rewards: Sequence[float]) -> Policy:
    """A softmax policy with its logits as parameters."""
    weights = np.exp(np.asarray(logits, dtype=float))
    probabilities = weights / weights.sum()
    scores = np.eye(len(probabilities)) - probabilities
    return Policy(probabilities, scores, np.asarray(rewards, dtype=float))


def sequences(policy: Policy, length: int) -> tuple[np.ndarray, np.ndarray]:
    """All M^length sequences of outcomes, and their chances."""
    picks = np.array(list(product(range(len(policy.rewards)), repeat=length)))
    return picks, np.array([prod(policy.probabilities[row]) for row in picks])


def objective(policy: Policy, k: int) -> tuple[float, np.ndarray]:
    """``J_K`` and its gradient ``E[max * sum of the K scores]``, over all M^K draws."""
    picks, chance = sequences(policy, k)
    best = policy.rewards[picks].max(axis=1)
    return float(chance @ best), (chance * best) @ policy.scores[picks].sum(axis=1)


def softmax_gradient(logits: Sequence[float], rewards: Sequence[float], k: int) -> np.ndarray:
    """Gradient of J_K in the logits of a softmax policy: central differences to 60 digits.

    With h = 1e-15 the truncation is about K^3 h^2 = 1e-28 and the rounding 1e-60 / h: exact to float64.
    """
    with localcontext(Context(prec=60)):
        theta, step = [Decimal(float(x)) for x in logits], Decimal("1e-15")
        values = [Decimal(float(r)) for r in rewards]

        def expected_max(shift: Decimal, index: int) -> Decimal:
            weights = [(x + shift if i == index else x).exp() for i, x in enumerate(theta)]
            total = sum(weights)
            terms = (
                prod(weights[i] for i in draw) * max(values[i] for i in draw)
                for draw in product(range(len(values)), repeat=k)
            )
            return sum(terms) / total**k

        return np.array(
            [float((expected_max(step, i) - expected_max(-step, i)) / (2 * step)) for i in range(len(theta))]
        )


@dataclass(frozen=True, eq=False)
class Enumerated:
    """The moments of ``g = (1/n) sum A_i s_i``, each from its own definition."""

    mean: np.ndarray
    covariance: np.ndarray
    within_trace: float
    between_trace: float
    second_moment: float
    advantage_rms: float
    sum_rms: float
    sum_max: float
    dead_probability: float
    estimates: np.ndarray
    chance: np.ndarray

    def variance_along(self, direction: np.ndarray) -> float:
        """Variance of g along a direction."""
        along = self.estimates @ (direction / np.linalg.norm(direction))
        return float(self.chance @ (along - self.chance @ along) ** 2)


def moments(rule: Rule, policy: Policy, *, n: int, k: int) -> Enumerated:
    """Evaluate the rule on every group by itself; nothing is assumed of it, nothing is shared."""
    picks, chance = sequences(policy, n)
    advantages = np.array([np.asarray(rule(policy.rewards[row][None], k))[0] for row in picks])
    g = np.einsum("bi,bid->bd", advantages, policy.scores[picks]) / n
    mean = chance @ g
    deviation = g - mean

    members: dict[tuple[float, ...], list[int]] = defaultdict(list)
    for index, row in enumerate(picks):
        members[tuple(sorted(policy.rewards[row]))].append(index)
    within = between = 0.0
    for rows in members.values():
        weight = chance[rows].sum()
        conditional = chance[rows] @ g[rows] / weight
        within += float(chance[rows] @ np.sum((g[rows] - conditional) ** 2, axis=1))
        between += float(weight * np.sum((conditional - mean) ** 2))

    totals = advantages.sum(axis=1)
    rms = float(np.sqrt(chance @ (advantages**2).mean(axis=1)))
    return Enumerated(
        mean=mean,
        covariance=(chance[:, None] * deviation).T @ deviation,
        within_trace=within,
        between_trace=between,
        second_moment=float(chance @ np.sum(g**2, axis=1)),
        advantage_rms=rms,
        sum_rms=float(np.sqrt(chance @ totals**2)),
        sum_max=float(np.abs(totals).max()),
        dead_probability=float(chance[np.abs(advantages).max(axis=1) <= 1e-9 * rms].sum()),
        estimates=g,
        chance=chance,
    )
