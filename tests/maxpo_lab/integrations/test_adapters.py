"""The adapters of frameworks that are not on PyPI, against stubs of the hooks that they were written for.

In the frameworks' own sources: tests/integrations/from_sources.py.
"""

from __future__ import annotations

import ast
import asyncio
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab.integrations.adapters import prime_rl, rllm, slime
from maxpo_lab.integrations.adapters.changed import FrameworkChangedError, MissingFrameworkError
from maxpo_lab.integrations.frameworks import get_framework, list_frameworks

NAN = float("nan")
Stub = Callable[..., ModuleType]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stub:
    """Put a module of these attributes, and the packages above it, where it is imported from."""

    def made(name: str, **attributes: Any) -> ModuleType:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            path = ".".join(parts[:length])
            if path not in sys.modules:
                module = ModuleType(path)
                module.__path__ = []
                monkeypatch.setitem(sys.modules, path, module)
        vars(sys.modules[name]).update(attributes)
        return sys.modules[name]

    return made


# rLLM ---------------------------------------------------------------------------------------------------


def register_rllm_adv_estimator(name: str) -> Callable[[Any], Any]:
    registry = sys.modules["rllm.trainer.algorithms.advantage"].RLLM_ADV_ESTIMATOR_REGISTRY
    return lambda function: registry.setdefault(name, function)


def collect_reward_and_advantage_from_trajectory_groups(groups: Any, algorithm_config: Any) -> Any:
    module = sys.modules["rllm.trainer.algorithms.advantage"]
    advantage_fn = module.RLLM_ADV_ESTIMATOR_REGISTRY[algorithm_config]
    rewards = [np.array([each.reward for each in group.trajectories]) for group in groups]
    return advantage_fn(rewards=rewards, algorithm_config=algorithm_config, traj_groups=groups)


collects = collect_reward_and_advantage_from_trajectory_groups


@pytest.fixture
def its_rllm(stub: Stub) -> ModuleType:
    return stub(
        "rllm.trainer.algorithms.advantage",
        RLLM_ADV_ESTIMATOR_REGISTRY={"grpo": None},
        register_rllm_adv_estimator=register_rllm_adv_estimator,
        **{collects.__name__: collects},
    )


def group(task: str, rewards: list[Any]) -> Any:
    trajectories = [
        SimpleNamespace(reward=each, signals={"right": each, "form": 0.5}, task={"row": task})
        for each in rewards
    ]
    return SimpleNamespace(trajectories=trajectories)


def test_rllm(its_rllm: ModuleType) -> None:
    made = rllm.register("maxpo", 2)
    groups = [group("a", [1.0, 0.0, NAN, 0.5]), group("b", [1.0]), group("c", [0.0, 1.0, 1.0])]
    found, returns = its_rllm.collect_reward_and_advantage_from_trajectory_groups(groups, "maxpo")
    due = ml.advantages([1.0, 0.0, NAN, 0.5], 2, group_ids=[0] * 4, nan_policy="omit")
    for given, again, expected in zip(
        found, returns, [due, [0.0], ml.advantages([0.0, 1, 1], 2)], strict=True
    ):
        assert given.tolist() == again.tolist() == pytest.approx(list(expected), abs=1e-14)
    assert made.rule.metrics["advantages/unscored"] == 0.125
    assert made([], traj_groups=[]) == ([], [])


def test_rllm_several_rewards_and_a_memory(its_rllm: ModuleType) -> None:
    rllm.register("summed:maxpo", 2, reward_keys=["right", "form"])
    collect = its_rllm.collect_reward_and_advantage_from_trajectory_groups
    (found,), _ = collect([group("a", [1.0, 0.0, 0.0])], "summed:maxpo")
    assert found.tolist() == pytest.approx(ml.advantages([1.5, 0.5, 0.5], 2).tolist())
    memory = ml.Replay(2)
    rllm.register("replay", 2, prompt_key="row")
    for _ in range(2):
        due = memory.advantages([[1.0, 0.0, 0.0]], ["a"])
        (found,), _ = collect([group("a", [1.0, 0.0, 0.0])], "replay")
        assert found.tolist() == pytest.approx(due[0].tolist())
    with pytest.raises(ValueError, match="pass reward_keys="):
        rllm.register("per-reward:maxpo", 2)
    with pytest.raises(
        ValueError, match="remembers prompts, and rLLM gives a group a new task_id at every step"
    ):
        rllm.register("pooled", 2)
    rllm.register("pooled", 2, prompt_key="id")
    with pytest.raises(ValueError, match="prompt_key='id' is nothing of a task, which has row"):
        collect([group("a", [1.0, 0.0, 0.0])], "pooled")


