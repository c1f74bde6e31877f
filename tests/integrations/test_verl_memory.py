"""Rules with a memory in verl: what a uid must carry, what is refused, and the memory in a checkpoint.

Runs in an environment of its own, like ``test_verl_registry.py``.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml

pytestmark = pytest.mark.integration
core_algos = pytest.importorskip(
    "verl.trainer.ppo.core_algos", reason="verl is in .venv-verl alone: make test-integrations"
)
import torch  # noqa: E402 - torch comes with verl
from omegaconf import OmegaConf  # noqa: E402
from verl.utils import tensordict_utils  # noqa: E402

from maxpo_lab.integrations import verl_replay  # noqa: E402

K, TOKENS = 2, 4


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Every test begins and ends without a memory."""
    verl_replay._MEMORIES.clear()
    yield
    verl_replay._MEMORIES.clear()


def config(**settings: Any) -> Any:
    made = OmegaConf.create({"adv_estimator": "replay", "k": K, **settings})
    OmegaConf.set_struct(made, True)
    return made


def called(uids: list[Any], rewards: list[float], name: str = "replay", **settings: Any) -> torch.Tensor:
    """Advantages (bs,) by verl's own registry, as its trainer calls it."""
    tokens = torch.zeros(len(rewards), TOKENS)
    tokens[:, 1] = torch.tensor(rewards)
    mask = (torch.arange(TOKENS) < 3).expand(len(rewards), TOKENS).long()
    found, returns = core_algos.get_adv_estimator_fn(name)(
        token_level_rewards=tokens,
        response_mask=mask,
        index=np.array(uids, dtype=object),
        config=config(**settings),
    )
    assert torch.equal(found, returns)
    assert torch.equal(found, found[:, :1] * mask)
    return found[:, 0]


def test_the_rules_are_registered_and_the_trainers_are_verls_own() -> None:
    assert verl_replay.REGISTERED == ("replay", "centered_replay", "plug_in_floor", "pooled")
    for name in verl_replay.REGISTERED:
        assert core_algos.get_adv_estimator_fn(name).__module__ == "maxpo_lab.integrations.verl_replay"


def test_uids_carry_the_prompt_and_are_new_at_every_step() -> None:
    first, second = verl_replay.uids_of([3, 4, 3]), verl_replay.uids_of([3, 4, 3])
    assert len({*first, *second}) == 6
    said = [verl_replay._prompt_of(uid, "replay") for uid in (*first, *second)]
    assert said[0] == said[2] == said[3] == said[5] != said[1] == said[4]
    assert not any("_" in uid for uid in first), "verl takes what precedes it for the uid"
    texts = verl_replay.uids_of(["a", "b"])
    assert all(re.fullmatch(r"prompt-[0-9a-f]{16}-[0-9a-f]{32}", uid) for uid in texts)


def test_groups_of_any_size_share_their_prompts_history_of_earlier_steps() -> None:
    """Interleaved rows; in each step a prompt comes twice, as two groups."""
    rng, held = np.random.default_rng(0), defaultdict(list)
    for _ in range(4):
        prompts = [0, 1, 2, 1]
        uids = np.repeat(verl_replay.uids_of(prompts), sizes := rng.integers(3, 6, 4))
        rewards = rng.integers(0, 3, len(uids)) / 2
        order = rng.permutation(len(uids))
        found = torch.empty(len(uids), dtype=torch.float32)
        found[order] = called(uids[order].tolist(), rewards[order].tolist(), replay={"weight": "fair"})
        ends = np.cumsum(sizes)
        groups = [rewards[end - size : end] for end, size in zip(ends, sizes, strict=True)]
        for prompt, group, end in zip(prompts, groups, ends, strict=True):
            wanted = ml.advantages(group[None], K, estimator="replay", history=[held[prompt][-64:]])[0]
            np.testing.assert_allclose(found[end - len(group) : end], wanted, rtol=1e-6, atol=1e-6)
        for prompt, group in zip(prompts, groups, strict=True):
            held[prompt] += group.tolist()
    assert verl_replay.memory("replay").metrics["known"] == 1


def test_settings_reach_the_memory() -> None:
    called(verl_replay.uids_of([1, 2])[:1] * 3, [1.0, 0.0, 0.0], replay={"keep": 8, "half_life": 5.0})
    made = verl_replay.memory("replay")
    assert (made.keep, made.half_life, made.weight, made.k) == (8, 5.0, "ema", K)
    verl_replay._MEMORIES.clear()
    with pytest.raises(ValueError, match=r"algorithm\.replay holds size: its settings are keep"):
        called(verl_replay.uids_of([1]) * 3, [1.0, 0.0, 0.0], replay={"size": 8})


@pytest.mark.parametrize("uid", ["prompt-7", "3f0c1e9a-1111-4222-8333-944444444444", 5])
def test_a_uid_that_says_no_prompt_is_refused(uid: Any) -> None:
    with pytest.raises(ValueError, match=r"says no prompt.*VERL_USE_EXTERNAL_MODULES.*extra_info\['index'\]"):
        called([uid] * 4, [1.0, 0, 0, 0])
    with pytest.raises(ValueError, match="got no index"):
        verl_replay.advantages_for_verl("replay", torch.zeros(2, 1), torch.ones(2, 1), config={"k": 1})


