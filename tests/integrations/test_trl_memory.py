"""``MaxPOTrainer(estimator="replay")``: no history holds its own group's rollouts, whatever the loop does.

The witness keeps every generation's rewards by prompt in lists of its own and asks ``Replay`` nothing. Run
as a script it is one of several processes: the test at the end starts them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore:::(?!maxpo_lab|tests)")]
trl = pytest.importorskip("trl", reason="TRL is not installed: make test-integrations")
import torch  # noqa: E402 - it comes with TRL
from datasets import Dataset  # noqa: E402
from tiny_trl import N, Recording, Rewards, prompts, tiny_trainer  # noqa: E402

from maxpo_lab.integrations import replay_files  # noqa: E402
from maxpo_lab.integrations.trl import KSteps, MaxPOTrainer  # noqa: E402

EVERY_STEP = {"logging_strategy": "steps", "logging_steps": 1}
ROUNDED = {"rtol": 2**-23, "atol": 1e-7}
K = 3


class Recorder(Recording, MaxPOTrainer):
    """Also the prompts of every generation, of all processes, and whether it was in training."""

    def __init__(self, **arguments: Any) -> None:
        self.asked: list[list[str]] = []
        self.modes: list[bool] = []
        super().__init__(**arguments)

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        from accelerate.utils import gather_object

        self.asked.append(gather_object([row["prompt"] for row in inputs]))
        self.modes.append(bool(self.model.training))
        return super()._generate_and_score_completions(inputs)


def graded(completion_ids: list[list[int]], **others: Any) -> Rewards:
    return [len(set(ids)) / 7 for ids in completion_ids]


def solved(completion_ids: list[list[int]], **others: Any) -> Rewards:
    return [float(ids[0] % 3 == 0) for ids in completion_ids]


def trainer_of(folder: Path, rule: Any = graded, data: Any = None, **settings: Any) -> Any:
    names = ("estimator", "k", "small_groups", "prompt_column", "answer_of")
    extra = {"estimator": ml.Replay(K, weight="fair"), "k": K}
    extra |= {name: settings.pop(name) for name in names if name in settings}
    settings = {"scale_rewards": "none", "max_steps": 6} | settings
    trainer = tiny_trainer(Recorder, folder, rule, extra=extra, **settings)
    if data is not None:
        trainer.train_dataset = data
    return trainer


def check(trainer: Any, held: dict[str, list[float]] | None = None, *, n: int = N) -> dict[str, list[float]]:
    """Every generation's advantages are the rule's at the training rewards before it, and those alone."""
    held = defaultdict(list) if held is None else held
    used_history = 0
    for asked, training, rewards, used in zip(
        trainer.asked, trainer.modes, trainer.rewards, trainer.advantages, strict=True
    ):
        groups, names = rewards[:, 0].double().reshape(-1, n), asked[::n]
        history = [held[name][-64:] for name in names]
        wanted = ml.advantages(groups, K, estimator="replay", history=history)
        torch.testing.assert_close(used, wanted.reshape(-1).float(), **ROUNDED)
        used_history += sum(map(bool, history))
        if training:
            for name, group in zip(names, groups.tolist(), strict=True):
                held[name] += group
    assert used_history, "nothing was tested"
    return held


def logged(trainer: Any, name: str) -> list[float]:
    return [entry[name] for entry in trainer.state.log_history if name in entry]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_iterations": 2, "max_steps": 12},
        {"per_device_train_batch_size": N, "gradient_accumulation_steps": 3},
        {"per_device_train_batch_size": N, "steps_per_generation": 6, "max_steps": 24},
        {"num_iterations": 3, "gradient_accumulation_steps": 2, "max_steps": 18},
        {"eval_strategy": "steps", "eval_steps": 1},
    ],
    ids=str,
)
def test_a_generation_is_answered_by_those_before_it_and_remembered_once(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    trainer = trainer_of(tmp_path, **settings)
    trainer.train()
    held = check(trainer)
    state = trainer.memory.state_dict()
    assert trainer.memory.step == sum(trainer.modes)
    assert state["count"].sum() == sum(min(64, len(rewards)) for rewards in held.values())
    assert len(trainer.trained_on) > 0
    if "eval_strategy" in settings:
        assert not all(trainer.modes)


def test_a_prompt_twice_in_a_batch(tmp_path: Path) -> None:
    """Three groups of two prompts: one of them twice in every generation."""
    trainer = trainer_of(tmp_path, data=Dataset.from_dict({"prompt": prompts()[:2] * 6}))
    trainer.train()
    assert any(len(set(asked)) < len(asked) // N for asked in trainer.asked)
    check(trainer)


def test_the_learned_share_is_that_of_replay(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, estimator="replay", **EVERY_STEP)
    trainer.train()
    memory = ml.Replay(K)
    for asked, rewards, used in zip(trainer.asked, trainer.rewards, trainer.advantages, strict=True):
        wanted = memory.advantages(rewards[:, 0].double().reshape(-1, N), asked[::N])
        torch.testing.assert_close(used, wanted.reshape(-1).float(), **ROUNDED)
    assert logged(trainer, "replay/lambda")[-1] == memory.metrics["lambda"] > 0
    assert logged(trainer, "replay/known")[0] == 0
    for name in ("history_age", "history_size", "dead_groups", "prompts"):
        assert logged(trainer, f"replay/{name}")[-1] == pytest.approx(memory.metrics[name])


def test_prompts_are_known_by_a_column(tmp_path: Path) -> None:
    """Twelve texts that are one prompt to the column."""
    data = Dataset.from_dict({"prompt": prompts(), "task": [0] * 12})
    trainer = trainer_of(tmp_path, data=data, prompt_column="task", max_steps=3)
    trainer.train()
    assert trainer.memory.state_dict()["count"].tolist() == [64]
    trainer = trainer_of(tmp_path, prompt_column="task", max_steps=1)
    with pytest.raises(ValueError, match="prompt_column='task': the dataset has no such column, only prompt"):
        trainer.train()


def test_answers_choose_the_rule(tmp_path: Path) -> None:
    """All right completions give one answer: after the first steps prompts with successes get the floor."""
    trainer = trainer_of(
        tmp_path, solved, estimator="replay", answer_of=lambda text: "the one", max_steps=8, **EVERY_STEP
    )
    trainer.train()
    memory, shares = ml.Replay(K), []
    for asked, rewards, used in zip(trainer.asked, trainer.rewards, trainer.advantages, strict=True):
        groups = rewards[:, 0].double().reshape(-1, N)
        wanted = memory.advantages(groups, asked[::N], answers=np.zeros(groups.shape, int))
        torch.testing.assert_close(used, wanted.reshape(-1).float(), **ROUNDED)
        shares.append(memory.metrics["one_answer"])
    assert logged(trainer, "replay/one_answer") == shares
    assert shares[-1] == 1


def test_unscored_rollouts_and_evaluations_of_another_size(tmp_path: Path) -> None:
    def patchy(completion_ids: list[list[int]], **others: Any) -> Rewards:
        return [None if i % 5 == 0 else float(ids[0] % 2) for i, ids in enumerate(completion_ids)]

    trainer = trainer_of(tmp_path, patchy, num_generations_eval=2, per_device_eval_batch_size=24, max_steps=4)
    trainer.train()
    before = trainer.memory.state_dict()
    metrics = trainer.evaluate()
    assert metrics["eval_advantages/undefined_groups"] == 1.0  # K = 3 of groups of 2
    after = trainer.memory.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert before["count"].sum() < 4 * len(trainer.advantages[0])
    for used, rewards in zip(trainer.advantages[:4], trainer.rewards, strict=False):
        assert not used[rewards[:, 0].isnan()].any()


def test_a_schedule_of_k(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, estimator="replay", k=KSteps({0: 8, 2: 2}), max_steps=4, **EVERY_STEP)
    trainer.train()
    assert logged(trainer, "k") == [8, 8, 2, 2]
    memory = ml.Replay(8)
    for k, asked, rewards, used in zip(
        (8, 8, 2, 2), trainer.asked, trainer.rewards, trainer.advantages, strict=True
    ):
        wanted = memory.advantages(rewards[:, 0].double().reshape(-1, N), asked[::N], k=k)
        torch.testing.assert_close(used, wanted.reshape(-1).float(), **ROUNDED)


SAVING = {"save_strategy": "steps", "save_steps": 3}


@pytest.mark.parametrize("settings", [{}, {"num_iterations": 2}], ids=str)
def test_resuming_in_the_middle_goes_on_with_the_history(settings: dict[str, Any], tmp_path: Path) -> None:
    """With inner epochs a checkpoint may lie in the middle of one: what is generated then is new to it."""
    first = trainer_of(tmp_path, **SAVING, **settings, max_steps=7)
    first.train()
    at = 3
    saved = tmp_path / f"checkpoint-{at}" / replay_files.NAME
    assert saved.exists()
    held = defaultdict(list)
    generations = -(-at // settings.get("num_iterations", 1))
    part = first
    ends = (part.asked, part.rewards)
    for asked, rewards in list(zip(*ends, strict=True))[:generations]:
        for name, group in zip(asked[::N], rewards[:, 0].double().reshape(-1, N).tolist(), strict=True):
            held[name] += group
    again = trainer_of(tmp_path, **SAVING, **settings, max_steps=7)
    again.train(resume_from_checkpoint=str(saved.parent))
    assert again.state.global_step == 7
    assert again.asked
    check(again, held)
    if not settings:
        for mine, theirs in zip(again.rewards, first.rewards[at:], strict=True):
            assert torch.equal(mine, theirs)
        for mine, theirs in zip(again.advantages, first.advantages[at:], strict=True):
            assert torch.equal(mine, theirs)
        ends = [trainer.memory.state_dict() for trainer in (first, again)]
        assert all(np.array_equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_checkpoints_that_hold_no_memory_or_a_damaged_one_are_refused(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, **SAVING, max_steps=3)
    trainer.train()
    folder = tmp_path / "checkpoint-3"
    file = folder / replay_files.NAME
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"maxpo_replay\.npz is damaged"):
        trainer_of(tmp_path, max_steps=4).train(resume_from_checkpoint=str(folder))
    np.savez(file, weights=np.zeros(3))
    with pytest.raises(ValueError, match=r"maxpo_replay\.npz: state is not one of Replay"):
        trainer_of(tmp_path, max_steps=4).train(resume_from_checkpoint=str(folder))
    file.write_bytes(whole)
    with pytest.raises(ValueError, match=r"keep=64, this Replay needs keep=8"):
        trainer_of(tmp_path, max_steps=4, estimator=ml.Replay(K, keep=8)).train(
            resume_from_checkpoint=str(folder)
        )
    file.unlink()
    other = trainer_of(tmp_path, max_steps=4)
    with pytest.raises(FileNotFoundError, match="without a memory"):
        other.train(resume_from_checkpoint=str(folder))
    replay_files.save(ml.Replay(K), folder)
    trainer_of(tmp_path, max_steps=4).train(resume_from_checkpoint=str(folder))
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"estimator": "maxpo", "prompt_column": "task"}, "prompt_column='task' changes nothing"),
        ({"estimator": "maxpo", "answer_of": len}, "changes nothing without a memory"),
        ({"estimator": "replay:keep=8"}, r"Replay\(3, estimator='replay', keep="),
        ({"estimator": ml.Replay(4)}, "k=3 with a Replay of k=4"),
        ({"estimator": "replay", "k": 9}, "replay at num_generations=8 and k=9 is undefined"),
        ({"estimator": "plug-in-floor", "answer_of": len}, "answer_of with plug-in-floor"),
    ],
)
def test_what_could_not_be_honoured_is_refused_at_once(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        trainer_of(tmp_path, **settings)


def in_one_process(folder: Path, resume: str) -> None:
    """A process of some: four steps, saved after the second; or from there on."""
    size = int(os.environ["WORLD_SIZE"])
    trainer = trainer_of(
        folder,
        per_device_train_batch_size=24 // size,
        per_device_eval_batch_size=24 // size,
        max_steps=4,
        num_iterations=1,
        save_strategy="steps",
        save_steps=2,
        eval_strategy="steps",
        eval_steps=2,
        **EVERY_STEP,
    )
    trainer.train(resume_from_checkpoint=resume or None)
    seen = {name: getattr(trainer, name) for name in ("rewards", "advantages", "asked", "modes")}
    state = {name: torch.from_numpy(array) for name, array in trainer.memory.state_dict().items()}
    lam = logged(trainer, "replay/history_size")
    torch.save(
        {**seen, "state": state, "logged": lam},
        folder / f"{size}-{bool(resume)}-{trainer.accelerator.process_index}.pt",
    )


def launched(folder: Path, processes: int, resume: str = "") -> list[dict[str, Any]]:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    helpers = {"PYTHONPATH": os.pathsep.join(sys.path)}  # tests/witnesses, which pytest put there
    done = subprocess.run(
        [*launch, __file__, str(folder), resume],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        env=os.environ | helpers,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    names = (f"{processes}-{bool(resume)}-{rank}.pt" for rank in range(processes))
    return [torch.load(folder / name) for name in names]


class Together:
    """What several processes saw, as one trainer."""

    def __init__(self, parts: list[dict[str, Any]]) -> None:
        self.asked, self.modes, self.rewards = (parts[0][name] for name in ("asked", "modes", "rewards"))
        self.advantages = [torch.cat(each) for each in zip(*(p["advantages"] for p in parts), strict=True)]


def test_two_processes_hold_one_memory_and_another_number_goes_on_from_it(tmp_path: Path) -> None:
    parts = launched(tmp_path, 2)
    for name, array in parts[0]["state"].items():
        assert torch.equal(array, parts[1]["state"][name]), name
    assert parts[0]["asked"] == parts[1]["asked"]
    assert parts[0]["logged"] == parts[1]["logged"]
    check(Together(parts))
    middle = tmp_path / "checkpoint-2"
    held: dict[str, list[float]] = defaultdict(list)
    trained = [i for i, training in enumerate(parts[0]["modes"]) if training][:2]
    for i in trained:
        groups = parts[0]["rewards"][i][:, 0].double().reshape(-1, N).tolist()
        for name, group in zip(parts[0]["asked"][i][::N], groups, strict=True):
            held[name] += group
    for processes in (1,):
        copy = defaultdict(list, {name: list(rewards) for name, rewards in held.items()})
        others = launched(tmp_path, processes, str(middle))
        assert len({tuple(part["state"]["checksum"].tolist()) for part in others}) == 1
        check(Together(others), copy)


if __name__ == "__main__":
    in_one_process(Path(sys.argv[1]), sys.argv[2])
