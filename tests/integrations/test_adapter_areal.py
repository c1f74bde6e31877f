"""AReaL's own grouped workflow and its actor's advantages, with the catalogue in the workflow between."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ragged_batches import Batch, batches, check

import maxpo_lab as ml
from maxpo_lab.integrations.adapters.by_rewards import as_rewards
from maxpo_lab.integrations.adapters.changed import FrameworkChangedError
from maxpo_lab.integrations.adapters.training_rule import TrainingRule
from maxpo_lab.integrations.frameworks.loading import compiled, load

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_spec("areal") is None, reason="AReaL is not here: make test-integrations"),
    pytest.mark.filterwarnings("ignore:::(?!maxpo_lab|tests)"),
]
BARE = ("areal", "areal.api", "areal.infra", "areal.utils")
#: Servers, schedulers and compilers that a group of rollouts and its advantages do not use.
ABSENT = (
    *("aiohttp", "einops", "httpx", "hydra", "numba", "ray", "requests", "torchdata", "uvloop"),
    *("areal.infra.platforms", "areal.infra.utils", "areal.infra.workflow_executor"),
    *("areal.utils.dynamic_import", "areal.utils.logging", "areal.utils.name_resolve", "areal.utils.names"),
    *("areal.utils.network", "areal.utils.perf_tracer", "areal.utils.seqpack"),
)


@pytest.fixture(scope="module")
def areal() -> Iterator[ModuleType]:
    """The adapter, among AReaL's own modules."""
    load("areal", "areal.api.workflow_api", bare=BARE)
    api = (*ABSENT, "areal.api.cli_args", "areal.api.engine_api", "areal.api.io_struct")
    load("areal", "areal.infra.workflow_context", bare=BARE, absent=ABSENT)
    load("areal", "areal.utils.stats_tracker", bare=BARE, absent=ABSENT)
    load("areal", "areal.utils.data", bare=BARE, absent=(*ABSENT, "areal.api", "areal.infra"))
    workflow_api = sys.modules["areal.api.workflow_api"]
    names = (
        "InferenceEngine",
        "LocalInfServerInfo",
        "ModelRequest",
        "ModelResponse",
        "ParamSpec",
        "WeightUpdateMeta",
    )
    for name in (*names, "WorkflowLike"):
        setattr(sys.modules["areal.api"], name, object)
    sys.modules["areal.api"].RolloutWorkflow = workflow_api.RolloutWorkflow
    load("areal", "areal.infra.remote_inf_engine", bare=BARE, absent=api)
    agents = ModuleType("areal.experimental.openai")
    agents.InteractionWithTokenLogpReward = type("InteractionWithTokenLogpReward", (), {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "areal.experimental", ModuleType("areal.experimental"))
        patch.setitem(sys.modules, "areal.experimental.openai", agents)
        from maxpo_lab.integrations.adapters import areal

        yield areal


class Rollouts:
    """An inner workflow that gives rewards in turn, None where a rollout is rejected."""

    def __init__(self, rewards: Any) -> None:
        self.rewards = iter(rewards)
        self.made = 0

    async def arun_episode(self, engine: Any, data: dict[str, Any]) -> dict[str, Any] | None:
        import torch

        reward = next(self.rewards)
        self.made += 1
        if reward is None:
            return None
        tokens = 3 + self.made % 3
        mask = torch.tensor([[0] + [1] * (tokens - 1)])
        return {
            "input_ids": torch.zeros(1, tokens, dtype=torch.int32),
            "loss_mask": mask,
            "logprobs": torch.zeros(1, tokens),
            "attention_mask": torch.ones(1, tokens, dtype=torch.bool),
            "rewards": torch.tensor([np.atleast_1d(reward)[0]], dtype=torch.float32),
            "each": torch.tensor(np.atleast_1d(reward)[None], dtype=torch.float32),
        }


def run(workflow: Any, data: dict[str, Any] | None = None) -> Any:
    return asyncio.run(workflow.arun_episode(None, data or {}))


@cache
def actors_method() -> Any:
    import torch

    return compiled("areal", "areal/trainer/ppo/actor.py", "PPOActor._compute_advantages", {"torch": torch})


def actor_advantages(groups: list[Any], *, clip: float = 20.0, norm: Any = None) -> np.ndarray:
    """What AReaL's actor makes of the groups of a batch, no KL, no value network: one number a rollout."""
    import torch

    data = sys.modules["areal.utils.data"].concat_padded_tensors(groups)
    compute = actors_method()
    config = SimpleNamespace(overlong_reward_penalty=False, use_decoupled_loss=False, recompute_logprob=False)
    actor = SimpleNamespace(
        config=config,
        reward_bias=0.0,
        reward_scaling=1.0,
        reward_clip=clip,
        reward_norm=norm,
        adv_norm=None,
        kl_ctl=0.0,
        kl_estimator=lambda new, _: torch.zeros_like(new),
        mask_no_eos_with_zero=False,
        discount=1.0,
        gae_lambda=1.0,
    )
    found = compute(actor, data)
    mask = found["loss_mask"].bool()
    rows = []
    for each, inside in zip(found["advantages"], mask, strict=True):
        assert (each[inside] == each[inside][0]).all()
        rows.append(float(each[inside][0]))
    return np.array(rows)


def test_the_actor_gets_the_catalogues_advantages(areal: ModuleType) -> None:
    def answer(batch: Batch) -> np.ndarray:
        groups, places = [], []
        for name in np.unique(batch.ids):
            rows = np.flatnonzero(batch.ids == name)
            rewards = batch.rewards[rows].tolist()
            rejected = [None] * (len(rows) % 3)  # which AReaL drops
            inner = Rollouts([*rejected, *rewards])
            made = areal.RuleWorkflow(
                inner, len(rows) + len(rejected), estimator=batch.estimator, k=batch.k, reward_clip=None
            )
            found = run(made)
            np.testing.assert_array_equal(found["task_rewards"], np.float32(rewards))
            assert made.rule.metrics["advantages/unscored"] == np.isnan(rewards).mean()
            groups.append(found)
            places.append(rows)
        each = np.empty(len(batch.ids))
        each[np.concatenate(places)] = actor_advantages(groups, clip=100.0)
        return each

    check(answer, batches(together=True))


def test_metrics_are_in_areals_statistics(areal: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    stats = sys.modules["areal.utils.stats_tracker"]
    monkeypatch.setattr(stats, "current_platform", SimpleNamespace(is_initialized=lambda: False))
    stats.get(sys.modules["areal.infra.workflow_context"].stat_scope()).export(reset=True)
    run(areal.RuleWorkflow(Rollouts([1.0, 0.0, 0.0, float("nan")]), 4, estimator="maxpo", k=2))
    scope = sys.modules["areal.infra.workflow_context"].stat_scope()
    recorded = stats.get(scope).export(reset=True)
    found = {name.rpartition("maxpo/")[2]: value for name, value in recorded.items() if "maxpo/" in name}
    assert found["advantages/unscored"] == 0.25
    assert found["k"] == 2


def test_an_advantage_beyond_the_clip_is_refused(areal: ModuleType) -> None:
    rewards = [30.0, 0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="gives an advantage of 60, which would be clipped at 20, a bias"):
        run(areal.RuleWorkflow(Rollouts(rewards), 4, estimator="maxpo", k=2))
    found = run(areal.RuleWorkflow(Rollouts(rewards), 4, estimator="maxpo", k=2, reward_clip=None))
    assert actor_advantages([found])[0] == 20  # which is what AReaL would have made of it


def test_settings_that_change_advantages_are_refused(areal: ModuleType) -> None:
    config = SimpleNamespace(**areal._SETTINGS, reward_clip=20.0)
    areal.check(config)
    for name, other in {"reward_norm": object(), "adv_norm": object(), "reward_bias": -0.5}.items():
        with pytest.raises(ValueError, match=rf"actor\.{name}=.* would change the advantages"):
            areal.check(SimpleNamespace(**(vars(config) | {name: other})))
    del config.reward_scaling
    with pytest.raises(FrameworkChangedError, match="has no setting reward_scaling"):
        areal.check(config)


def test_the_settings_are_areals_and_its_defaults_pass() -> None:
    """Read in the file of its command line."""
    import ast

    from maxpo_lab.integrations.adapters import areal
    from maxpo_lab.integrations.frameworks.loading import file_of

    tree = ast.parse(file_of("areal", "areal/api/cli_args.py").read_text())
    (config,) = [node for node in tree.body if getattr(node, "name", "") == "PPOActorConfig"]
    found = {}
    for node in config.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call):
            given = {each.arg: each.value for each in node.value.keywords}
            if "default" in given and isinstance(given["default"], ast.Constant):
                found[node.target.id] = given["default"].value
    assert {name: found[name] for name in areal._SETTINGS} == dict(areal._SETTINGS)
    assert found["reward_clip"] == 20


def test_several_rewards(areal: ModuleType) -> None:
    rewards = np.array([[1.0, 0.25], [0.0, 0.5], [0.0, np.nan], [1.0, 0.0]])
    settings = {"rewards_key": "each", "reward_weights": [1.0, 0.5]}
    found = run(areal.RuleWorkflow(Rollouts(rewards), 4, estimator="per-reward:maxpo", k=2, **settings))
    due = ml.advantages(
        rewards[None], 2, estimator="per-reward:maxpo", nan_policy="omit", reward_weights=[1, 0.5]
    )
    np.testing.assert_allclose(found["rewards"], due[0], rtol=2e-7)
    with pytest.raises(ValueError, match="pass rewards_key=, one of d columns"):
        areal.RuleWorkflow(Rollouts([]), 4, estimator="per-reward:maxpo", k=2)


def test_a_prompt_is_known_again_by_a_column(areal: ModuleType) -> None:
    rng = np.random.default_rng(1)
    rewards = rng.integers(0, 2, (6, 4)).astype(float)
    workflow = areal.RuleWorkflow(
        Rollouts(rewards.reshape(-1)), 4, estimator="replay", k=2, prompt_key="query_id"
    )
    memory = ml.Replay(2)
    for step in range(6):
        found = run(workflow, {"query_id": f"q{step % 2}"})
        due = memory.advantages(rewards[step : step + 1], [f"q{step % 2}"])[0]
        np.testing.assert_allclose(found["rewards"], due, rtol=2e-7, atol=1e-37)
    assert workflow.rule.metrics["replay/known"] == 1
    workflow.group.workflow.rewards = iter([1.0] * 4)
    with pytest.raises(ValueError, match="is no column of the dataset, which has other"):
        run(workflow, {"other": 1})
    with pytest.raises(ValueError, match="remembers prompts, and no prompt_key says"):
        areal.RuleWorkflow(Rollouts([]), 4, estimator="replay", k=2)


def test_the_inner_workflow_by_its_path(areal: ModuleType) -> None:
    """As a configuration names it, which AReaL sends to the processes of its rollouts."""
    module = ModuleType("my_workflow")
    module.Rollouts = Rollouts
    settings = {"workflow_kwargs": {"rewards": [1.0, 0.0, 0.0, 0.0]}, "estimator": "maxpo", "k": 2}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "my_workflow", module)
        found = run(areal.RuleWorkflow("my_workflow.Rollouts", 4, **settings))
    np.testing.assert_allclose(found["rewards"], ml.advantages([1.0, 0, 0, 0], 2), rtol=2e-7)
    with pytest.raises(ValueError, match="workflow_kwargs with a workflow that is made already"):
        areal.RuleWorkflow(Rollouts([]), 4, **settings)


