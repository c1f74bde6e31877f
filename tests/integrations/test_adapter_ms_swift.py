"""ms-swift's own trainer method and advantage functions, with the catalogue in the place of the latter."""

from __future__ import annotations

import sys
from collections import defaultdict
from importlib.util import find_spec
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ragged_batches import Batch, batches, check

import maxpo_lab as ml
from maxpo_lab.integrations.adapters.changed import FrameworkChangedError
from maxpo_lab.integrations.frameworks.loading import compiled, load

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_spec("swift") is None, reason="ms-swift is not here: make test-integrations"),
    pytest.mark.filterwarnings("ignore:::(?!maxpo_lab|tests)"),
]
TRAINER = "swift.rlhf_trainers.grpo_trainer"


@pytest.fixture
def trainer_module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that holds the trainer's own method, and the functions that it imports by name."""
    import torch

    bare = ("swift", "swift.rl_core")
    source = load("ms-swift", "swift.rl_core.advantage", bare=bare, absent=("swift.utils",))
    names = ("compute_advantages", "compute_advantages_dynamic", "compute_reward_metrics")
    for name in names[:2]:
        monkeypatch.setattr(source, name, getattr(getattr(source, name), "replaced", getattr(source, name)))
    module = ModuleType(TRAINER)
    for name in names:
        setattr(module, name, getattr(source, name))
    module.torch, module.gather_object, module.gather = torch, list, lambda each: each
    found = compiled(
        "ms-swift", "swift/rlhf_trainers/grpo_trainer.py", "GRPOTrainer._compute_advantages", {"torch": torch}
    )
    method = FunctionType(found.__code__, vars(module), found.__name__)
    module.GRPOTrainer = type("GRPOTrainer", (), {"_compute_advantages": method})
    monkeypatch.setitem(sys.modules, "swift.rlhf_trainers", ModuleType("swift.rlhf_trainers"))
    monkeypatch.setitem(sys.modules, TRAINER, module)
    accelerate = ModuleType("accelerate.utils")
    accelerate.gather_object = list
    monkeypatch.setitem(sys.modules, "accelerate", ModuleType("accelerate"))
    monkeypatch.setitem(sys.modules, "accelerate.utils", accelerate)
    return module


def installed(*arguments: Any, **settings: Any) -> Any:
    from maxpo_lab.integrations.adapters import ms_swift

    return ms_swift.install(*arguments, **settings)


def trainer(module: ModuleType, n: int, *, training: bool = True, functions: int = 1, **others: Any) -> Any:
    """What the method reads of its trainer, as the arguments of a run set it."""
    import torch

    made = module.GRPOTrainer()
    settings = {
        "model": SimpleNamespace(training=training),
        "num_generations": n,
        "num_generations_eval": n,
        "reward_weights": torch.ones(functions),
        "reward_func_names": [f"f{each}" for each in range(functions)],
        "advantage_estimator": "grpo",
        "scale_rewards": "none",
        "kl_in_reward": False,
        "beta": 0.0,
        "dynamic_num_samples": False,
        "_metrics": {"train": defaultdict(list), "eval": defaultdict(list)},
        "_logs": {"rewards": defaultdict(list)},
        "_get_last_indices": lambda ids: torch.tensor(
            sorted({each: row for row, each in enumerate(ids)}.values())
        ),
    }
    for name, value in (settings | others).items():
        setattr(made, name, value)
    return made


