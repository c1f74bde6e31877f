"""The adapters of frameworks that are not on PyPI, in their own sources: a script that takes checkouts.

    git clone https://github.com/rllm-org/rllm && git -C rllm checkout 9beb6e0f
    git clone https://github.com/THUDM/slime && git -C slime checkout 624b824a
    git clone https://github.com/PrimeIntellect-ai/prime-rl && git -C prime-rl checkout 559b4477
    python tests/integrations/from_sources.py rllm slime prime-rl

in an environment with this project, torch, and what the three import: omegaconf, pydantic, ray, wandb, and
the verifiers and renderers of prime-rl. sglang, of slime, is stood in for. A folder is given by its path, and
known by its name. Each framework calls its adapter itself, on 200 random ragged batches; the advantages are
those of ``ml.advantages`` to float32 rounding. Prints a line each; exits with 1 where one differs.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "witnesses")]

from ragged_batches import Batch, batches, check  # noqa: E402

import maxpo_lab as ml  # noqa: E402
from maxpo_lab.integrations.frameworks.loading import load  # noqa: E402

COMMITS = {"rllm": "9beb6e0f", "slime": "624b824a", "prime-rl": "559b4477"}
PATHS = {"rllm": ("",), "slime": ("",), "prime-rl": ("src", "packages/prime-rl-configs/src")}


def rllm() -> None:
    """``collect_reward_and_advantage_from_trajectory_groups`` on groups of trajectories, by role."""
    from maxpo_lab.integrations.adapters import rllm as adapter

    algorithms = import_module("rllm.trainer.algorithms.advantage")
    types = import_module("rllm.types")
    config = import_module("rllm.trainer.algorithms.config").AlgorithmConfig

    def groups_of(ids: Any, rewards: Any, **others: Any) -> list[Any]:
        made = []
        for name in np.unique(ids):
            rows = np.flatnonzero(ids == name)
            trajectories = [
                types.Trajectory(
                    name="solver",
                    reward=float(rewards[row]),
                    steps=[types.Step(), types.Step()],
                    task={"row": int(name)},
                    signals={"right": float(rewards[row]), "form": 0.5},
                )
                for row in rows
            ]
            made.append(
                types.TrajectoryGroup(trajectories=trajectories, group_id=f"task{name}:solver", **others)
            )
        return made

    def answered(groups: list[Any], name: str) -> np.ndarray:
        settings = config(estimator_map={"solver": name})
        metrics = algorithms.collect_reward_and_advantage_from_trajectory_groups(groups, settings)
        assert "advantage/solver/fraction_zero" in metrics
        for group in groups:
            for each in group.trajectories:
                assert len({step.advantage for step in each.steps}) == 1
        return np.array([each.steps[0].advantage for group in groups for each in group.trajectories])

    made: set[str] = set()

    def answer(batch: Batch) -> np.ndarray:
        name = f"{batch.estimator} at {batch.k}"
        if name not in made:
            adapter.register(batch.estimator, batch.k, name=name)
            made.add(name)
        found = answered(groups_of(batch.ids, batch.rewards), name)
        back = np.empty(len(found))
        back[np.argsort(batch.ids, kind="stable")] = found
        return back

    check(answer, batches())
    adapter.register("summed:maxpo", 2, reward_keys=["right", "form"])
    several = answered(groups_of(np.zeros(4, int), np.array([1.0, 0, 0, 0])), "summed:maxpo")
    np.testing.assert_allclose(several, ml.advantages([1.0, 0, 0, 0], 2), atol=1e-12)
    adapter.register("replay", 2, prompt_key="row")
    memory = ml.Replay(2)
    rng = np.random.default_rng(0)
    for _ in range(3):
        rewards = rng.integers(0, 2, 8).astype(float)
        due = memory.advantages(rewards.reshape(2, 4), ["0", "1"]).reshape(-1)
        np.testing.assert_allclose(
            answered(groups_of(np.repeat([0, 1], 4), rewards), "replay"), due, atol=1e-12
        )
    assert memory.metrics["known"] == 1
    refused("has an estimator 'grpo' already", lambda: adapter.register("grpo"))


def slime() -> None:
    """``RolloutManager._post_process_rewards`` and ``log_rollout_data``, the adapter's functions by path."""
    rollout = load("slime", "slime.ray.rollout", absent=("sglang", "sglang_router"))
    misc = import_module("slime.utils.misc")
    sample = import_module("slime.utils.types").Sample
    manager = rollout.RolloutManager
    manager = getattr(manager, "__ray_metadata__", SimpleNamespace(modified_class=manager)).modified_class
    folder = "maxpo_lab.integrations.adapters.slime"

    def arguments(**maxpo: Any) -> SimpleNamespace:
        return SimpleNamespace(
            custom_reward_post_process_path=f"{folder}.post_process_rewards",
            custom_rollout_log_function_path=f"{folder}.log_rollouts",
            reward_key=None,
            load_debug_rollout_data=True,
            **{f"maxpo_{name}": value for name, value in maxpo.items()},
        )

    def answered(args: Any, samples: list[Any]) -> np.ndarray:
        function = misc.load_function(args.custom_reward_post_process_path)
        held = SimpleNamespace(args=args, custom_reward_post_process_func=function)
        raw, found = manager._post_process_rewards(held, samples)
        assert not np.isnan(raw).any()
        metrics: dict[str, Any] = {}
        rollout.log_rollout_data(0, args, samples, metrics, 1.0)
        assert metrics["rollout/maxpo/k"] == args.maxpo_k
        return np.array(found)

    def answer(batch: Batch) -> np.ndarray:
        samples = [
            sample(group_index=int(group), reward=None if np.isnan(reward) and row % 2 else float(reward))
            for row, (group, reward) in enumerate(zip(batch.ids, batch.rewards, strict=True))
        ]
        return answered(arguments(k=batch.k, estimator=batch.estimator), samples)

    check(answer, batches())
    memory = ml.Replay(2)
    rng = np.random.default_rng(0)
    for step in range(3):
        rewards = rng.integers(0, 2, 8).astype(float)
        samples = [
            sample(group_index=2 * step + row // 4, reward=float(reward), prompt=f"q{row // 4}")
            for row, reward in enumerate(rewards)
        ]
        due = memory.advantages(rewards.reshape(2, 4), ['"q0"', '"q1"']).reshape(-1)
        np.testing.assert_allclose(answered(arguments(k=2, estimator="replay"), samples), due, atol=1e-12)
    rewards = np.round(rng.random((4, 2)), 2)
    samples = [
        sample(group_index=0, reward={"right": right, "form": form}) for right, form in rewards.tolist()
    ]
    args = arguments(
        k=2, estimator="per-reward:maxpo", reward_keys=["right", "form"], reward_weights=[1, 0.5]
    )
    due = ml.advantages(rewards[None], 2, estimator="per-reward:maxpo", reward_weights=[1, 0.5])[0]
    np.testing.assert_allclose(answered(args, samples), due, atol=1e-12)


def prime_rl() -> None:
    """``build_algorithm`` of a grpo configuration, and ``finalize_group`` on verifiers' episodes."""
    from maxpo_lab.integrations.adapters import prime_rl as adapter

    algo = import_module("prime_rl.orchestrator.algo")
    configs = import_module("prime_rl.configs.algorithm")
    vf = import_module("verifiers.v1")

    def episode(reward: Any, *, tokens: int = 2, index: int = 0, **several: float) -> Any:
        node = vf.MessageNode(
            message=vf.AssistantMessage(content="a"),
            token_ids=list(range(tokens)),
            mask=[True] * tokens,
            logprobs=[-0.1] * tokens,
            sampled=True,
            parent=None,
        )
        rewards = {"reward": None if np.isnan(reward) else vf.Reward(score=float(reward))}
        trace = vf.Trace[vf.TaskData](
            task=vf.TraceTask(type="Task", data=vf.TaskData(idx=index, prompt=None)),
            agent=vf.AgentInfo(config=vf.AgentConfig()),
            nodes=[node],
            calls=[],
            rewards={name: vf.Reward(score=each) for name, each in several.items()} or rewards,
            metrics={},
            ok=True,
        )
        environment = vf.EnvInfo(id="math", name="math")
        return vf.Episode(env=environment, task=trace.task, group=vf.GroupInfo(id="g"), traces=[trace])

    def answered(group: list[Any], config: Any = None) -> list[float]:
        algorithm = algo.build_algorithm(config or configs.GRPOAlgoConfig(), policy_pool=None)
        asyncio.run(algorithm.finalize_group(group))
        found = []
        for each in group:
            (node,) = each.traces[0].nodes
            assert len(node.advantages) == len(node.token_ids)
            assert len(set(node.advantages)) == 1
            found.append(node.advantages[0])
        return found

    def answer(batch: Batch) -> np.ndarray:
        rule = adapter.install(batch.estimator, batch.k)
        each = np.empty(len(batch.ids))
        for name in np.unique(batch.ids):
            rows = np.flatnonzero(batch.ids == name)
            each[rows] = answered([episode(batch.rewards[row], tokens=1 + row % 3) for row in rows])
            assert rule.metrics["advantages/unscored"] == np.isnan(batch.rewards[rows]).mean()
        return each

    check(answer, batches())
    adapter.install("replay", 2)
    memory = ml.Replay(2)
    rng = np.random.default_rng(0)
    for step in range(6):
        rewards = rng.integers(0, 2, 4).astype(float)
        due = memory.advantages(rewards[None], [f"math/{step % 2}"])[0]
        np.testing.assert_allclose(
            answered([episode(each, index=step % 2) for each in rewards]), due, atol=1e-12
        )
    adapter.install("per-reward:maxpo", 2, reward_keys=["right", "form"])
    several = np.round(rng.random((4, 2)), 2)
    due = ml.advantages(several[None], 2, estimator="per-reward:maxpo")[0]
    found = answered([episode(0.0, right=right, form=form) for right, form in several.tolist()])
    np.testing.assert_allclose(found, due, atol=1e-12)
    shaped = configs.GRPOAlgoConfig(length_penalty=configs.LinearLengthPenaltyConfig())
    refused("algo.length_penalty shapes the rewards of GRPO", lambda: answered([episode(1.0)], shaped))


def refused(message: str, call: Callable[[], Any]) -> None:
    said = ""
    try:
        call()
    except ValueError as error:
        said = str(error)
    assert message in said, (message, said)


def main(folders: list[str]) -> int:
    """Check each folder; how many differ."""
    logging.disable(logging.WARNING)
    checks = {"rllm": rllm, "slime": slime, "prime-rl": prime_rl}
    wrong = 0
    for folder in map(Path, folders):
        name = folder.resolve().name
        head = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        sys.path[:0] = [str(folder.resolve() / part) for part in PATHS[name]]
        try:
            checks[name]()
        except Exception as error:
            wrong += 1
            sys.stdout.write(f"{name} {head[:8]}: {type(error).__name__}: {error}\n")
        else:
            tested = (
                "the tested commit" if head.startswith(COMMITS[name]) else f"not the tested {COMMITS[name]}"
            )
            sys.stdout.write(
                f"{name} {head[:8]} ({tested}): 200 ragged batches, a memory and its refusals agree\n"
            )
    return wrong


if __name__ == "__main__":
    raise SystemExit(bool(main(sys.argv[1:])))