def test_another_rllm_is_refused(its_rllm: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="has an estimator 'grpo' already, and would replace it"):
        rllm.register("grpo")
    monkeypatch.setattr(its_rllm, "register_rllm_adv_estimator", lambda label: None)
    with pytest.raises(
        FrameworkChangedError, match=r"rLLM .*takes \(label\), not \(name\).*at commit 9beb6e0"
    ):
        rllm.register("maxpo", 2)
    monkeypatch.delitem(sys.modules, "rllm.trainer.algorithms.advantage")
    with pytest.raises(
        FrameworkChangedError, match=r"there is no module rllm\.trainer\.algorithms\.advantage"
    ):
        rllm.register("maxpo", 2)
    for name in [each for each in sys.modules if each.partition(".")[0] == "rllm"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingFrameworkError, match=r"install it from https://github\.com/rllm-org/rllm"):
        rllm.register("maxpo", 2)


# slime --------------------------------------------------------------------------------------------------


class Sample(SimpleNamespace):
    def get_reward_value(self, args: Any) -> float:  # as slime's: None has no item
        return self.reward[args.reward_key] if args.reward_key else self.reward


def arguments(key: str | None = None, **maxpo: Any) -> Any:
    settings = {f"maxpo_{name}": value for name, value in maxpo.items()}
    return SimpleNamespace(reward_key=key, custom_reward_post_process_path="...", **settings)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    slime._MADE.clear()


@pytest.mark.parametrize("key", ["score", None])
@pytest.mark.parametrize("missing", [None, NAN], ids=["None", "NaN"])
def test_slime(key: str | None, missing: Any) -> None:
    rewards = {7: [0.0, missing, 1.0, 0.5], 3: [1.0], 5: [missing] * 2}
    samples = [
        Sample(reward={key: each} if key and each is not None else each, group_index=name, prompt="q")
        for name, each in ((name, each) for name in rewards for each in rewards[name])
    ]
    args = arguments(key, k=2)
    raw, found = slime.post_process_rewards(args, samples)
    assert raw == [0.0, 0.0, 1.0, 0.5, 1.0, 0.0, 0.0]
    due = ml.advantages([0.0, 1.0, 0.5], 2).tolist()
    assert found == pytest.approx([due[0], 0, *due[1:], 0, 0, 0], abs=1e-14)
    assert {type(each) for each in [*raw, *found]} == {float}
    metrics = {"rollout/other": 1}
    assert slime.log_rollouts(7, args, samples, metrics, 1.0) is False  # slime goes on to log them
    assert metrics["rollout/maxpo/advantages/unscored"] == pytest.approx(3 / 7)
    assert metrics["rollout/other"] == 1


def test_slime_without_metrics_to_add_to_gets_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    args = arguments(k=2)
    slime.post_process_rewards(args, [Sample(reward=1.0, group_index=0, prompt="q")])
    assert slime.log_rollouts(7, args, [], None, 1.0) is False
    assert "rollout 7: {'rollout/maxpo/k': 2.0" in caplog.text


