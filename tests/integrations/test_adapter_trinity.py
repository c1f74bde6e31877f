"""Trinity-RFT's own registry, experiences and pipeline operator, with the catalogue as advantage function."""

from __future__ import annotations

from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from ragged_batches import Batch, batches, check

import maxpo_lab as ml
from maxpo_lab.integrations.frameworks.loading import load

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        find_spec("trinity") is None, reason="Trinity-RFT is not here: make test-integrations"
    ),
    pytest.mark.filterwarnings("ignore:::(?!maxpo_lab|tests)"),
]
PATH = "maxpo_lab.integrations.adapters.trinity.RuleAdvantage"


@pytest.fixture(scope="module")
def trinity() -> ModuleType:
    """Trinity's registry of advantage functions, its own modules around it."""
    bare = ("trinity", "trinity.algorithm", "trinity.common")
    load("trinity-rft", "trinity.common.experience", bare=bare)
    return load("trinity-rft", "trinity.algorithm.advantage_fn", bare=bare, absent=("ray", "verl"))


def experience(task: Any, reward: Any, *, batch: int = 0, tokens: int = 3, **others: Any) -> Any:
    from trinity.common.experience import EID, Experience

    made = Experience(tokens=list(range(tokens + 1)), reward=reward, eid=EID(batch=batch, task=task))
    for name, value in others.items():
        setattr(made, name, value)
    return made


def of_path(trinity: ModuleType, **settings: Any) -> Any:
    """As Trinity makes it of a configuration: by path, with its arguments or the default ones."""
    made = trinity.ADVANTAGE_FN.get(PATH)
    assert not made.compute_in_trainer()
    return made(**(made.default_args() | settings))


def test_the_registry_gives_the_catalogues_advantages(trinity: ModuleType) -> None:
    def answer(batch: Batch) -> list[float]:
        rule = of_path(trinity, estimator=batch.estimator, k=batch.k)
        given = [
            experience(int(task), None if np.isnan(reward) and row % 2 else float(reward), tokens=1 + row % 3)
            for row, (task, reward) in enumerate(zip(batch.ids, batch.rewards, strict=True))
        ]
        found, metrics = rule.process(list(given))
        assert [each.eid.uid for each in found] == [each.eid.uid for each in given]
        assert metrics["maxpo/k"] == batch.k
        assert metrics["maxpo/advantages/unscored"] == np.isnan(batch.rewards).mean()
        for each in found:
            assert each.advantages.shape == each.action_mask.shape
            assert (each.advantages == each.advantages[0]).all()
            assert (each.advantages == each.returns).all()
        return [float(each.advantages[0]) for each in found]

    check(answer, batches())


def test_tokens_that_are_not_the_policys_get_0(trinity: ModuleType) -> None:
    import torch

    given = [experience(0, float(row == 0)) for row in range(4)]
    given[0].action_mask = torch.tensor([True, False, True])
    found, _ = of_path(trinity, k=2).process(given)
    assert found[0].advantages.tolist() == [2.0, 0.0, 2.0]


def test_a_group_alone(trinity: ModuleType) -> None:
    rule = of_path(trinity, k=2)
    found, metrics = rule.calculate_group_advantage(
        "0/7", [experience(7, float(row == 0)) for row in range(4)]
    )
    due = ml.advantages([1.0, 0, 0, 0], 2)
    np.testing.assert_allclose([float(each.advantages[0]) for each in found], due, rtol=2e-7)
    assert metrics["maxpo/advantages/dead_groups"] == 0
    assert set(rule.group_experiences([*found, experience(8, 1.0)])) == {"0/7", "0/8"}
    assert rule.process([]) == ([], {})


def test_several_rewards_from_the_metrics_of_an_experience(trinity: ModuleType) -> None:
    rng = np.random.default_rng(0)
    rewards = np.round(rng.random((8, 2)), 2)
    rewards[3, 1] = np.nan
    given = [
        experience(row % 2, None, metrics={"accuracy": accuracy, "format": None if np.isnan(form) else form})
        for row, (accuracy, form) in enumerate(rewards.tolist())
    ]
    settings = {"reward_keys": ["accuracy", "format"], "reward_weights": [1.0, 0.5]}
    rule = of_path(trinity, estimator="per-reward:maxpo", k=2, **settings)
    found, _ = rule.process(given)
    due = ml.advantages(
        rewards,
        2,
        estimator="per-reward:maxpo",
        group_ids=np.arange(8) % 2,
        nan_policy="omit",
        reward_weights=[1.0, 0.5],
    )
    np.testing.assert_allclose([float(each.advantages[0]) for each in found], due, rtol=2e-7)
    with pytest.raises(ValueError, match="no reward_keys say which"):
        of_path(trinity, estimator="per-reward:maxpo", k=2)
    with pytest.raises(ValueError, match="takes one reward"):
        of_path(trinity, k=2, reward_keys=["accuracy"])


def test_a_prompt_is_known_again_by_its_task_set_and_row(trinity: ModuleType, tmp_path: Any) -> None:
    memory = ml.Replay(2)
    rng = np.random.default_rng(1)
    for step in range(4):
        if step in {0, 2}:  # resumed, in another process
            rule = of_path(trinity, estimator="replay", k=2, memory_folder=str(tmp_path))
        rewards = rng.integers(0, 2, (3, 6)).astype(float)
        rows = [5 * step % 3 + 10, 11, 12]
        given = [
            experience(task, reward, batch=step, info={"task_index": {"taskset_id": 0, "index": rows[task]}})
            for task in range(3)
            for reward in rewards[task]
        ]
        found, metrics = rule.process(given)
        due = memory.advantages(rewards, [f"0/{row}" for row in rows])
        np.testing.assert_allclose(
            [float(each.advantages[0]) for each in found], due.reshape(-1), rtol=2e-7, atol=1e-37
        )
    assert metrics["maxpo/replay/known"] > 0
    with pytest.raises(ValueError, match=r"has no info\['task_index'\] with an index"):
        rule.process([experience(0, 1.0), experience(0, 0.0)])


def test_a_rule_needs_its_k(trinity: ModuleType) -> None:
    with pytest.raises(ValueError, match="needs the K of max@K"):
        of_path(trinity)
