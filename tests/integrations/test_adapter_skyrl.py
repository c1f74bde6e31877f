"""SkyRL's own registry, batch and trainer method, with the catalogue as advantage estimator."""

from __future__ import annotations

import sys
import typing
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ragged_batches import Batch, batches, check

import maxpo_lab as ml
from maxpo_lab.integrations.adapters import skyrl
from maxpo_lab.integrations.adapters.changed import FrameworkChangedError
from maxpo_lab.integrations.frameworks.loading import compiled, file_of

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_spec("skyrl") is None, reason="SkyRL is not here: make test-integrations"),
    pytest.mark.filterwarnings("ignore:::(?!maxpo_lab|tests)"),  # SkyRL's own
]


@pytest.fixture
def utils() -> Iterator[ModuleType]:
    """SkyRL's module of estimators; what a test registers is gone after it."""
    with pytest.MonkeyPatch.context() as patch:
        if sys.version_info < (3, 12):  # skyrl 0.3.0 hands typing.TypedDict to pydantic, which refuses it
            import typing_extensions

            patch.setattr(typing, "TypedDict", typing_extensions.TypedDict)
        from skyrl.backends.skyrl_train.utils import ppo_utils
    before = dict(ppo_utils.AdvantageEstimatorRegistry._functions)
    yield ppo_utils
    ppo_utils.AdvantageEstimatorRegistry._functions = before


def training_batch(rewards: Any, ids: Any, *, pad: int = 0) -> Any:
    """Rewards on the last of 1 to 3 tokens of four, and SkyRL's padding."""
    import torch
    from skyrl.backends.skyrl_train.training_batch import TrainingInputBatch, pad_training_input_batch

    rows = np.arange(len(rewards))
    lengths = 1 + rows % 3
    mask = torch.from_numpy((np.arange(4) < lengths[:, None]).astype(np.int64))
    tokens = torch.zeros(len(rows), 4)
    tokens[rows, lengths - 1] = torch.from_numpy(np.asarray(rewards)).float()
    batch = TrainingInputBatch({"rewards": tokens, "response_mask": mask, "loss_mask": mask.float()})
    batch.metadata = {"uids": [str(each) for each in ids]}
    return pad_training_input_batch(batch, pad)


def called(utils: ModuleType, batch: Any, name: str, *, config: Any = None, mask: Any = None) -> Any:
    """As SkyRL's trainer calls it."""
    import torch
    from skyrl.train.config import AlgorithmConfig

    advantages, returns = utils.compute_advantages_and_returns(
        token_level_rewards=batch["rewards"],
        response_mask=batch["response_mask"] if mask is None else mask,
        index=np.array(batch.metadata["uids"]),
        adv_estimator=name,
        config=AlgorithmConfig(advantage_estimator=name) if config is None else config,
    )
    assert torch.equal(advantages, returns)
    assert advantages.dtype == torch.float32
    return advantages


def test_the_registry_gives_the_catalogues_advantages(utils: ModuleType) -> None:
    made: dict[str, Any] = {}

    def answer(batch: Batch) -> np.ndarray:
        key = f"{batch.estimator} at {batch.k}"
        if key not in made:
            made[key] = skyrl.register(batch.estimator, batch.k, name=key)
        pad = len(batch.ids) % 4
        given = training_batch(batch.rewards, batch.ids, pad=pad)
        found = called(utils, given, key).numpy()
        assert (found == found[:, :1] * given["response_mask"].numpy()).all()
        assert (found[len(batch.ids) :] == 0).all()  # padding, whose mask is a copy of the first row's
        assert made[key].rule.metrics["advantages/unscored"] == np.isnan(batch.rewards).mean()
        return found[: len(batch.ids), 0]

    check(answer, batches())


def test_it_reaches_the_actors_as_skyrl_brings_it_there(utils: ModuleType) -> None:
    """Through cloudpickle, in which SkyRL's registry sends functions to its actor and back."""
    import cloudpickle

    made = skyrl.register("replay", 2)
    again = cloudpickle.loads(cloudpickle.dumps(made))
    assert again.rule.rule is made.rule.rule
    batch = training_batch([1.0, 0, 0, 0], [0] * 4)
    for each in (made, again):
        found, _ = each(batch["rewards"], batch["response_mask"], batch.metadata["uids"])
        np.testing.assert_allclose(found[:, 0], ml.advantages([1.0, 0, 0, 0], 2), rtol=2e-7)