def test_slime_several_rewards_and_a_memory() -> None:
    given = [(1.0, 0.5), (0.0, None), (0.0, 0.0)]
    samples = [Sample(reward={"right": r, "form": f}, group_index=0, prompt="q") for r, f in given]
    args = arguments(k=2, estimator="per-reward:maxpo", reward_keys=["right", "form"], reward_weights=[1, 2])
    raw, found = slime.post_process_rewards(args, samples)
    assert raw == [1.5, 0.0, 0.0]
    values = np.array([[1, 0.5], [0, NAN], [0, 0]])
    settings = {"nan_policy": "omit", "small_groups": "zero", "reward_weights": [1, 2]}
    due = ml.advantages(values, 2, estimator="per-reward:maxpo", group_ids=[0] * 3, **settings)
    assert found == pytest.approx(due.tolist())
    memory, args = ml.Replay(2), arguments(k=2, estimator="replay")
    for step in range(3):
        samples = [Sample(reward=each, group_index=step, prompt=[{"content": "q"}]) for each in (1.0, 0, 0)]
        due = memory.advantages([[1.0, 0, 0]], ["q"])[0]
        assert slime.post_process_rewards(args, samples)[1] == pytest.approx(due.tolist())


def test_slime_takes_small_groups_as_it_is_told() -> None:
    samples = [Sample(reward=1.0, group_index=0, prompt="q")]
    assert slime.post_process_rewards(arguments(k=2), samples)[1] == [0.0]
    with pytest.raises(ValueError, match="at least 2 rollouts"):
        slime.post_process_rewards(arguments(k=2, small_groups="raise"), samples)
    with pytest.raises(ValueError, match="small_groups='drop'"):
        slime.rule_of(arguments(k=2, small_groups="drop"))


def test_another_slime_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the K of max@K"):
        slime.rule_of(arguments())
    with pytest.raises(
        FrameworkChangedError, match="Sample has no group_index; this adapter is tested with slime"
    ):
        slime.post_process_rewards(arguments(k=2), [Sample(reward=1.0, prompt="q")])
    with pytest.raises(FrameworkChangedError, match="has no custom_reward_post_process_path"):
        slime.rule_of(SimpleNamespace(maxpo_k=2))


# prime-rl -----------------------------------------------------------------------------------------------


class Algorithm:
    action_loss_type = "rl"

    def __init__(self, config: Any, policy_pool: Any) -> None:
        self.policy_pool = policy_pool

    async def score_group(self, episodes: list[Any]) -> None:
        raise NotImplementedError


class ScoresRollouts(Algorithm):
    """As prime-rl 0.8.0 had it."""

    async def score_group(self, group: list[Any]) -> None:
        raise NotImplementedError


def iter_trainable_traces(episodes: list[Any]) -> Iterator[Any]:
    yield from ((each, trace) for each in episodes for trace in each.traces if not trace.has_error)


def assign_advantages(trace: Any, values: float) -> None:
    trace.advantage = values


@pytest.fixture
def its_prime_rl(stub: Stub) -> ModuleType:
    stub("prime_rl.orchestrator.algo.base", Algorithm=Algorithm, iter_trainable_traces=iter_trainable_traces)
    stub("prime_rl.orchestrator.algo.routing", assign_advantages=assign_advantages)
    return stub("prime_rl.orchestrator.algo", ALGORITHM_CLASSES={"grpo": Algorithm})


def episode(reward: Any, *, failed: bool = False, index: Any = 0) -> Any:
    given = {
        "right": None if reward is None else SimpleNamespace(value=reward),
        "form": SimpleNamespace(value=0.5),
    }
    given = given if reward is not None else dict.fromkeys(given)
    trace = SimpleNamespace(
        reward=sum(each.value for each in given.values() if each),
        rewards=given,
        has_error=failed,
        task=SimpleNamespace(data=SimpleNamespace(idx=index)),
    )
    return SimpleNamespace(traces=[trace], env=SimpleNamespace(id="math"))


def scored(module: ModuleType, episodes: list[Any]) -> list[float | None]:
    made = module.ALGORITHM_CLASSES["grpo"](SimpleNamespace(length_penalty=None), "pool")
    assert made.policy_pool == "pool"
    asyncio.run(made.score_group(episodes))
    return [getattr(each.traces[0], "advantage", None) for each in episodes]