def test_a_dataset_without_indices_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"all 3 prompts of the batch have the index 0.*extra_info\['index'\]"
    ):
        verl_replay.uids_of([0, 0, 0])


def test_filtered_groups_are_refused() -> None:
    with pytest.raises(ValueError, match=r"has advantages on dead groups.*filter_groups"):
        called(verl_replay.uids_of([1]) * 4, [1.0, 0, 0, 0], filter_groups={"enable": True})


def test_unscored_rollouts_small_groups_and_padding() -> None:
    uids = np.repeat(verl_replay.uids_of([1, 2]), 3).tolist()
    rewards = [1.0, 0.0, float("nan"), float("nan"), float("nan"), 1.0]
    with pytest.raises(ValueError, match=r"a reward is nan.*nan_policy=omit"):
        called(uids, rewards)
    with pytest.raises(ValueError, match="has 1 scored rollouts"):
        called(uids, rewards, nan_policy="omit")
    found = called(uids, rewards, nan_policy="omit", small_groups="zero")
    assert found[:2].any()
    assert not found[2:].any()
    state = verl_replay.memory("replay").state_dict()
    assert sorted(state["count"].tolist()) == [1, 2]
    padded = core_algos.get_adv_estimator_fn("replay")(
        token_level_rewards=torch.zeros(2, TOKENS),
        response_mask=torch.zeros(2, TOKENS),
        index=np.array(["pad0", "pad0"], dtype=object),
        config=config(),
    )[0]
    assert not padded.any()


def compiled(name: str) -> Callable[..., Any]:
    """A method of verl's v1 trainer from its source: importing it asks for TransferQueue and hydra."""
    path = Path(core_algos.__file__).parent / "v1" / "trainer_base.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (node,) = (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and each.name == name)
    node.returns = None
    namespace: dict[str, Any] = {"np": np, "uuid": __import__("uuid"), "tu": tensordict_utils}
    exec(compile(ast.Module([node], []), str(path), "exec"), namespace)
    return namespace[name]


class Stub:
    """What stands for verl's trainer: its own method for a batch, and checkpoints of a number."""

    _fetch_one_gen_batch = compiled("_fetch_one_gen_batch")

    def __init__(self, folder: Path, rule: str = "replay", **settings: Any) -> None:
        self.train_dataloader = [{"raw_prompt": ["a", "b", "c"], "index": [7, 8, 9]}]
        self.train_dataloader_it = None
        trainer = {
            "default_local_dir": str(folder),
            "resume_mode": "auto",
            "resume_from_path": None,
            **settings,
        }
        self.config = SimpleNamespace(
            algorithm=config(adv_estimator=rule), trainer=SimpleNamespace(**trainer)
        )
        self.global_steps = 0

    def _save_checkpoint(self) -> None:
        (Path(self.config.trainer.default_local_dir) / "latest").write_text(str(self.global_steps))

    def _load_checkpoint(self) -> None:
        self.global_steps = int((Path(self.config.trainer.default_local_dir) / "latest").read_text())

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        called(np.repeat(list(batch["uid"]), 3).tolist(), [1.0, 0, 0, 0, 0, 1.0, 1.0, 1.0, 0])
        return batch


Trainer = verl_replay.carrying(Stub)


def test_a_trainer_of_verl_carries_the_index_through_to_the_estimator(tmp_path: Path) -> None:
    plain = Stub(tmp_path)
    assert not any(verl_replay._CARRIED.match(uid) for uid in plain._fetch_one_gen_batch()["uid"])
    trainer, metrics = Trainer(tmp_path), {}
    uids = []
    for _ in range(2):
        batch = trainer._fetch_one_gen_batch()
        assert list(batch["index"]) == [7, 8, 9]
        uids += list(batch["uid"])
        trainer._compute_advantage(batch, metrics)
    assert len(set(uids)) == 6
    assert metrics["replay/known"] == 1
    assert metrics["replay/history_age"] == 1
    assert verl_replay.carrying(Trainer) is Trainer
    other = Trainer(tmp_path, "maxpo")
    other.train_dataloader[0]["index"] = [0, 0, 0]
    assert not any(verl_replay._CARRIED.match(uid) for uid in other._fetch_one_gen_batch()["uid"])


@pytest.mark.parametrize("by_path", [False, True])
def test_the_memory_is_in_the_checkpoint(by_path: bool, tmp_path: Path) -> None:
    trainer = Trainer(tmp_path)
    trainer._compute_advantage(trainer._fetch_one_gen_batch(), {})
    trainer.global_steps = 3
    trainer._save_checkpoint()
    before = verl_replay.memory("replay").state_dict()
    verl_replay._MEMORIES.clear()
    place = (
        {"resume_mode": "resume_path", "resume_from_path": str(tmp_path / "global_step_3")} if by_path else {}
    )
    again = Trainer(tmp_path, **place)
    again._load_checkpoint()
    after = verl_replay.memory("replay").state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    metrics: dict[str, Any] = {}
    again._compute_advantage(again._fetch_one_gen_batch(), metrics)
    assert metrics["replay/known"] == 1
    (tmp_path / "global_step_3" / "maxpo_replay" / "maxpo_replay.npz").unlink()
    with pytest.raises(FileNotFoundError, match="without a memory"):
        Trainer(tmp_path)._load_checkpoint()
