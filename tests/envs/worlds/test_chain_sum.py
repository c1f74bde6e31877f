"""ChainSum: prompts, verifiers and credit, and its oracle against all chains that can be written."""

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
    softmax,
    word_policy,
)

import maxpo_lab as ml
from envs.tabular.stepping import TabularVectorEnv
from envs.worlds.chain_sum import ChainSum

SETTINGS: dict[str, dict[str, Any]] = {
    "answer": {"base": 3, "digits": 2},
    "chain": {"base": 3, "digits": 2, "verifier": "chain"},
    "answer, credit": {"base": 3, "digits": 3, "credit": 0.3, "prompts": 4},
    # 0.4 + 0 for a right answer alone is 0.6 * 2/3 for two right steps alone.
    "answer, credit with ties": {"base": 3, "digits": 3, "credit": 0.6, "prompts": 3, "seed": 2},
    "chain, credit": {"base": 3, "digits": 3, "verifier": "chain", "credit": 0.5, "prompts": 3},
    "one digit": {"base": 4, "digits": 1, "verifier": "chain", "credit": 0.25},
    "one digit, answer": {"base": 2, "digits": 1, "credit": 0.25},
    "default, few prompts": {"prompts": 2, "verifier": "chain"},
}


def random_theta(task: ChainSum, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=task.theta.shape)


def expected_reward(task: ChainSum, prompt: int, written: tuple[int, ...]) -> float:
    """The rewards as the docstring says them, in plain Python."""
    digits = task.prompt_tokens[prompt].tolist()
    sums = [sum(digits[: step + 1]) % task.base for step in range(len(digits))]
    right = sum(token == total for token, total in zip(written, sums, strict=False))
    verdict = written[-1] == sums[-1]
    if task.verifier == "chain":
        verdict = verdict and right == len(digits)
    return (1 - task.credit) * verdict + task.credit * right / len(digits)


def seen_by(task: ChainSum, prompt: int, words: np.ndarray) -> np.ndarray:
    """The observation of every step of every chain, looked up by what the policy sees, (N, T)."""
    index = {tuple(row): place for place, row in enumerate(task.seen.tolist())}
    digits = [*task.prompt_tokens[prompt].tolist(), -1]
    return np.array(
        [
            [index[step, digits[step], word[step - 1] if step else -1] for step in range(len(word))]
            for word in words.tolist()
        ]
    )


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_verify_is_what_the_docstring_says(settings: dict) -> None:
    task = ChainSum(**settings)
    words = list(product(range(task.vocabulary), repeat=task.length))
    for prompt in range(task.prompts):
        rewards = task.verify(prompt, np.array(words))
        expected = [expected_reward(task, prompt, word) for word in words]
        np.testing.assert_allclose(rewards, expected, rtol=0, atol=0.5e-12)  # rounded to 12 decimals
        assert ((rewards >= 0) & (rewards <= 1)).all()
        assert rewards.max() == 1


def test_the_example_of_the_docstring() -> None:
    task = ChainSum(prompts=None)
    prompt = task.prompt_tokens.tolist().index([3, 4, 2])
    assert task.sums[prompt].tolist() == [3, 2, 4]
    assert task.verify(prompt, [[3, 2, 4, 4], [0, 0, 0, 4], [3, 2, 4, 1]]).tolist() == [1, 1, 0]


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_oracle_equals_all_chains(settings: dict) -> None:
    task = ChainSum(**settings)
    theta = random_theta(task)
    words = all_words(task.vocabulary, task.length)
    for prompt in range(task.prompts):
        rewards = task.verify(prompt, words)
        expected = word_policy(theta, seen_by(task, prompt, words), words, rewards).levels("full")
        check_same_levels(task.levels(theta, prompt, covariances="full"), expected)


def test_equal_rewards_are_one_level() -> None:
    task = ChainSum(**SETTINGS["answer, credit with ties"])
    # Without a right answer 0, 0.2, 0.4, 0.6, with one 0.4, 0.6, 0.8, 1.
    np.testing.assert_array_equal(task.levels(task.theta, 0).values, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])


