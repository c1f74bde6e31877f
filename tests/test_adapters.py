"""The adapters of ``examples/adapters``, run against stubs of the hooks they were written for."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab.definitions import BY_NAME

torch = pytest.importorskip("torch")

FOLDER = Path(__file__).parents[1] / "examples" / "adapters"
K = 4  # of the adapters
REWARDS = {"a": [0.0, 1.0, 0.5, 1.0, 0.0], "b": [0.0] * 7 + [1.0], "c": [0.25, 0.0, 1.0, 0.75, 0.5, 0.0]}
EXPECTED = {name: [float(value) for value in BY_NAME["maxpo"](REWARDS[name], K)] for name in REWARDS}
#: Rows of all groups, interleaved.
ROWS = [(name, i) for i in range(8) for name in REWARDS if i < len(REWARDS[name])]
UIDS = [name for name, _ in ROWS]
RAW = [REWARDS[name][i] for name, i in ROWS]
ADVANTAGES = [EXPECTED[name][i] for name, i in ROWS]
#: float32 keeps an advantage of at most K n to within this.
FLOAT32 = float(np.finfo(np.float32).eps) * K * 8

Load = Callable[..., ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Import an adapter in a process that has no framework but the given module."""

    def loaded(name: str, framework: str | None = None, **attributes: Any) -> ModuleType:
        if framework:
            stub = ModuleType(framework)
            vars(stub).update(attributes)
            parts = framework.split(".")
            for length in range(1, len(parts)):
                monkeypatch.setitem(sys.modules, ".".join(parts[:length]), ModuleType(parts[0]))
            monkeypatch.setitem(sys.modules, framework, stub)
        spec = importlib.util.spec_from_file_location(f"adapter_{name}", FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return loaded


def test_the_expected_advantages_are_the_instruments() -> None:
    assert ml.advantages(np.array(RAW), K, group_ids=UIDS).tolist() == pytest.approx(ADVANTAGES, abs=1e-14)


def test_skyrl(load: Load) -> None:
    registry: dict[str, Any] = {}
    framework = "skyrl.backends.skyrl_train.utils.ppo_utils"
    load("skyrl", framework, AdvantageEstimatorRegistry=SimpleNamespace(register=registry.__setitem__))
    rows, tokens = len(ROWS) + 1, 3  # one row of padding, as SkyRL appends: a uid of its own
    token_rewards = torch.zeros(rows, tokens)
    token_rewards[:-1, 1] = torch.tensor(RAW)
    mask = torch.ones(rows, tokens, dtype=torch.int64)
    mask[:, 2] = 0
    advantages, returns = registry["maxpo"](
        token_level_rewards=token_rewards,
        response_mask=mask,
        index=[*UIDS, "pad0"],
        values=None,
        grpo_norm_by_std=True,
        gamma=1.0,
        lambd=1.0,
        config=object(),
    )
    assert torch.equal(advantages, returns)
    expected = torch.tensor([*ADVANTAGES, 0.0])[:, None] * mask
    assert (advantages - expected).abs().max() <= FLOAT32


def test_rllm(load: Load) -> None:
    registry: dict[str, Any] = {}

    def register_rllm_adv_estimator(name: str) -> Callable[[Any], Any]:
        return lambda function: registry.setdefault(name, function)

    load("rllm", "rllm.trainer.algorithms.advantage", register_rllm_adv_estimator=register_rllm_adv_estimator)
    groups = [np.array(group) for group in REWARDS.values()]
    advantages, returns = registry["maxpo"](rewards=groups, algorithm_config=object(), traj_groups=[])
    for found, again, expected in zip(advantages, returns, EXPECTED.values(), strict=True):
        assert found.tolist() == again.tolist() == pytest.approx(expected, abs=1e-14)


#: A batch as trainers meet it: a missing reward, a group cut to K - 1, one left with one scored rollout.
GAPS: dict[str, list[float]] = {
    "whole": REWARDS["a"],
    "missing": [0.0, float("nan"), *REWARDS["a"][1:]],
    "cut": [1.0, 0.0, 1.0],
    "alone": [float("nan")] * 4 + [1.0],
}
WITH_GAPS = {
    "whole": EXPECTED["a"],
    "missing": [EXPECTED["a"][0], 0.0, *EXPECTED["a"][1:]],
    "cut": [0.0] * 3,
    "alone": [0.0] * 5,
}


def test_rllm_goes_on_over_gaps_and_counts_them(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    registry: dict[str, Any] = {}
    module = load(
        "rllm",
        "rllm.trainer.algorithms.advantage",
        register_rllm_adv_estimator=lambda name: lambda function: registry.setdefault(name, function),
    )
    groups = [np.array(group) for group in GAPS.values()]
    for batch in (1, 2):
        advantages, _ = registry["maxpo"](rewards=groups, algorithm_config=object(), traj_groups=[])
        for found, expected in zip(advantages, WITH_GAPS.values(), strict=True):
            assert found.tolist() == pytest.approx(expected, abs=1e-14)
        assert dict(module.LEFT_OUT) == {"unscored": 5 * batch, "in_small_groups": 4 * batch}
    assert "advantage 0 for {'unscored': 5, 'in_small_groups': 4}" in caplog.text
    caplog.clear()
    registry["maxpo"](rewards=groups[:1], algorithm_config=object(), traj_groups=[])
    assert not caplog.text


class Sample(SimpleNamespace):
    """What slime hands over, as far as it is documented."""

    def get_reward_value(self, args: Any) -> float | None:
        return self.reward[args.reward_key]


@pytest.mark.parametrize("unscored", [None, float("nan")])
def test_slime_goes_on_over_gaps_and_counts_them(load: Load, unscored: float | None) -> None:
    samples, expected = [], []
    for index, name in enumerate(GAPS):
        for reward, advantage in zip(GAPS[name], WITH_GAPS[name], strict=True):
            value = unscored if np.isnan(reward) else reward
            samples.append(Sample(reward={"score": value}, group_index=index))
            expected.append(advantage)
    args = SimpleNamespace(reward_key="score", maxpo_k=K)
    module = load("slime")
    raw, advantages = module.post_process_rewards(args, samples)
    assert advantages == pytest.approx(expected, abs=1e-14)
    assert np.isfinite(raw).all()
    metrics: dict[str, Any] = {"rollout/other": 1.0}
    assert module.log_left_out(3, args, samples, metrics, 1.5) is False
    assert metrics == {"rollout/other": 1.0, "rollout/maxpo_unscored": 5, "rollout/maxpo_in_small_groups": 4}


def test_slime(load: Load) -> None:
    samples = [
        Sample(reward={"score": reward}, group_index=ord(uid)) for reward, uid in zip(RAW, UIDS, strict=True)
    ]
    args = SimpleNamespace(reward_key="score", maxpo_k=K)
    raw, advantages = load("slime").post_process_rewards(args, samples)
    assert raw == RAW
    assert advantages == pytest.approx(ADVANTAGES, abs=1e-14)
    assert {type(value) for value in [*raw, *advantages]} == {float}


def test_the_table_names_every_adapter() -> None:
    table = (FOLDER / "README.md").read_text()
    files = {path.name for path in FOLDER.glob("*.py")}
    assert files == {"skyrl.py", "rllm.py", "slime.py"}
    assert all(f"[{name}]({name})" in table for name in files)
