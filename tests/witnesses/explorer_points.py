"""What the report page's explorer must show: settings drawn at random, and their numbers in Python."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

import maxpo_lab as ml
from maxpo_lab.objectives import as_objective

#: The rules of the explorer that use earlier rewards of a prompt.
WITH_HISTORY = ("replay", "plug-in-floor", "centered-replay", "pooled")
#: The rule in which the place of a rollout counts, and the largest group of whose orders there are few.
IN_PLACES, FEW = "krpo", 12

Setting = dict[str, Any]


def settings(number: int, seed: int = 0) -> list[Setting]:
    """Settings over the ranges of the page's controls: with and without history and verifier errors.

    Where the gradient of pass@K is so small that ``exact_moments`` does not resolve it, there is nothing to
    compare a scale with: such settings are drawn again.
    """
    rng = np.random.default_rng(seed)
    drawn: list[Setting] = []
    while len(drawn) < number:
        setting = one(rng, with_errors=len(drawn) % 3 == 0)
        if (1 - seen(setting)) ** (setting["k"] - 1) >= 1e-3:
            drawn.append(setting)
    return drawn


def one(rng: np.random.Generator, *, with_errors: bool) -> Setting:
    """A setting of the controls, the ends of their ranges among them."""
    n = int(rng.choice([2, 3, 4, 5, 8, 12, 16, 24, 32, 64]))
    inside, above = rng.integers(1, n + 1, size=3), rng.integers(n + 1, 4 * n + 1, size=1)
    k = int(rng.choice([1, n, max(1, n - 1), n + 1, 2 * n, *inside, *above]))
    outcomes = int(rng.choice([2, 3, 10, 40, 100]))
    correct = int(rng.choice([1, outcomes - 1, *rng.integers(1, outcomes, size=2)]))
    wrong = rng.integers(0, 31, size=2) / 100 if with_errors else np.zeros(2)
    return {
        "n": n,
        "k": k,
        "p": float(f"{1 / (1 + math.exp(-rng.uniform(-6.9, 2.2))):.4g}"),
        "outcomes": outcomes,
        "correct": correct,
        "history": int(rng.choice([0, 1, 3, 8])),
        "staleness": float(rng.choice([1.0, 1.0, 0.5, 1.1])),
        "falsePositives": float(wrong[0]),
        "falseNegatives": float(wrong[1]),
    }


def seen(setting: Setting) -> float:
    """The chance of a verdict of 1."""
    right, wrong = (
        setting["p"] * (1 - setting["falseNegatives"]),
        (1 - setting["p"]) * setting["falsePositives"],
    )
    return float(right + wrong)


def policy(setting: Setting) -> ml.RewardLevels:
    """Each answer with each verdict as an outcome of its own, whose score is the answer's."""
    correct, outcomes = setting["correct"], setting["outcomes"]
    right = np.arange(outcomes) < correct
    chance = np.where(right, setting["p"] / correct, (1 - setting["p"]) / (outcomes - correct))
    passed = np.where(right, 1 - setting["falseNegatives"], setting["falsePositives"])
    scores = np.eye(outcomes) - chance
    return ml.RewardLevels.from_outcomes(
        np.concatenate([chance * passed, chance * (1 - passed)]),
        np.concatenate([scores, scores]),
        np.repeat([1.0, 0.0], outcomes),
    )


def why_not(name: str, setting: Setting) -> str | None:
    """Why Python refuses a rule of the explorer here; None where it does not."""
    n, k, m = setting["n"], setting["k"], setting["history"]
    if name not in WITH_HISTORY:
        return ml.get_estimator(name).why_not(n, k)
    if not m:
        return "no history"
    try:
        after(name, np.zeros(m), k, np.zeros((1, n)))
    except ValueError as error:
        return str(error)
    return None


def after(name: str, past: np.ndarray, k: int, rewards: np.ndarray, _: int = 1) -> np.ndarray:
    """A rule with this history of every group, and this K, which may be above n."""
    return np.asarray(ml.advantages(rewards, k, estimator=name, history=[past] * len(rewards)))


def reference(setting: Setting, levels: ml.RewardLevels) -> float:
    """What an efficiency is of: the floor; above n pkpo-loo1 in groups of K, as many rollouts in all."""
    n, k = setting["n"], setting["k"]
    if k > n:
        return ml.exact_moments("pkpo-loo1", levels, n=k, k=k).trace_covariance * k / n
    floor = ml.variance_floor(levels, n=n, k=k)
    return math.nan if floor.degenerate else floor.trace_covariance


