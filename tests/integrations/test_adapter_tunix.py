"""tunix's own registry and reward manager, with the catalogue as advantage estimator."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from ragged_batches import Batch, batches, check

import maxpo_lab as ml
from maxpo_lab.integrations.adapters.changed import FrameworkChangedError
from maxpo_lab.integrations.frameworks.loading import load

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_spec("tunix") is None, reason="google-tunix is not here: make test-integrations"),
    pytest.mark.filterwarnings("ignore:::(?!maxpo_lab|tests)"),
]


@pytest.fixture(scope="module")
def registry() -> Any:
    """tunix's registry, with its reward manager and its own estimators."""
    bare = ("tunix", "tunix.rl")
    load("google-tunix", "tunix.rl.reward_manager", bare=bare)
    return load("google-tunix", "tunix.rl.function_registry", bare=bare)


@pytest.fixture(autouse=True)
def clean(registry: Any) -> Any:
    before = {kind: dict(names) for kind, names in registry.default_registry._registry.items()}
    yield
    for kind, names in before.items():
        registry.default_registry._registry[kind] = names


def registered(*arguments: Any, **settings: Any) -> Any:
    from maxpo_lab.integrations.adapters import tunix

    return tunix.register(*arguments, **settings)


def scores(
    registry: Any, name: str, functions: list[Any], prompts: list[str], columns: Any, *, mode: str = "train"
) -> Any:
    """What tunix's learner hands to the estimator: the manager of the registry on reward functions."""
    from tunix.rl.algorithm_config import AlgorithmConfig

    manager = registry.get_reward_manager(name)(reward_fns=functions, algo_config=AlgorithmConfig())
    found = manager(prompts=prompts, completions=["x"] * len(prompts), columns=columns, mode=mode)
    assert set(found) == {"rewards", "log_metrics"}
    return found["rewards"]


def first(prompts: Any, completions: Any, columns: Any, **_: Any) -> list[float]:
    return columns[:, 0].tolist()


def second(prompts: Any, completions: Any, columns: Any, **_: Any) -> list[float]:
    return columns[:, 1].tolist()


def test_the_registry_gives_the_catalogues_advantages(registry: Any) -> None:
    import jax.numpy as jnp

    made = {}

    def answer(batch: Batch) -> Any:
        key = f"{batch.estimator} at {batch.k}"
        if key not in made:
            made[key] = registered(batch.estimator, batch.k, name=key)
        n = int(np.bincount(batch.ids)[0])
        rewards = scores(registry, key, [first], ["q"] * len(batch.ids), batch.rewards[:, None])
        np.testing.assert_array_equal(rewards, np.nan_to_num(batch.rewards))  # what tunix logs
        found = registry.get_advantage_estimator(key)(rewards=rewards, num_generations=n)
        metrics = made[key].metric_fn(prompts=[], completions=[], advantages=found, rewards=rewards)
        assert metrics["maxpo/advantages/unscored"][0] == np.isnan(batch.rewards).mean()
        return np.asarray(jnp.asarray(found))  # to the device, as the learner does

    check(answer, batches(equal=True))
    assert len(made) == 24  # five rules at five k, of which pkpo-loo1 has none at 1


def test_tunixs_own_manager_takes_the_unscored_for_failures(registry: Any) -> None:
    """Which is why the adapter has one of its own."""
    made = registered("maxpo", 2)
    columns = np.array([[1.0], [np.nan], [0.0], [0.0]])
    found = {}
    for name in ("sequence-level", "maxpo"):
        rewards = scores(registry, name, [first], ["q"] * 4, columns)
        found[name] = made.estimator(rewards, 4).tolist()
    assert found["sequence-level"] == ml.advantages([1.0, 0, 0, 0], 2).tolist()
    assert found["maxpo"] == ml.advantages(columns[:, 0], 2, group_ids=[0] * 4, nan_policy="omit").tolist()
    assert found["maxpo"][1] == 0


def test_several_rewards(registry: Any) -> None:
    rng = np.random.default_rng(0)
    columns = np.round(rng.random((8, 2)), 2)
    columns[2, 1] = np.nan
    made = registered("per-reward:maxpo", 2, reward_weights=[1.0, 0.5])
    rewards = scores(registry, made.name, [first, second], ["q"] * 8, columns)
    due = ml.advantages(
        columns.reshape(2, 4, 2),
        2,
        estimator="per-reward:maxpo",
        nan_policy="omit",
        reward_weights=[1.0, 0.5],
    )
    np.testing.assert_allclose(made.estimator(rewards, 4), due.reshape(-1), rtol=1e-12)
    with pytest.raises(ValueError, match=r"reward_manager='per-reward:maxpo'"):
        made.estimator(np.asarray(rewards), 4)


def test_a_prompt_is_known_again_by_its_text(registry: Any) -> None:
    made, memory = registered("replay", 2), ml.Replay(2)
    rng = np.random.default_rng(1)
    for step in range(4):
        prompts = [f"q{step % 2}", "always"]
        columns = rng.integers(0, 2, (8, 1)).astype(float)
        mode = "eval" if step == 1 else "train"
        rewards = scores(registry, "replay", [first], np.repeat(prompts, 4).tolist(), columns, mode=mode)
        due = memory.advantages(columns.reshape(2, 4), prompts, remember=step != 1)
        np.testing.assert_allclose(made.estimator(rewards, 4), due.reshape(-1), rtol=1e-12, atol=1e-12)
    assert made.metric_fn()["maxpo/replay/known"][0] == 0.5  # q1 was evaluated alone


def test_names_that_tunix_has_are_refused(registry: Any) -> None:
    registered("maxpo", 2)
    with pytest.raises(ValueError, match="has advantage_estimator 'maxpo' already, and would replace it"):
        registered("maxpo", 4)
    with pytest.raises(ValueError, match="has reward_manager 'sequence-level' already"):
        registered("maxpo", 4, name="sequence-level")
    with pytest.raises(ValueError, match="5 rewards are no groups of num_generations=4"):
        registered("rloo", name="other").estimator(np.zeros(5), 4)


def test_another_tunix_is_refused(registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "register_advantage_estimator", lambda label: None)
    with pytest.raises(
        FrameworkChangedError, match=r"tunix 0.1.7: .*takes \(label\), not \(name\); this adapter"
    ):
        registered("maxpo", 2)
    monkeypatch.delattr(registry, "register_advantage_estimator")
    with pytest.raises(FrameworkChangedError, match="has no register_advantage_estimator"):
        registered("maxpo", 2)


def test_the_learner_calls_it_by_these_names() -> None:
    """Read in the learner's file, which needs the rest of JAX's libraries to be imported."""
    import ast

    from maxpo_lab.integrations.frameworks.loading import file_of

    for path in ("tunix/rl/grpo/grpo_learner.py", "tunix/rl/agentic/agentic_grpo_learner.py"):
        tree = ast.parse(file_of("google-tunix", path).read_text())
        calls = [
            {each.arg for each in node.keywords}
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "advantage_estimator"
        ]
        assert calls == [{"rewards", "num_generations"}], path