def test_all_rejected_and_agents(areal: ModuleType) -> None:
    assert run(areal.RuleWorkflow(Rollouts([None] * 4), 4, estimator="maxpo", k=2)) is None

    class Agent:
        async def arun_episode(self, engine: Any, data: dict[str, Any]) -> dict[str, Any]:
            kind = sys.modules["areal.experimental.openai"].InteractionWithTokenLogpReward
            return {"completion-1": kind()}

    with pytest.raises(TypeError, match="an agent's interactions are rewarded one by one"):
        run(areal.RuleWorkflow(Agent(), 4, estimator="maxpo", k=2))


def test_by_rewards_through_areals_own_normalisation(areal: ModuleType) -> None:
    """MaxPO's advantages as rewards, less the mean of their group: unchanged; another rule's are refused."""
    kind = sys.modules["areal.utils.data"].Normalization
    config = {
        "mean_level": "group",
        "std_level": None,
        "mean_leave1out": False,
        "std_unbiased": True,
        "eps": 1e-5,
    }
    norm = kind(SimpleNamespace(**config, group_size=4))
    import torch

    rewards = [1.0, 0.0, 0.5, 0.0]
    given = as_rewards(TrainingRule("maxpo", 2), rewards, [0] * 4, clip=20)
    np.testing.assert_allclose(norm(torch.tensor(given)), given, rtol=2e-7)
    with pytest.raises(ValueError, match=r"pkpo-loo1: the advantages of group 0 sum to .*, so a framework"):
        as_rewards(TrainingRule("pkpo-loo1", 2), rewards, [0] * 4, clip=20)
    with pytest.raises(ValueError, match="would be clipped at 1"):
        as_rewards(TrainingRule("maxpo", 2), rewards, [0] * 4, clip=1)