def test_step_wise_calls_have_a_mask_of_ones(utils: ModuleType) -> None:
    """The last steps of trajectories, and padding that counts as one: its uid tells it."""
    import torch

    made = skyrl.register("replay", 2)
    given = training_batch([1.0, 0, 0, 0], [7] * 4, pad=2)
    found = called(utils, given, "replay", config=SimpleNamespace(), mask=torch.ones(6, 4))
    np.testing.assert_allclose(found[:4, 3], ml.advantages([1.0, 0, 0, 0], 2), rtol=2e-7)
    assert (found[4:] == 0).all()
    assert made.rule.metrics["replay/prompts"] == 1


def test_the_uid_is_the_dataset_index_so_a_prompt_is_known_again(utils: ModuleType, tmp_path: Path) -> None:
    import ast

    tree = ast.parse(file_of("skyrl", "skyrl/train/dataset/dataset.py").read_text())
    assert "uid = str(item)" in {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Assign)}
    memory = ml.Replay(2)
    rng = np.random.default_rng(1)
    for step in range(4):
        if step in {0, 2}:  # a second process goes on
            utils.AdvantageEstimatorRegistry._functions.pop("replay", None)
            made = skyrl.register("replay", 2, memory_folder=str(tmp_path))
        prompts, rewards = ["0", str(1 + step % 2)], rng.integers(0, 2, (2, 4)).astype(float)
        given = training_batch(rewards.T.reshape(-1), prompts * 4, pad=1)
        due = memory.advantages(rewards, prompts)
        found = called(utils, given, "replay")[:8, 0]
        np.testing.assert_allclose(found, due.T.reshape(-1), rtol=2e-7, atol=1e-37)
    assert made.rule.metrics["replay/known"] == 1
    for config, setting in (
        (SimpleNamespace(zero_variance_filter=True), "zero_variance_filter=True"),
        (SimpleNamespace(dynamic_sampling=SimpleNamespace(type="filter")), "dynamic_sampling.type=filter"),
    ):
        with pytest.raises(ValueError, match=f"{setting} drops groups that replay has advantages on"):
            called(utils, given, "replay", config=config)


def test_the_trainer_logs_its_metrics(utils: ModuleType) -> None:
    """SkyRL's method, compiled from its file, as the one of a trainer."""
    import torch

    path, name = "skyrl/train/trainer.py", "RayPPOTrainer.compute_advantages_and_returns"
    names = {"torch": torch, "np": np, "ppo_utils": utils, "logger": SimpleNamespace(info=lambda _: None)}
    method = compiled("skyrl", path, name, names)
    trainer = skyrl.with_metrics(type("RayPPOTrainer", (), {"compute_advantages_and_returns": method}))()
    algorithm = SimpleNamespace(advantage_estimator="maxpo", gamma=1.0, lambd=1.0, grpo_norm_by_std=True)
    generator = SimpleNamespace(step_wise_trajectories=False)
    trainer.cfg = SimpleNamespace(generator=generator, trainer=SimpleNamespace(algorithm=algorithm))
    trainer.all_metrics = {}
    skyrl.register("maxpo", 2)
    given = training_batch([1.0, 0, 0, float("nan")], [0] * 4)
    given["values"] = None
    given.metadata["avg_response_length"] = 2.0
    found = trainer.compute_advantages_and_returns(given)
    due = ml.advantages([1.0, 0, 0, np.nan], 2, group_ids=[0] * 4, nan_policy="omit")
    np.testing.assert_allclose(found["advantages"][:, 0], due, rtol=2e-7)
    assert trainer.all_metrics["maxpo/k"] == 2
    assert trainer.all_metrics["maxpo/advantages/unscored"] == 0.25
    algorithm.advantage_estimator = "grpo"
    trainer.all_metrics.clear()
    trainer.compute_advantages_and_returns(given)
    assert not [name for name in trainer.all_metrics if name.startswith("maxpo/")]


def test_what_skyrl_has_or_cannot_hand_over_is_refused(utils: ModuleType) -> None:
    with pytest.raises(ValueError, match="'grpo' already registered"):
        skyrl.register("grpo")
    with pytest.raises(ValueError, match="SkyRL hands over one reward of each token; use a rule of one"):
        skyrl.register("per-reward:maxpo", 2)


def test_another_skyrl_is_refused(utils: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, "compute_advantages_and_returns", other)
    with pytest.raises(
        FrameworkChangedError, match=r"SkyRL 0.3.0: .*calls estimator_func with other arguments"
    ):
        skyrl.register("maxpo", 2)


def other(rewards: Any, estimator_func: Any) -> Any:
    """As a SkyRL of another year might call estimators."""
    return estimator_func(rewards)
