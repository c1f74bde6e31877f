"""The adapters of ``examples/adapters``, run against stubs of the hooks they were written for."""

from __future__ import annotations

import asyncio
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


class Algorithm:
    def __init__(self, config: Any, policy_pool: Any) -> None: ...


def one_agent(group: list[Any]) -> None:
    if len({rollout.agent_name for rollout in group}) > 1:
        raise ValueError("several agents")


class Rollout:
    """What prime-rl hands to ``score_group``, as far as it is documented."""

    def __init__(self, reward: float, agent_name: str = "solver") -> None:
        self.reward, self.agent_name, self.assigned = reward, agent_name, None

    def assign_advantages(self, value: float) -> None:
        assert isinstance(value, float)
        self.assigned = value


def test_prime_rl(load: Load) -> None:
    framework = "prime_rl.orchestrator.algo.base"
    module = load("prime_rl", framework, Algorithm=Algorithm, assert_single_trainable_agent=one_agent)
    algorithm = module.MaxPO(None, None)
    assert isinstance(algorithm, Algorithm)
    for name, rewards in REWARDS.items():
        group = [Rollout(reward) for reward in rewards]
        asyncio.run(algorithm.score_group(group))
        assert [rollout.assigned for rollout in group] == pytest.approx(EXPECTED[name], abs=1e-14)
    with pytest.raises(ValueError, match="several agents"):
        asyncio.run(algorithm.score_group([Rollout(0.0), Rollout(1.0, agent_name="judge")]))


def test_the_table_names_every_adapter() -> None:
    table = (FOLDER / "README.md").read_text()
    files = {path.name for path in FOLDER.glob("*.py")}
    assert files == {"skyrl.py", "rllm.py", "slime.py", "prime_rl.py"}
    assert all(f"[{name}]({name})" in table for name in files)
