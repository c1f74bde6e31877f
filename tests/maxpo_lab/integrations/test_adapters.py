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
from maxpo_lab.estimators.definitions.groups import BY_NAME

torch = pytest.importorskip("torch")

FOLDER = Path(__file__).parents[3] / "examples" / "adapters"
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


def test_slime(load: Load) -> None:
    class Sample(SimpleNamespace):
        def get_reward_value(self, args: Any) -> float:
            return self.reward[args.reward_key]

    samples = [
        Sample(reward={"score": reward}, group_index=ord(uid)) for reward, uid in zip(RAW, UIDS, strict=True)
    ]
    args = SimpleNamespace(reward_key="score", maxpo_k=K)
    raw, advantages = load("slime").post_process_rewards(args, samples)
    assert raw == RAW
    assert advantages == pytest.approx(ADVANTAGES, abs=1e-14)
    assert {type(value) for value in [*raw, *advantages]} == {float}


#: A batch with unscored rollouts and partial groups.
MISSING = None
HURT: dict[str, list[float | None]] = {
    "a": [0.0, MISSING, 1.0, 0.5, 1.0, 0.0],  # as REWARDS["a"] once scored
    "b": [0.0, 1.0, 0.5],  # fewer than K
    "c": [MISSING, 1.0, 0.0, MISSING, 0.5],  # fewer than K once scored
    "d": [MISSING] * 5,  # no scored one at all
    "e": REWARDS["c"],
}
HURT_ADVANTAGES = {
    "a": [EXPECTED["a"][0], 0.0, *EXPECTED["a"][1:]],
    "b": [0.0] * 3,
    "c": [0.0] * 5,
    "d": [0.0] * 5,
    "e": EXPECTED["c"],
}
HURT_ROWS = [value for values in HURT_ADVANTAGES.values() for value in values]
HURT_COUNTS = {"rollouts": 25, "unscored_rollouts": 8, "groups": 5, "small_groups": 3}


def not_a_number(values: list[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


@pytest.mark.parametrize("as_nan", [True, False], ids=["NaN", "None"])
def test_rllm_trains_on_without_the_unscored(
    load: Load, as_nan: bool, caplog: pytest.LogCaptureFixture
) -> None:
    framework = "rllm.trainer.algorithms.advantage"
    module = load("rllm", framework, register_rllm_adv_estimator=lambda name: lambda function: function)
    groups = [np.array(not_a_number(group) if as_nan else group) for group in HURT.values()]
    for calls in (1, 2):
        advantages, _ = module.maxpo(rewards=groups)
        for found, expected in zip(advantages, HURT_ADVANTAGES.values(), strict=True):
            assert found.tolist() == pytest.approx(expected, abs=1e-14)
        assert dict(module.COUNTS) == {name: calls * count for name, count in HURT_COUNTS.items()}
        assert len(caplog.records) == calls
    assert "'unscored_rollouts': 8" in caplog.text
    module.maxpo(rewards=[np.array(REWARDS["a"])])
    assert len(caplog.records) == 2


@pytest.mark.parametrize("key", ["score", None])
@pytest.mark.parametrize("as_nan", [True, False], ids=["NaN", "None"])
def test_slime_trains_on_without_the_unscored(load: Load, key: str | None, as_nan: bool) -> None:
    class Sample(SimpleNamespace):
        def get_reward_value(self, args: Any) -> float:  # as slime's: None has no item
            return self.reward[args.reward_key] if args.reward_key else self.reward

    def sample(uid: str, value: float | None) -> Sample:
        given = float("nan") if value is None and as_nan else value
        return Sample(reward={key: given} if key and given is not None else given, group_index=ord(uid))

    module, args = load("slime"), SimpleNamespace(reward_key=key, maxpo_k=K)
    samples = [sample(uid, value) for uid, values in HURT.items() for value in values]
    raw, advantages = module.post_process_rewards(args, samples)
    assert raw == [value or 0.0 for values in HURT.values() for value in values]
    assert advantages == pytest.approx(HURT_ROWS, abs=1e-14)

    metrics = {"rollout/other": 1}
    assert module.log_rollouts(7, args, samples, metrics, 1.0) is False  # slime goes on to log them
    assert metrics == {
        "rollout/other": 1,
        "rollout/maxpo_unscored_rollouts": HURT_COUNTS["unscored_rollouts"],
        "rollout/maxpo_small_groups": HURT_COUNTS["small_groups"],
    }


def test_slime_without_metrics_to_add_to_gets_a_warning(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    sample = SimpleNamespace(reward=None, group_index=0)
    assert load("slime").log_rollouts(7, SimpleNamespace(maxpo_k=K), [sample], None, 1.0) is False
    assert "rollout 7: {'rollout/maxpo_unscored_rollouts': 1, 'rollout/maxpo_small_groups': 1}" in caplog.text


def test_skyrl_trains_on_without_the_unscored(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    framework = "skyrl.backends.skyrl_train.utils.ppo_utils"
    module = load("skyrl", framework, AdvantageEstimatorRegistry=SimpleNamespace(register=lambda *_: None))
    rewards = torch.tensor([value for values in HURT.values() for value in not_a_number(values)] + [0.0])
    index = [uid for uid, values in HURT.items() for _ in values]
    mask = torch.ones(len(rewards), 2)
    mask[-1] = 0  # padding, which is no small group
    advantages, _ = module.maxpo(rewards[:, None] * torch.tensor([1.0, 0.0]), mask, [*index, "pad0"])
    expected = torch.tensor([*HURT_ROWS, 0.0])[:, None] * mask
    assert (advantages - expected).abs().max() <= FLOAT32
    assert module.COUNTS == HURT_COUNTS
    assert "'small_groups': 3" in caplog.text


def test_the_table_names_every_adapter() -> None:
    table = (FOLDER / "README.md").read_text()
    files = {path.name for path in FOLDER.glob("*.py")}
    assert files == {"skyrl.py", "skyrl_replay.py", "rllm.py", "slime.py"}
    assert all(f"[{name}]({name})" in table for name in files)
