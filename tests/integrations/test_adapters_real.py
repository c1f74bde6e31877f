"""The adapter of SkyRL in SkyRL's own registry; the other frameworks cannot be installed from PyPI."""

from __future__ import annotations

import importlib.util
import sys
import typing
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_spec("skyrl") is None, reason="SkyRL is not here: make test-integrations"),
    pytest.mark.filterwarnings("ignore:::(?!maxpo_lab|tests)"),  # SkyRL's own
]
ADAPTER = Path(__file__).parents[2] / "examples" / "adapters" / "skyrl.py"


@pytest.fixture(scope="module")
def ppo_utils() -> Iterator[ModuleType]:
    """SkyRL's module of estimators, with the adapter in its registry."""
    with pytest.MonkeyPatch.context() as patch:
        if sys.version_info < (
            3,
            12,
        ):  # skyrl 0.3.0 hands typing.TypedDict to pydantic, which refuses it there
            import typing_extensions

            patch.setattr(typing, "TypedDict", typing_extensions.TypedDict)
        from skyrl.backends.skyrl_train.utils import ppo_utils
    spec = importlib.util.spec_from_file_location("adapter_skyrl", ADAPTER)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    yield ppo_utils
    ppo_utils.AdvantageEstimatorRegistry.unregister("maxpo")


def training_batch() -> Any:
    """Two groups of six, interleaved: 0/1 rewards on the third token of four."""
    import torch
    from skyrl.backends.skyrl_train.training_batch import TrainingInputBatch

    rewards = torch.zeros(12, 4)
    rewards[[1, 4, 6], 2] = 1.0
    mask = torch.tensor([[1, 1, 1, 0]] * 12)
    batch = TrainingInputBatch({"rewards": rewards, "response_mask": mask, "loss_mask": mask.float()})
    batch.metadata = {"uids": ["a", "b"] * 6}
    return batch


def test_skyrl_computes_the_catalogues_advantages(ppo_utils: ModuleType) -> None:
    import torch
    from skyrl.backends.skyrl_train.training_batch import pad_training_input_batch
    from skyrl.train.config import AlgorithmConfig

    assert "maxpo" in ppo_utils.AdvantageEstimatorRegistry.list_available()
    batch = pad_training_input_batch(training_batch(), 4)
    rewards, mask, uids = batch["rewards"], batch["response_mask"], batch.metadata["uids"]
    assert len(set(uids)) == 6  # each row of padding has a uid of its own
    advantages, returns = ppo_utils.compute_advantages_and_returns(
        token_level_rewards=rewards,
        response_mask=mask,
        index=np.array(uids),
        adv_estimator="maxpo",
        config=AlgorithmConfig(advantage_estimator="maxpo"),
    )
    assert torch.equal(advantages, returns)
    assert advantages.dtype == torch.float32
    expected = torch.zeros(16, 4)
    for group in ([0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]):
        expected[group] = ml.advantages(rewards[group].sum(-1), 4)[:, None] * mask[group]
    assert expected.any()
    assert torch.equal(advantages, expected)


def test_skyrls_uid_is_the_dataset_index_and_replay_knows_the_prompt_again(ppo_utils: ModuleType) -> None:
    """The uid as SkyRL's dataset makes it; epochs with other padding; dropped groups are warned of."""
    import ast
    import inspect
    from types import SimpleNamespace

    import torch
    from skyrl.backends.skyrl_train.training_batch import pad_training_input_batch

    source = Path(inspect.getfile(ppo_utils)).parents[3] / "train" / "dataset" / "dataset.py"
    made = [
        ast.unparse(node) for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.Assign)
    ]
    assert "uid = str(item)" in made, "the uid is no longer the dataset index: see examples/adapters"
    spec = importlib.util.spec_from_file_location(
        "adapter_skyrl_replay", ADAPTER.with_name("skyrl_replay.py")
    )
    adapter = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(adapter)
    try:
        memory = ml.Replay(4)
        for _ in range(3):
            batch = pad_training_input_batch(training_batch(), 4)
            rewards, mask, uids = batch["rewards"], batch["response_mask"], batch.metadata["uids"]
            advantages, _ = ppo_utils.compute_advantages_and_returns(
                token_level_rewards=rewards,
                response_mask=mask * (torch.arange(16) < 12)[:, None],
                index=np.array(uids),
                adv_estimator="replay",
                config=SimpleNamespace(zero_variance_filter=False),
            )
            expected = torch.zeros(16, 4)
            rows = torch.stack([torch.arange(0, 12, 2), torch.arange(1, 12, 2)])
            found = memory.advantages(rewards.sum(-1)[rows], ["a", "b"])
            expected[rows] = found[..., None] * mask[rows]
            torch.testing.assert_close(advantages, expected, rtol=1e-6, atol=1e-7)
        assert adapter.MEMORY.metrics["prompts"] == 2
        assert adapter.MEMORY.metrics["known"] == 1
        with pytest.warns(UserWarning, match=r"zero_variance_filter drops groups"):
            adapter.replay(rewards, mask, uids, config=SimpleNamespace(zero_variance_filter=True))
    finally:
        ppo_utils.AdvantageEstimatorRegistry.unregister("replay")