def test_the_comparison_sees_another_credit_and_another_prompt() -> None:
    settings = SETTINGS["chain, credit"]
    task, other = ChainSum(**settings), ChainSum(**(settings | {"credit": 0.5001}))
    theta = random_theta(task)
    expected = task.levels(theta, 0, covariances="full")
    for wrong in (other.levels(theta, 0, covariances="full"), task.levels(theta, 1, covariances="full")):
        with pytest.raises(AssertionError):
            check_same_levels(wrong, expected)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_stepping_reaches_the_rewards_of_verify(settings: dict) -> None:
    task = ChainSum(**settings)
    words = all_words(task.vocabulary, task.length)[::7]
    for prompt in range(task.prompts):
        seen = seen_by(task, prompt, words)
        for word, places in zip(words, seen, strict=True):
            observation, info = task.reset(options={"prompt": prompt})
            assert info == {"prompt": prompt}
            total = 0.0
            for step, token in enumerate(word):
                assert observation == places[step]
                observation, reward, terminated, truncated, _ = task.step(token)
                total += reward
                assert terminated == (step == task.length - 1)
                assert not truncated
            assert observation == places[-1]
            assert total == task.verify(prompt, word[None])[0]


def test_observations_are_decoded_as_documented() -> None:
    task = ChainSum(base=4, digits=3)
    assert len(task.seen) == task.theta.shape[0] == 2 * 4 + 2 * 16
    for index, (step, digit, token) in enumerate(task.seen.tolist()):
        if step == 0:
            assert (index, token) == (digit, -1)
        elif step == 3:
            assert (index, digit) == (4 + 2 * 16 + token, -1)
        else:
            assert index == 4 + ((step - 1) * 4 + digit) * 4 + token


@pytest.mark.parametrize(("base", "digits"), [(2, 1), (3, 2), (5, 3)])
def test_success_at_the_start_is_exact(base: int, digits: int) -> None:
    for verifier, success in (("answer", 1 / base), ("chain", float(base) ** -(digits + 1))):
        task = ChainSum(base=base, digits=digits, verifier=verifier)
        for prompt in (0, task.prompts - 1):
            # `digits + 1` products of 1 / base, and sums over base^digits chains.
            found = task.levels(task.theta, prompt).probabilities[-1]
            assert found == pytest.approx(success, rel=1e-13)
        assert task.max_at_k(task.theta, 1) == pytest.approx(success, rel=1e-13)


