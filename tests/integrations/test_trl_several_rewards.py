"""TRL's trainer on rules of several reward functions and of lengths, next to what TRL makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
import torch
import trl
from tiny_trl import N, Recording, Rewards, tiny_trainer

import maxpo_lab as ml
from maxpo_lab.integrations.trl import MaxPOTrainer

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore:::(?!maxpo_lab|tests)")]

#: Weights of the two functions, and TRL's own rule in the catalogue's spelling.
WEIGHTS = [1.0, 0.5]
TRLS = "whitened:scale=std1,mean=1,add=1e-4:per-reward:grpo:eps=1e-4"


class Ours(Recording, MaxPOTrainer):
    """This package's trainer, recorded."""


class Theirs(Recording, trl.GRPOTrainer):
    """TRL's trainer, recorded."""


def distinct(completion_ids: list[list[int]], **others: Any) -> Rewards:
    return [len(set(ids)) / 7 for ids in completion_ids]


def sometimes(completion_ids: list[list[int]], **others: Any) -> Rewards:
    """Nothing of the first group, nor of every third rollout."""
    return [None if i < N or i % 3 == 0 else float(ids[0] % 2) for i, ids in enumerate(completion_ids)]


def ours(folder: Path, estimator: str, k: int = 2) -> Any:
    trainer = tiny_trainer(
        Ours,
        folder,
        distinct,
        sometimes,
        extra={"estimator": estimator, "k": k},
        scale_rewards="none",
        max_steps=1,
        reward_weights=WEIGHTS,
    )
    trainer.train()
    return trainer


@pytest.mark.parametrize("estimator", ["per-reward:maxpo", "summed:maxpo", "gdpo", "multi-axis-maxk"])
def test_a_rule_of_several_rewards_trains_on_all_functions(estimator: str, tmp_path: Path) -> None:
    trainer = ours(tmp_path, estimator)
    rewards = trainer.rewards[0].double().reshape(-1, N, 2)
    wanted = ml.advantages(
        rewards, 2, estimator=estimator, reward_weights=WEIGHTS, nan_policy="omit", small_groups="zero"
    )
    torch.testing.assert_close(trainer.advantages[0], wanted.reshape(-1).float(), rtol=1e-6, atol=1e-6)
    assert float(trainer.advantages[0].abs().max()) > 0
    if estimator == "summed:maxpo":
        plain = ours(tmp_path, "maxpo")
        torch.testing.assert_close(plain.advantages[0], trainer.advantages[0], rtol=0, atol=1e-6)


def test_trls_own_aggregation_is_in_the_catalogue(tmp_path: Path) -> None:
    """normalize_then_sum of TRL 1.16 on rewards with gaps, to float32."""
    theirs = tiny_trainer(
        Theirs,
        tmp_path,
        distinct,
        sometimes,
        max_steps=1,
        reward_weights=WEIGHTS,
        multi_objective_aggregation="normalize_then_sum",
    )
    theirs.train()
    wanted = ml.advantages(
        theirs.rewards[0].double().reshape(-1, N, 2),
        1,
        estimator=TRLS,
        reward_weights=WEIGHTS,
        nan_policy="omit",
        small_groups="zero",
    )
    torch.testing.assert_close(theirs.advantages[0], wanted.reshape(-1).float(), rtol=0, atol=2e-4)


def test_opo_gets_the_lengths(tmp_path: Path) -> None:
    trainer = ours(tmp_path, "opo", k=1)
    lengths = trainer._lengths.reshape(-1, N)
    assert lengths.min() >= 1
    wanted = ml.advantages(
        trainer.rewards[0].double().reshape(-1, N, 2),
        1,
        estimator="opo",
        reward_weights=WEIGHTS,
        lengths=lengths,
        nan_policy="omit",
    )
    torch.testing.assert_close(trainer.advantages[0], wanted.reshape(-1).float(), rtol=1e-6, atol=1e-6)


def test_weights_are_trls(tmp_path: Path) -> None:
    rule = ml.get_estimator("gdpo").weighted((1, 2))
    with pytest.raises(ValueError, match="here they are TRL's"):
        tiny_trainer(Ours, tmp_path, distinct, extra={"estimator": rule, "k": 1}, scale_rewards="none")
    with pytest.raises(ValueError, match="couples the groups of a batch"):
        tiny_trainer(
            Ours, tmp_path, distinct, extra={"estimator": "whitened:maxpo", "k": 1}, scale_rewards="none"
        )
