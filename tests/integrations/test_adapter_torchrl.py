"""TorchRL's own transform and replay buffer, with the catalogue in MCAdvantage."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ragged_batches import Batch, batches, check

import maxpo_lab as ml
from maxpo_lab.integrations.adapters.changed import FrameworkChangedError

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_spec("torchrl") is None, reason="TorchRL is not here: make test-integrations"),
    pytest.mark.filterwarnings("ignore:::(?!maxpo_lab|tests)"),
]


def trajectory(prompt: Any, reward: Any, steps: int = 2) -> Any:
    """Of one row a step, the reward on the last."""
    import torch
    from tensordict import TensorDict

    given = np.atleast_1d(np.asarray(reward, dtype=np.float32))
    rewards = torch.zeros(steps, len(given))
    rewards[-1] = torch.from_numpy(given)
    done = torch.zeros(steps, 1, dtype=torch.bool)
    done[-1] = True
    return TensorDict(
        {
            "query": torch.full((steps,), prompt) if isinstance(prompt, int) else prompt,
            "row": torch.zeros(steps, dtype=torch.long),
            ("next", "reward"): rewards,
            ("next", "done"): done,
        },
        batch_size=[steps],
    )


def transform(*arguments: Any, **settings: Any) -> Any:
    from maxpo_lab.integrations.adapters.torchrl import RuleAdvantage

    return RuleAdvantage(*arguments, **settings)


def advantages_of(found: Any, rows: int) -> np.ndarray:
    """By row, the advantage of each step of its trajectory, which is one."""
    each = np.full(rows, np.nan)
    for row, advantage in zip(found["row"].tolist(), found["advantage"][:, 0].tolist(), strict=True):
        assert np.isnan(each[row]) or each[row] == advantage
        each[row] = advantage
    return each


def test_the_transform_gives_the_catalogues_advantages() -> None:
    """Trajectories of all groups come mixed; what is short at the end is flushed."""

    def answer(batch: Batch) -> np.ndarray:
        import torch

        size = max(int(np.bincount(batch.ids).max()), batch.k + 1)
        made = transform(size, estimator=batch.estimator, k=batch.k)
        out = []
        for row, (group, reward) in enumerate(zip(batch.ids.tolist(), batch.rewards, strict=True)):
            given = trajectory(group, reward, steps=1 + row % 3)
            given["row"] = torch.full((len(given),), row)
            out.append(made.inv(given))
        out.append(made.flush())
        kept = [each for each in out if each is not None]
        assert made.queued_groups == 0
        return advantages_of(torch.cat(kept), len(batch.ids))

    check(answer, batches())


def test_a_replay_buffer_writes_a_group_when_it_is_whole() -> None:
    import torch
    from torchrl.data import LazyTensorStorage, ReplayBuffer

    buffer = ReplayBuffer(storage=LazyTensorStorage(100), batch_size=4)
    buffer.append_transform(transform(4, estimator="maxpo", k=2, prompt_key="query"))
    given = torch.cat([trajectory(7, reward) for reward in (1.0, 0.0, 0.0)])
    buffer.extend(given)
    assert len(buffer) == 0
    buffer.extend(trajectory(7, 0.0))
    assert len(buffer) == 8
    found = buffer[:]["advantage"][:, 0].reshape(4, 2)
    np.testing.assert_allclose(found[:, 0], ml.advantages([1.0, 0, 0, 0], 2), rtol=2e-7)
    assert torch.equal(found[:, 0], found[:, 1])


@pytest.mark.parametrize("how", ["sum", "max", "mean"])
def test_the_return_of_a_trajectory(how: str) -> None:
    import torch

    made = transform(3, estimator="rloo", trajectory_return=how)
    rng = np.random.default_rng(0)
    steps = rng.random((3, 4)).astype(np.float32)
    for row in steps:
        given = trajectory(0, 0.0, steps=4)
        given["next", "reward"] = torch.from_numpy(row)[:, None]
        found = made.inv(given)
    due = ml.advantages(getattr(np, how)(steps.astype(float), axis=1), 1, estimator="rloo")
    np.testing.assert_allclose(found["advantage"][:, 0].reshape(3, 4)[:, 0], due, rtol=1e-6)


def test_several_rewards() -> None:
    made = transform(4, estimator="per-reward:maxpo", k=2, reward_weights=[1.0, 0.5])
    rewards = np.array([[1.0, 0.25], [0.0, 0.5], [0.0, np.nan], [1.0, 0.0]])
    found = [made.inv(trajectory(0, row)) for row in rewards][-1]
    due = ml.advantages(
        rewards[None], 2, estimator="per-reward:maxpo", nan_policy="omit", reward_weights=[1, 0.5]
    )
    np.testing.assert_allclose(found["advantage"][:, 0].reshape(4, 2)[:, 0], due[0], rtol=2e-7)


@pytest.mark.parametrize("prompts", [[3, 5], ["2 + 2 =", "3 * 5 ="]], ids=["tensor", "text"])
def test_a_prompt_is_known_again_by_its_key(prompts: list[Any]) -> None:
    made, memory = transform(4, estimator="replay", k=2), ml.Replay(2)
    rng = np.random.default_rng(1)
    for step in range(6):
        if step == 3:  # a new process goes on from the state
            state = made.state_dict()
            made = transform(4, estimator="replay", k=2)
            made.load_state_dict(state)
        prompt, rewards = prompts[step % 2], rng.integers(0, 2, 4).astype(float)
        given = [trajectory(prompt, each) for each in rewards]
        if isinstance(prompt, str):
            from tensordict import NonTensorData, lazy_stack

            for each in given:
                each["query"] = lazy_stack([NonTensorData(prompt)] * 2)
        found = [made.inv(each) for each in given][-1]
        due = memory.advantages(rewards[None], [str([prompt]) if isinstance(prompt, int) else prompt])[0]
        np.testing.assert_allclose(found["advantage"][:, 0].reshape(4, 2)[:, 0], due, rtol=2e-7, atol=1e-37)
    assert made.rule.metrics["replay/known"] == 1
    with pytest.raises(ValueError, match="each would have a memory of its own"):
        made.share_memory_()


def test_what_changes_what_is_climbed_is_refused() -> None:
    with pytest.raises(ValueError, match="candidate_group_size=8 picks trajectories by their returns"):
        transform(4, estimator="maxpo", k=2, candidate_group_size=8)
    with pytest.raises(ValueError, match="drops groups that replay has advantages on"):
        transform(4, estimator="replay", k=2, keep_return_bounds=(0.1, 0.9))
    with pytest.raises(ValueError, match="maxpo at grpo_size=4 and k=4 is undefined"):
        transform(4, estimator="maxpo", k=4)


def test_groups_outside_of_the_bounds_are_dropped() -> None:
    made = transform(2, estimator="rloo", keep_return_bounds=(0.1, 0.9))
    assert made.inv(trajectory(0, 0.0)) is None
    assert made.inv(trajectory(0, 0.0)) is None
    assert made.inv(trajectory(0, 1.0)) is None
    assert made.inv(trajectory(0, 0.0)) is not None
    assert made.get_stats()["dropped_groups"] == 1


def test_the_lines_of_the_documentation() -> None:
    import re

    page = (Path(__file__).parents[2] / "docs" / "howto" / "frameworks.md").read_text()
    (code,) = re.findall(r"<!-- needs torchrl -->\n```python\n(.*?)```", page, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(code, scope)
    from tensordict import NonTensorData, lazy_stack

    for row in range(16):
        given = trajectory("q", float(row == 0))
        given["query"] = lazy_stack([NonTensorData("q")] * 2)
        scope["buffer"].extend(given)
        assert len(scope["buffer"]) == (32 if row == 15 else 0)
    found = [float(each["advantage"]) for each in scope["buffer"][:]][::2]
    np.testing.assert_allclose(found, ml.advantages([1.0] + [0.0] * 15, 4), rtol=2e-7)


def test_another_torchrl_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    from torchrl.objectives import llm

    from maxpo_lab.integrations.adapters import torchrl

    class MCAdvantage(llm.MCAdvantage):
        def _trajectory_advantage(self, group: Any) -> Any:
            return group

    with monkeypatch.context() as patch:
        patch.setattr(llm, "MCAdvantage", MCAdvantage)
        with pytest.raises(FrameworkChangedError, match=r"takes \(self, group\), not \(self, trajs\)"):
            importlib.reload(torchrl)
    importlib.reload(torchrl)