def moments(name: str, setting: Setting, levels: ml.RewardLevels) -> dict[str, float]:
    """Trace covariance, efficiency and weight of one rule, by exact_moments, averaged over histories."""
    n, k, p = setting["n"], setting["k"], setting["p"]
    share = 1 - setting["falseNegatives"] - setting["falsePositives"]
    target = as_objective("max@k", k, k)  # of groups of K, larger ones than a rule's own among them
    compared = k <= n or ml.get_estimator(name).uses_k
    least = reference(setting, levels) if compared else math.nan
    if name in WITH_HISTORY:
        m, rate = setting["history"], min(1.0, seen(setting) * setting["staleness"])
        chances = np.array([math.comb(m, h) * rate**h * (1 - rate) ** (m - h) for h in range(m + 1)])
        found = [
            ml.exact_moments(
                partial(after, name, np.repeat([1.0, 0.0], [h, m - h]), k), levels, n=n, k=1, target=target
            )
            for h in range(m + 1)
        ]
        mean = sum(c * each.mean for c, each in zip(chances, found, strict=True))
        trace = sum(
            c * (each.trace_covariance + float(np.sum((each.mean - mean) ** 2)))
            for c, each in zip(chances, found, strict=True)
        )
        scale = sum(c * each.scale for c, each in zip(chances, found, strict=True))
        efficiency = least * scale**2 / trace if trace else math.nan
    elif name == IN_PLACES and n > FEW:
        scale, trace = in_places(name, setting, levels)
        efficiency = least * scale**2 / trace
    else:
        exact = ml.exact_moments(name, levels, n=n, k=k, target=target)
        trace, scale = exact.trace_covariance, exact.scale
        efficiency = exact.efficiency(least) if math.isfinite(least) else math.nan
    climbed = scale * k * (1 - seen(setting)) ** (k - 1) * share
    return {
        "trace": float(trace),
        "efficiency": float(efficiency),
        "climbed": float(climbed),
        "scale": float(climbed / (k * (1 - p) ** (k - 1))),
    }


def in_places(name: str, setting: Setting, levels: ml.RewardLevels) -> tuple[float, float]:
    """Scale and trace of a rule that is linear in the rewards, by its advantages of single successes."""
    n, k, p = setting["n"], setting["k"], seen(setting)
    weights = np.asarray(ml.advantages(np.eye(n), k, estimator=name)).T  # (advantage of, reward of)
    success, failure = (int(np.flatnonzero(levels.values == each)[0]) for each in (1.0, 0.0))
    size = levels.score_second_moments
    signal = float(np.sum(levels.mean_scores[success] ** 2))
    others = weights - np.diag(np.diag(weights))
    mean, variance = p * others.sum(axis=1), p * (1 - p) * (others**2).sum(axis=1)
    second = p * size[success] * ((np.diag(weights) + mean) ** 2 + variance)
    second += (1 - p) * size[failure] * (mean**2 + variance)
    trace = np.sum(second - np.diag(weights) ** 2 * p**2 * signal) / n**2
    return float(np.mean(np.diag(weights)) / (k * (1 - p) ** (k - 1))), float(trace)


def climbs_unit_vector(name: str, setting: Setting) -> bool:
    """Whether a rule of a group climbs pass@K alone at every p, by the spectrum in rationals."""
    n, k = setting["n"], setting["k"]
    found = ml.pass_at_k_spectrum(name, n=n, k=k)
    if not found.exact or k > n:
        return False
    return [Fraction(each) for each in found.weights] == [Fraction(order == k) for order in range(1, n + 1)]


def spectrum(name: str, setting: Setting) -> list[float] | None:
    """Weights of pass@1..pass@n under the verifier, where the library has them in rationals."""
    if setting["n"] > 32:
        return None
    found = ml.loop_spectrum(
        name,
        n=setting["n"],
        k=setting["k"],
        false_negatives=Fraction(round(setting["falseNegatives"] * 100), 100),
        false_positives=Fraction(round(setting["falsePositives"] * 100), 100),
    ).climbed
    return [float(each) for each in found.weights] if found.exact else None