def samples(count: int, **columns: Any) -> list[Any]:
    return [
        SimpleNamespace(
            messages=[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
            extra={},
            **{name: values[row] for name, values in columns.items()},
        )
        for row in range(count)
    ]


def test_the_trainer_gives_the_catalogues_advantages(trainer_module: ModuleType) -> None:
    import torch

    def answer(batch: Batch) -> Any:
        rule = installed(batch.estimator, batch.k).rule
        n = int(np.bincount(batch.ids)[0])
        made = trainer(trainer_module, n)
        given = torch.from_numpy(batch.rewards).float()[:, None]
        found = made._compute_advantages(samples(len(given)), given, [])
        assert found.dtype == torch.float32
        logged = made._metrics["train"]
        assert logged["maxpo/advantages/unscored"] == [np.isnan(batch.rewards).mean()]
        assert logged["maxpo/k"] == [batch.k]
        assert rule.metrics["k"] == batch.k
        return found

    check(answer, batches(equal=True))


def test_any_number_of_rollouts_of_a_prompt_and_rows_of_one_request(trainer_module: ModuleType) -> None:
    import torch

    def answer(batch: Batch) -> Any:
        installed(batch.estimator, batch.k)
        twice = np.repeat(
            np.arange(len(batch.ids)), 1 + np.arange(len(batch.ids)) % 2
        )  # turns of one request
        given = torch.from_numpy(batch.rewards[twice]).float()[:, None]
        each = trainer(trainer_module, 1, dynamic_num_samples=True)
        prompts = [f"prompt_{batch.ids[row]}" for row in twice]
        given_samples = samples(len(twice), prompt_id=prompts, request_id=[f"chat-{row}" for row in twice])
        found = each._compute_advantages(given_samples, given, [])
        rows = np.flatnonzero(np.append(np.diff(twice) > 0, True))
        np.testing.assert_array_equal(found[rows][twice], found)
        return found[rows]

    check(answer, batches())


def test_a_request_counts_by_its_last_row(trainer_module: ModuleType) -> None:
    """As ms-swift's own function, where its rows differ, which the trainer refuses."""
    import torch

    theirs = trainer_module.compute_advantages_dynamic
    given = (torch.tensor([[5.0], [1.0], [0.0], [0.0]]), torch.ones(1), ["p"] * 4, ["a", "a", "b", "c"])
    due, rewards = theirs(*given, scale_rewards="none")
    installed("batch-mean")
    found, again = trainer_module.compute_advantages_dynamic(*given, scale_rewards="none")
    np.testing.assert_allclose(found, due, atol=1e-7)
    assert found[0] == found[1] > 0
    assert torch.equal(rewards, again)


def test_ms_swift_itself_takes_the_unscored_for_failures(trainer_module: ModuleType) -> None:
    import torch

    given = torch.tensor([[1.0], [float("nan")], [0.0], [0.0]])
    theirs = trainer(trainer_module, 4)._compute_advantages(samples(4), given, [])
    assert theirs.tolist() == [0.75, -0.25, -0.25, -0.25]
    installed("batch-mean")
    ours = trainer(trainer_module, 4)._compute_advantages(samples(4), given, [])
    np.testing.assert_allclose(ours, [2 / 3, 0, -1 / 3, -1 / 3], rtol=2e-7)


def test_several_rewards_with_the_trainers_weights(trainer_module: ModuleType) -> None:
    import torch

    rng = np.random.default_rng(0)
    rewards = np.round(rng.random((8, 2)), 2).astype(np.float32)
    rewards[2, 1] = np.nan
    installed("per-reward:maxpo", 2)
    made = trainer(trainer_module, 4, functions=2, reward_weights=torch.tensor([1.0, 0.5]))
    found = made._compute_advantages(samples(8), torch.from_numpy(rewards), [])
    due = ml.advantages(
        rewards.reshape(2, 4, 2).astype(float),
        2,
        estimator="per-reward:maxpo",
        nan_policy="omit",
        reward_weights=[1.0, 0.5],
    )
    np.testing.assert_allclose(found, due.reshape(-1), rtol=2e-7)


def test_the_penalty_is_in_the_reward(trainer_module: ModuleType) -> None:
    import torch

    installed("rloo")
    penalty = torch.tensor([0.0, 1.0, 2.0, 3.0])
    batch = SimpleNamespace(
        old_per_token_logps=penalty[:, None],
        ref_per_token_logps=torch.zeros(4, 1),
        completion_mask=torch.ones(4, 1),
    )
    made = trainer(trainer_module, 4, kl_in_reward=True, beta=0.5)
    found = made._compute_advantages(samples(4), torch.ones(4, 1), [{"grpo_batch": batch}])
    np.testing.assert_allclose(
        found, ml.advantages((1 - 0.5 * penalty.numpy()), 1, estimator="rloo"), rtol=2e-6
    )


@pytest.mark.parametrize("column", [None, "row"])
def test_a_prompt_is_known_again(trainer_module: ModuleType, column: str | None) -> None:
    import torch

    installed("replay", 2, prompt_column=column)
    memory = ml.Replay(2)
    rng = np.random.default_rng(1)
    for step in range(5):
        prompts = ["always", f"q{step % 2}"]
        rewards = rng.integers(0, 2, (2, 4)).astype(float)
        given = samples(8)
        for each, prompt in zip(given, np.repeat(prompts, 4).tolist(), strict=True):
            each.extra = {"row": prompt}
            each.messages[0]["content"] = prompt
        training = step != 2
        made = trainer(trainer_module, 4, training=training)
        found = made._compute_advantages(given, torch.from_numpy(rewards).float().reshape(-1, 1), [])
        due = memory.advantages(rewards, prompts, remember=training)
        np.testing.assert_allclose(found, due.reshape(-1), rtol=2e-7, atol=1e-37)
    assert made._metrics["train"]["maxpo/replay/known"] == [1.0]
    if column is None:
        given[0].messages.extend(given[0].messages[:2])
        with pytest.raises(ValueError, match="no one text before the response: pass prompt_column="):
            made._compute_advantages(given, torch.zeros(8, 1), [])
    else:
        given[0].extra = {"other": 1}
        with pytest.raises(ValueError, match=r"'row' is no column of the dataset, .* are other"):
            made._compute_advantages(given, torch.zeros(8, 1), [])
    with pytest.raises(ValueError, match="this trainer of ms-swift tells none"):
        trainer_module.compute_advantages(torch.zeros(4, 1), torch.ones(1), 4, "grpo", "none")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("scale_rewards", "group"), ("scale_rewards", "batch"), ("advantage_estimator", "rloo")],
)
def test_a_setting_that_would_change_nothing_is_refused(
    trainer_module: ModuleType, setting: str, value: str
) -> None:
    import torch

    installed("maxpo", 2)
    made = trainer(trainer_module, 4, **{setting: value})
    with pytest.raises(ValueError, match=f"{setting}='{value}': the rule defines its own scale"):
        made._compute_advantages(samples(4), torch.zeros(4, 1), [])


