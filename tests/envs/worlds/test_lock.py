"""CombinationLock: codes, credit, and its oracle against all words that can be written."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from backends import DEVICES
from specimen_witness import (
    all_words,
    check_claims,
    check_frequencies,
    check_gradient,
    check_in_gymnasium,
    check_same_levels,
    raises_with,
    word_policy,
)

import maxpo_lab as ml
from envs.tabular.stepping import TabularVectorEnv
from envs.worlds.lock import CombinationLock

SETTINGS: dict[str, dict[str, Any]] = {
    "one code": {},
    "prefix": {"credit": "prefix"},
    "several": {"length": 5, "choices": 3, "codes": 7, "credit": "prefix", "seed": 4},
    "given": {"length": 3, "choices": 5, "codes": [[4, 0, 1], [4, 0, 2], [1, 1, 1]], "credit": "prefix"},
    "given, no credit": {"length": 3, "choices": 3, "codes": [(2, 0, 1), (2, 1, 1)]},
    "one wheel": {"length": 1, "choices": 3},
    "nearly all": {"length": 2, "choices": 3, "codes": 8, "credit": "prefix"},
}


def random_theta(lock: CombinationLock, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=lock.theta.shape)


def expected_reward(lock: CombinationLock, word: tuple[int, ...]) -> float:
    """The rewards as the docstring says them, in plain Python."""
    best = 0
    for code in lock.codes.tolist():
        shared = 0
        while shared < len(code) and code[shared] == word[shared]:
            shared += 1
        best = max(best, shared)
    if best == lock.length:
        return 1.0
    return best / lock.length if lock.credit == "prefix" else 0.0


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_verify_is_what_the_docstring_says(settings: dict) -> None:
    lock = CombinationLock(**settings)
    words = list(product(range(lock.vocabulary), repeat=lock.length))
    rewards = lock.verify(0, np.array(words))
    assert rewards.dtype == np.float64
    assert rewards.tolist() == [expected_reward(lock, word) for word in words]
    assert (rewards == 1).sum() == len(lock.codes)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_oracle_equals_all_words(settings: dict) -> None:
    lock = CombinationLock(**settings)
    theta = random_theta(lock)
    words = all_words(lock.vocabulary, lock.length)
    steps = np.broadcast_to(np.arange(lock.length), words.shape)
    expected = word_policy(theta, steps, words, lock.verify(0, words)).levels("full")
    check_same_levels(lock.levels(theta, covariances="full"), expected)


def test_the_comparison_sees_another_code_and_another_credit() -> None:
    right = CombinationLock(codes=[[0, 1, 2, 3]], credit="prefix")
    theta = random_theta(right)
    expected = right.levels(theta, covariances="full")
    for wrong in ({"codes": [[0, 1, 3, 3]], "credit": "prefix"}, {"codes": [[0, 1, 2, 3]]}):
        with pytest.raises(AssertionError):
            check_same_levels(CombinationLock(**wrong).levels(theta, covariances="full"), expected)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_stepping_reaches_the_rewards_of_verify(settings: dict) -> None:
    lock = CombinationLock(**settings)
    for word in all_words(lock.vocabulary, lock.length)[::5]:
        observation, _ = lock.reset(seed=0)
        total, seen = 0.0, [observation]
        for step, choice in enumerate(word):
            observation, reward, terminated, truncated, _ = lock.step(choice)
            total += reward
            seen.append(observation)
            assert terminated == (step == lock.length - 1)
            assert not truncated
        assert total == lock.verify(0, word[None])[0]
        assert seen == [*range(lock.length), lock.length - 1]


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_success_at_the_start_is_exact(settings: dict) -> None:
    lock = CombinationLock(**settings)
    levels = lock.levels(lock.theta)
    assert levels.values[-1] == 1
    success = len(lock.codes) / lock.vocabulary**lock.length
    # `length` products of chances 1 / choices, and sums over the codes.
    assert levels.probabilities[-1] == pytest.approx(success, rel=1e-14)


def test_rare_success_keeps_its_accuracy() -> None:
    lock = CombinationLock(length=30, choices=10, credit="prefix")
    levels = lock.levels(lock.theta)
    np.testing.assert_allclose(levels.probabilities[:-1], 0.9 * 0.1 ** np.arange(30), rtol=1e-13)
    assert levels.probabilities[-1] == pytest.approx(1e-30, rel=1e-13)
    # Each right choice has e = 1 - pi = 0.9 along its logit and -0.1 along the nine others.
    norm = 30 * (0.9**2 + 9 * 0.1**2)
    assert levels.mean_scores[-1] @ levels.mean_scores[-1] == pytest.approx(norm, rel=1e-12)


def test_codes_come_from_the_seed() -> None:
    first, again, other = (CombinationLock(codes=5, seed=seed).codes for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(CombinationLock().codes, CombinationLock(seed=0).codes)
    every = CombinationLock(length=3, choices=3, codes=26).codes
    assert len({tuple(code) for code in every.tolist()}) == 26
    assert every.tolist() == sorted(every.tolist())


def test_every_word_is_as_likely_a_code() -> None:
    drawn = np.concatenate([CombinationLock(2, 3, codes=4, seed=seed).codes for seed in range(900)])
    counts = np.bincount(drawn @ [3, 1], minlength=9)
    # A word is among the 4 of 9 codes with chance 4/9; 9 counts, false alarm 1e-6 for all: 5.3 deviations.
    assert (abs(counts - 400) <= 5.3 * np.sqrt(900 * 4 / 9 * 5 / 9)).all()


def test_is_a_sequence_task() -> None:
    lock = CombinationLock(length=5, choices=3)
    assert (lock.vocabulary, lock.length, lock.prompts) == (3, 5, 1)
    assert lock.prompt_tokens.shape == (1, 0)
    assert lock.prompt_tokens.dtype == np.int64
    assert lock.theta.shape == (5, 3)
    assert not lock.codes.flags.writeable


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_passes_gymnasiums_checker_with_warnings_as_errors(settings: dict) -> None:
    check_in_gymnasium(CombinationLock, settings)


@pytest.mark.parametrize("device", DEVICES)
def test_sampler_and_stepping_have_the_oracles_frequencies(device: str) -> None:
    lock = CombinationLock(length=3, choices=3, codes=2, credit="prefix", seed=1)
    levels = lock.levels(lock.theta)
    rewards, _ = lock.sampler(lock.theta, device)(5000, 8, generator=torch.Generator(device).manual_seed(1))
    figures = 2 * len(levels.values)
    check_frequencies(rewards.cpu().numpy(), levels, figures)
    vector = TabularVectorEnv(lock, 20_000)
    vector.reset(seed=2)
    rng = np.random.default_rng(2)
    total = sum(vector.step(rng.integers(3, size=20_000))[1] for _ in range(3))
    check_frequencies(total, levels, figures)


@pytest.mark.parametrize("credit", ["none", "prefix"])
def test_claimed_unbiased_rules_have_no_bias(credit: str) -> None:
    lock = CombinationLock(length=3, choices=3, codes=2, credit=credit)
    assert check_claims(lock.levels(random_theta(lock))) >= 10


def test_gradient_equals_finite_differences() -> None:
    lock = CombinationLock(length=3, choices=3, codes=2, credit="prefix")
    theta = random_theta(lock)
    # eps / h = 2e-11 of rounding and h^2 = 1e-10 of curvature.
    check_gradient(lock, theta, 3, atol=1e-9)
    assert lock.max_at_k(theta, 3) == ml.max_at_k(lock.levels(theta), 3)


@pytest.mark.parametrize(
    ("settings", "fragments"),
    [
        ({"length": 0}, ["length=0", "at least 1 wheel"]),
        ({"choices": 1}, ["choices=1", "2 positions"]),
        ({"codes": 0}, ["codes=0", "1 <= codes < 4^4 = 256"]),
        ({"codes": 256}, ["codes=256", "4^4 = 256"]),
        ({"length": 1, "choices": 2, "codes": [[0], [1]]}, ["2 codes", "less than 2^1 = 2"]),
        ({"codes": []}, ["codes", "shape (0,)"]),
        ({"codes": [[0, 1, 2]]}, ["codes", "shape (1, 3)", "4 tokens"]),
        ({"codes": [[0, 1, 2], [0, 1, 2, 3]]}, ["codes", "different lengths", "4 tokens"]),
        ({"codes": [[0, 1, 2, 4]]}, ["codes", "0 to 4", "must be 0 to 3"]),
        ({"codes": [[0, -1, 2, 3]]}, ["-1"]),
        ({"codes": [[0, 1, 2, 3], [0, 1, 2, 3]]}, ["repeat", "once"]),
        ({"codes": [[0, 1, 2, 3]], "seed": 3}, ["seed=3", "leave it out"]),
        ({"seed": -1}, ["seed=-1", "at least 0"]),
        ({"credit": "suffix"}, ["credit='suffix'", "'none' or 'prefix'"]),
        ({"render_mode": "human"}, ["render_mode='human'"]),
    ],
)
def test_bad_parameters_are_refused(settings: dict, fragments: list[str]) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - fragments are matched below
        CombinationLock(**settings)
    raises_with(fragments, caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"length": 2.0},
        {"choices": True},
        {"codes": True},
        {"seed": 0.5},
        {"codes": [[0.0] * 4]},
        {"codes": 1.5},
    ],
)
def test_wrong_types_are_refused(settings: dict) -> None:
    with pytest.raises(TypeError, match=next(iter(settings))):
        CombinationLock(**settings)


@pytest.mark.parametrize(
    ("prompt", "tokens", "fragment"),
    [
        (1, [[0, 0, 0, 0]], "prompt=1"),
        (0, [[0, 0, 0]], "shape"),
        (0, [0, 0, 0, 0], "shape"),
        (0, [[0, 0, 0, 4]], "0 to 3"),
    ],
)
def test_verify_refuses_what_is_not_a_word(prompt: int, tokens: list, fragment: str) -> None:
    with pytest.raises(ValueError, match=fragment):
        CombinationLock().verify(prompt, tokens)
