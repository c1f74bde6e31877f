"""The advantages that TRL's ``GRPOTrainer`` really trains on against the catalogue.

Runs in an environment of its own (``make test-integrations``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import maxpo_lab as ml

# Warnings of this project stay errors; TRL gives some through how it calls what it depends on.
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore:::(?!maxpo_lab|tests)")]
trl = pytest.importorskip("trl", reason="TRL is not here: make setup")
import torch  # noqa: E402 - it comes with TRL
from tiny_trl import N, Recording, Rewards, tiny_trainer  # noqa: E402

BY_STD, NO_STD = "grpo:eps=1e-4,ddof=1", "batch-mean"
# The mean of rewards up to 1 rounds by at most an ulp, 6e-8; a std of 0.1 multiplies that by 10.
TOLERANCE = 1e-6

RewardRule = Callable[[list[list[int]]], Rewards]


def binary(completions: list[list[int]]) -> Rewards:
    return [float(ids[0] % 3 == 0) for ids in completions]


def graded(completions: list[list[int]]) -> Rewards:
    return [len(set(ids)) / 7 for ids in completions]


def continuous(completions: list[list[int]]) -> Rewards:
    return [sum(i * token * 0.6180339887 for i, token in enumerate(ids, start=1)) % 1 for ids in completions]


def partly_unscorable(completions: list[list[int]]) -> Rewards:
    """A group without a score, one with a single score, one with all but two."""
    single: Rewards = [None, 1.0]
    rest: Rewards = [None, None]
    return [None] * N + single + [None] * (N - 2) + rest + graded(completions)[2 * N + 2 :]


def flat(completions: list[list[int]]) -> Rewards:
    return [0.0] * N + [1.0] * N + [0.5] * N


def flat_tenths(completions: list[list[int]]) -> Rewards:
    return [0.1] * N + [0.7] * N + [1000.1] * N


STEPS = (binary, graded, continuous, partly_unscorable, flat)


class Recorder(Recording, trl.GRPOTrainer):
    pass


def trained(folder: Path, steps: Sequence[RewardRule], **settings: Any) -> Recorder:
    """A trainer after one step with each of these reward rules."""

    def rewarded(completion_ids: list[list[int]], trainer_state: Any, **others: Any) -> Rewards:
        return steps[trainer_state.global_step](completion_ids)

    trainer = tiny_trainer(Recorder, folder, rewarded, max_steps=len(steps), **settings)
    trainer.train()
    return trainer


def ours(rewards: torch.Tensor, estimator: str, n: int = N) -> torch.Tensor:
    groups = rewards.reshape(-1, n)
    found = ml.advantages(groups, 1, estimator=estimator, nan_policy="omit", small_groups="zero")
    return found.reshape(-1)


@pytest.mark.parametrize(
    ("setting", "estimator"), [("group", BY_STD), (True, BY_STD), ("none", NO_STD), (False, NO_STD)]
)
def test_the_trainers_advantages_are_ours(setting: str | bool, estimator: str, tmp_path: Path) -> None:
    trainer = trained(tmp_path, STEPS, scale_rewards=setting)
    assert len(trainer.rewards) == len(trainer.advantages) == len(trainer.trained_on) == len(STEPS)
    for step, rewards, theirs, used in zip(
        STEPS, trainer.rewards, trainer.advantages, trainer.trained_on, strict=True
    ):
        assert bool(rewards.isnan().any()) == (step is partly_unscorable)
        assert bool(theirs.any()) == (step is not flat), step.__name__
        expected = ours(rewards[:, 0], estimator)
        torch.testing.assert_close(theirs, expected, rtol=0, atol=TOLERANCE, msg=step.__name__)
        torch.testing.assert_close(used.sort().values, theirs.sort().values, rtol=0, atol=0)  # shuffled


def test_the_default_setting_is_by_group_std(tmp_path: Path) -> None:
    trainer = trained(tmp_path, [graded])
    expected = ours(trainer.rewards[0][:, 0], BY_STD)
    torch.testing.assert_close(trainer.advantages[0], expected, rtol=0, atol=TOLERANCE)
    other_epsilon = ours(trainer.rewards[0][:, 0], "grpo")
    assert float((other_epsilon - trainer.advantages[0]).abs().max()) > 100 * TOLERANCE


def test_several_reward_functions_are_a_weighted_sum_of_the_scores_there_are(tmp_path: Path) -> None:
    def first(completion_ids: list[list[int]], **others: Any) -> Rewards:
        return list(binary(completion_ids))

    def second(completion_ids: list[list[int]], **others: Any) -> Rewards:
        return [None if i % 3 else reward for i, reward in enumerate(graded(completion_ids))]

    trainer = tiny_trainer(Recorder, tmp_path, first, second, max_steps=1, reward_weights=[1.0, 0.5])
    trainer.train()
    summed = (trainer.rewards[0] * torch.tensor([1.0, 0.5])).nansum(1)
    torch.testing.assert_close(trainer.advantages[0], ours(summed, BY_STD), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("n", [1, 4])
def test_evaluation_has_groups_of_its_own_size(n: int, tmp_path: Path) -> None:
    """At one completion a prompt TRL gives 0, and ours an error unless small_groups="zero"."""

    def rewarded(completion_ids: list[list[int]], **others: Any) -> Rewards:
        return graded(completion_ids)

    trainer = tiny_trainer(Recorder, tmp_path, rewarded, num_generations_eval=n)
    trainer.evaluate()
    for rewards, theirs in zip(trainer.rewards, trainer.advantages, strict=True):
        torch.testing.assert_close(theirs, ours(rewards[:, 0], BY_STD, n), rtol=0, atol=TOLERANCE)
    assert bool(torch.cat(trainer.advantages).any()) == (n > 1)


def test_flat_groups_are_not_quite_flat_in_trl(tmp_path: Path) -> None:
    """A float32 mean that rounds leaves ulps of the reward, which the epsilon divides; ours is exactly 0.

    Seen with TRL 1.16: eight rewards of 0.1 get -7.4e-5 each, of 0.7 6.0e-4, of 1000.1 -0.37.
    """
    trainer = trained(tmp_path, [flat_tenths])
    assert not ours(trainer.rewards[0][:, 0], BY_STD).any()
    assert float(trainer.advantages[0].abs().max()) > 0.01