def test_every_module_gets_it_and_it_can_be_replaced(trainer_module: ModuleType) -> None:
    import torch

    later = ModuleType("swift.megatron.trainers.grpo_trainer")
    later.compute_advantages = trainer_module.compute_advantages
    theirs = trainer_module.compute_advantages
    sys.modules[later.__name__] = later
    try:
        for estimator, largest in (("batch-mean", 0.75), ("rloo", 1.0)):
            installed(estimator)
            given = (torch.tensor([[1.0], [0.0], [0.0], [0.0]]), torch.ones(1), 4)
            for module in (trainer_module, later, sys.modules["swift.rl_core.advantage"]):
                found, rewards = module.compute_advantages(*given, scale_rewards="none")
                assert float(found.max()) == largest
                assert rewards.tolist() == [1, 0, 0, 0]
        assert later.compute_advantages.replaced is theirs
    finally:
        del sys.modules[later.__name__]


def test_another_ms_swift_is_refused(trainer_module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    source = sys.modules["swift.rl_core.advantage"]
    monkeypatch.setattr(source, "compute_advantages", lambda rewards, num_generations: rewards)
    with pytest.raises(
        FrameworkChangedError, match=r"ms-swift 4.6.0: .*takes \(rewards, num_generations\), not"
    ):
        installed("maxpo", 2)
