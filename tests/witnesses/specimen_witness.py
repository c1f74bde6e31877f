"""What the oracle of a specimen must equal: all outcomes one by one, and rollouts counted."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import pytest
from brute_force import Policy
from checks import OBJECTIVE_SIZE, REAL, objective_size, valid_k
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from scipy import stats

import maxpo_lab as ml
from envs import ExactSpecimen

#: Chance that a test which samples fails although all is right.
FALSE_ALARM = 1e-6


def softmax(theta: np.ndarray) -> np.ndarray:
    weights = np.exp(theta - theta.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def all_words(vocabulary: int, length: int) -> np.ndarray:
    return np.indices((vocabulary,) * length).reshape(length, -1).T


def word_policy(
    theta: np.ndarray, observations: np.ndarray, words: np.ndarray, rewards: np.ndarray
) -> Policy:
    """All words (N, T), written at observations (N, T) by the softmax policy with logits theta (O, V)."""
    pi = softmax(theta)
    scores = np.zeros((len(words), *theta.shape))
    for seen, token in zip(observations.T, words.T, strict=True):
        rows = np.arange(len(words))
        scores[rows, seen] -= pi[seen]
        scores[rows, seen, token] += 1
    return Policy(pi[observations, words].prod(axis=1), scores.reshape(len(words), -1), rewards)


def check_same_levels(seen: ml.RewardLevels, expected: ml.RewardLevels, tolerance: float = 1e-12) -> None:
    """Equal values; probabilities within ``tolerance``, all else within it of what is added up.

    At most 4096 outcomes are added up on either side, of up to 6 factors each: 4096 eps = 9e-13. Scores are
    of size sqrt(S), S the largest second moment, their products of size S, and those seen along a mean
    score of size |G|^2 S.
    """
    np.testing.assert_array_equal(seen.values, expected.values)
    np.testing.assert_allclose(seen.probabilities, expected.probabilities, rtol=tolerance)
    second = expected.score_second_moments.max()
    sizes = {
        "mean_scores": np.sqrt(second),
        "score_second_moments": second,
        "score_covariances": second,
        "projected_covariances": (expected.mean_scores**2).sum(axis=1).max() * second,
    }
    for name, size in sizes.items():
        got, want = getattr(seen, name), getattr(expected, name)
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * size, err_msg=name)


def check_claims(levels: ml.RewardLevels, n: int = 8) -> int:
    """Every rule that claims to be unbiased is, to max(1e-9, resolution); how many figures were looked at."""
    looked = 0
    for name in REAL:
        rule = ml.get_estimator(name)
        if not rule.claims.unbiased or rule.objective not in OBJECTIVE_SIZE:
            continue
        for k in {x for x in (1, 2, n // 2, n - 1, n) if x in valid_k(name, n)}:
            seen = ml.exact_moments(name, levels, n=n, k=k)
            target = ml.max_at_k_gradient(levels, objective_size(name, n, k))
            size = np.linalg.norm(target)
            resolution = seen.bias_resolution * np.linalg.norm(seen.gradient) / size
            share = np.linalg.norm(seen.mean - target) / size
            assert share <= max(1e-9, resolution), f"{name} at k={k}: relative bias {share:.3g}"
            looked += 1
    return looked


def check_frequencies(rewards: np.ndarray, levels: ml.RewardLevels, figures: int) -> None:
    """Counts of sampled rewards, exactly the oracle's values, by the exact binomial law.

    ``figures``: how many counts the test looks at, which share ``FALSE_ALARM``.
    """
    assert set(np.unique(rewards)) <= set(levels.values)
    for value, chance in zip(levels.values, levels.probabilities, strict=True):
        count = int((rewards == value).sum())
        law = stats.binom(rewards.size, chance)
        tail = 2 * min(law.cdf(count), law.sf(count - 1))
        assert tail >= FALSE_ALARM / figures, f"{count} of {rewards.size} are {value}: expected {chance:.3g}"


def check_in_gymnasium(world: type[gymnasium.Env], settings: Mapping[str, Any]) -> None:
    """Gymnasium's own checker, in every render mode, with its warnings as errors."""
    spec = EnvSpec("test/World-v0", entry_point=world)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(spec, **settings).unwrapped)


def raises_with(fragments: Sequence[str], error: BaseException) -> None:
    for fragment in fragments:
        assert fragment in str(error), f"{fragment!r} is not in {str(error)!r}"


def check_gradient(specimen: ExactSpecimen, theta: np.ndarray, k: int, atol: float) -> None:
    """The gradient of max@K equals central differences with a step of 1e-5, entry by entry."""
    gradient, h = specimen.max_at_k_gradient(theta, k), 1e-5
    assert gradient.shape == theta.shape
    for index in np.ndindex(theta.shape):
        up, down = theta.copy(), theta.copy()
        up[index] += h
        down[index] -= h
        slope = (specimen.max_at_k(up, k) - specimen.max_at_k(down, k)) / (2 * h)
        assert gradient[index] == pytest.approx(slope, abs=atol)