def test_prime_rl(its_prime_rl: ModuleType) -> None:
    rule = prime_rl.install("maxpo", 2)
    episodes = [episode(1.0), episode(0.0), episode(None), episode(9.0, failed=True), episode(0.25)]
    due = ml.advantages([1.5, 0.5, 0.75], 2).tolist()
    found = scored(its_prime_rl, episodes)
    assert found[3] is None  # which prime-rl does not train on
    assert [found[row] for row in (0, 1, 2, 4)] == pytest.approx([due[0], due[1], 0, due[2]], abs=1e-14)
    assert rule.metrics["advantages/unscored"] == 0.25
    assert scored(its_prime_rl, []) == []
    with pytest.raises(ValueError, match="length_penalty shapes the rewards of GRPO"):
        its_prime_rl.ALGORITHM_CLASSES["grpo"](SimpleNamespace(length_penalty=object()), None)


def test_prime_rl_several_rewards_and_a_memory(its_prime_rl: ModuleType) -> None:
    prime_rl.install("per-reward:maxpo", 2, reward_keys=["right", "form"])
    due = ml.advantages([1.0, 0.0, 0.0], 2).tolist()  # form is flat
    assert scored(its_prime_rl, [episode(each) for each in (1.0, 0, 0)]) == pytest.approx(due)
    prime_rl.install("replay", 2)
    memory = ml.Replay(2)
    for step in range(4):
        due = memory.advantages([[1.5, 0.5, 0.5]], [f"math/{step % 2}"])[0].tolist()
        found = scored(its_prime_rl, [episode(each, index=step % 2) for each in (1.0, 0, 0)])
        assert found == pytest.approx(due)
    with pytest.raises(FrameworkChangedError, match=r"has no task\.data\.idx"):
        scored(its_prime_rl, [episode(1.0, index=None)])


def test_another_prime_rl_is_refused(its_prime_rl: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    base = sys.modules["prime_rl.orchestrator.algo.base"]
    with monkeypatch.context() as patch:
        patch.setattr(base, "Algorithm", ScoresRollouts)
        with pytest.raises(FrameworkChangedError, match=r"takes \(self, group\), not \(self, episodes\)"):
            prime_rl.install("maxpo", 2)
    with monkeypatch.context() as patch:
        patch.setattr(its_prime_rl, "ALGORITHM_CLASSES", {"max_rl": Algorithm})
        with pytest.raises(FrameworkChangedError, match="has no 'grpo', only max_rl"):
            prime_rl.install("maxpo", 2)
    monkeypatch.delitem(sys.modules, "prime_rl.orchestrator.algo.routing")
    with pytest.raises(FrameworkChangedError, match=r"prime-rl .*no module .*routing; .* commit 559b447"):
        prime_rl.install("maxpo", 2)


# All ----------------------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "maxpo_lab" / "integrations" / "adapters"
SHARED = {"__init__", "by_rewards", "changed", "training_rule"}
FILES = sorted(path for path in FOLDER.glob("*.py") if path.stem not in SHARED)


def release_of(path: Path) -> tuple[str, str]:
    """The framework that an adapter says it is tested with, and the version or commit."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TESTED":
            return ast.literal_eval(node.value.args[0]), ast.literal_eval(node.value.args[1])
    raise AssertionError(f"{path.name} says no release")


def test_the_registry_knows_the_adapters() -> None:
    found = {each.adapter for each in map(get_framework, list_frameworks())}
    assert {path.relative_to(ROOT).as_posix() for path in FILES} <= found
    assert all((ROOT / each).exists() for each in found if each)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_page_says_what_was_run_at_which_version(path: Path) -> None:
    name, at = release_of(path)
    (entry,) = [
        each
        for each in map(get_framework, list_frameworks())
        if each.adapter == path.relative_to(ROOT).as_posix()
    ]
    page = (ROOT / "docs" / "howto" / "frameworks.md").read_text()
    assert f"\n## {entry.name}\n" in page
    (row,) = [line for line in page.splitlines() if line.startswith(f"| [{entry.name}](#")]
    commit = re.search(r"commit (\w+) of (\S+)", at)
    assert (f"commit {commit[1]} ({commit[2]})" if commit else f" {at} (2026-") in row
    assert name.lower() == entry.name.lower()
    if entry.package:
        assert entry.version == at  # what the registry's numbers are of