def test_prompts_come_from_the_seed() -> None:
    first, again, other = (ChainSum(prompts=9, seed=seed).prompt_tokens for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(
        ChainSum(prompts=9).prompt_tokens, ChainSum(prompts=9, seed=0).prompt_tokens
    )
    assert len({tuple(prompt) for prompt in first.tolist()}) == 9


@pytest.mark.parametrize("prompts", [None, 27])
def test_all_prompts_in_order(prompts: int | None) -> None:
    task = ChainSum(base=3, digits=3, prompts=prompts)
    assert task.prompt_tokens.tolist() == [list(word) for word in product(range(3), repeat=3)]


def test_is_a_sequence_task() -> None:
    task = ChainSum(base=4, digits=2, prompts=5)
    assert (task.vocabulary, task.length, task.digits, task.prompts) == (4, 3, 2, 5)
    assert task.prompt_tokens.shape == (5, 2)
    assert task.prompt_tokens.dtype == np.int64
    assert not task.prompt_tokens.flags.writeable


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_passes_gymnasiums_checker_with_warnings_as_errors(settings: dict) -> None:
    check_in_gymnasium(ChainSum, settings)


def mixture(task: ChainSum, theta: np.ndarray) -> ml.RewardLevels:
    """Reward levels of the task with its prompt drawn, as far as values and probabilities go."""
    each = [task.levels(theta, prompt, covariances=None) for prompt in range(task.prompts)]
    values = np.concatenate([levels.values for levels in each])
    chances = np.concatenate([levels.probabilities for levels in each]) / task.prompts
    return ml.RewardLevels.from_outcomes(chances, np.zeros((len(values), 1)), values, covariances=None)


@pytest.mark.parametrize("device", DEVICES)
def test_sampler_and_stepping_have_the_oracles_frequencies(device: str) -> None:
    task = ChainSum(base=3, digits=2, credit=0.3)
    theta = random_theta(task, 3)
    levels, one = mixture(task, theta), task.levels(theta, 4)
    figures = 2 * len(levels.values) + len(one.values)
    # One rollout a group: those of one group share their prompt.
    rewards, _ = task.sampler(theta, device)(40_000, 1, generator=torch.Generator(device).manual_seed(1))
    check_frequencies(rewards.cpu().numpy(), levels, figures)
    rewards, _ = task.sampler(theta, device, prompt=4)(
        5000, 8, generator=torch.Generator(device).manual_seed(2)
    )
    check_frequencies(rewards.cpu().numpy(), one, figures)
    size, rng = 20_000, np.random.default_rng(3)
    pi = softmax(theta)
    vector = TabularVectorEnv(task, size)
    observation, _ = vector.reset(seed=3)
    total = np.zeros(size)
    for _ in range(task.length):
        action = (pi[observation].cumsum(axis=1)[:, :-1] < rng.random((size, 1))).sum(axis=1)
        observation, reward, *_ = vector.step(action)
        total += reward
    check_frequencies(total, levels, figures)


@pytest.mark.parametrize("name", ["answer", "chain", "answer, credit", "chain, credit"])
def test_claimed_unbiased_rules_have_no_bias(name: str) -> None:
    task = ChainSum(**SETTINGS[name])
    assert check_claims(task.levels(random_theta(task), 1)) >= 10


def test_gradient_is_that_of_the_mean_over_prompts() -> None:
    task = ChainSum(base=2, digits=2, credit=0.4, verifier="chain")
    theta = random_theta(task)
    # eps / h = 2e-11 of rounding and h^2 = 1e-10 of curvature.
    check_gradient(task, theta, 3, atol=1e-9)
    each = [ml.max_at_k(task.levels(theta, prompt), 3) for prompt in range(task.prompts)]
    assert task.max_at_k(theta, 3) == pytest.approx(np.mean(each), rel=1e-15)


@pytest.mark.parametrize(
    ("settings", "fragments"),
    [
        ({"base": 1}, ["base=1", "at least 2"]),
        ({"digits": 0}, ["digits=0", "1 digit"]),
        ({"prompts": 0}, ["prompts=0", "5^3 = 125", "1 to 125"]),
        ({"prompts": 126}, ["prompts=126", "5^3 = 125"]),
        ({"seed": 1}, ["seed=1", "leave it out"]),
        ({"base": 10, "digits": 6}, ["base=10, digits=6", "10^6 = 1,000,000 prompts", "prompts=100"]),
        ({"base": 10, "digits": 30}, ["more than 100,000", "say how many"]),
        ({"prompts": 3, "seed": -1}, ["seed=-1", "at least 0"]),
        ({"credit": 1.0}, ["credit=1.0", "below 1"]),
        ({"credit": -0.1}, ["credit=-0.1", "at least 0"]),
        ({"credit": float("nan")}, ["credit=nan"]),
        ({"verifier": "steps"}, ["verifier='steps'", "'answer' or 'chain'"]),
        ({"render_mode": "human"}, ["render_mode='human'"]),
    ],
)
def test_bad_parameters_are_refused(settings: dict, fragments: list[str]) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - fragments are matched below
        ChainSum(**settings)
    raises_with(fragments, caught.value)


@pytest.mark.parametrize("settings", [{"base": 5.0}, {"digits": True}, {"prompts": 2.0}, {"credit": "a"}])
def test_wrong_types_are_refused(settings: dict) -> None:
    with pytest.raises(TypeError, match=next(iter(settings))):
        ChainSum(**settings)


def test_several_prompts_must_be_told_apart() -> None:
    task = ChainSum(base=2, digits=2)
    with pytest.raises(ValueError, match="4 prompts"):
        task.levels(task.theta)
    with pytest.raises(ValueError, match="prompt=4"):
        task.verify(4, [[0, 0, 0]])
    with pytest.raises(ValueError, match="must be 0 to 1"):
        task.verify(0, [[0, 0, 2]])
